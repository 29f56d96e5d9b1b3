import type { IncomingMessage, ServerResponse } from "node:http";
import type { CallContext } from "../../rpc/binding.ts";
import { Exchange } from "../exchange.ts";

/** An exchange on a route, by a caller who is known. */
export class RestExchange extends Exchange {
  /** Of the path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly search: URLSearchParams;
  readonly context: CallContext;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    route: Pick<RestExchange, "params" | "search" | "context">,
  ) {
    super(request, response);
    this.params = route.params;
    this.search = route.search;
    this.context = route.context;
  }
}
