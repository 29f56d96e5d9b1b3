/** The same services behind Connect's router: for HTTP, and in process. */
import { ConnectError, type ConnectRouter, createContextKey } from "@connectrpc/connect";
import type { Log } from "../lib/log.ts";
import type { Binding, ConnectHooks } from "./binding.ts";
import type { Calls } from "./calls.ts";
import { connectError, requestError } from "./connect-errors.ts";
import { wireError } from "./errors.ts";

/** Set once a handler has the request: an error before that is about the request's form. */
export const REACHED = createContextKey(false, { description: "the handler was reached" });

export interface ConnectRouteOptions {
  readonly bindings: readonly Binding[];
  readonly calls: Calls;
  readonly log: Log;
}

export function connectRoutes(options: ConnectRouteOptions): (router: ConnectRouter) => void {
  const { bindings, calls, log } = options;
  const hooks: ConnectHooks = {
    async begin(context) {
      context.values.set(REACHED, true);
      const call = calls.begin();
      // Connect's own signal fires at the end of every call, and when the caller hangs up.
      const over = (): void => {
        call.abort();
        call.done();
      };
      if (context.signal.aborted) over();
      else context.signal.addEventListener("abort", over, { once: true });
      const { requestHeader } = context;
      return await call.enter({
        header: (name) => requestHeader.get(name) ?? undefined,
        names: () => requestHeader.keys(),
      });
    },
    fail(error, context, method) {
      if (error instanceof ConnectError) return requestError(error.code, error.rawMessage) ?? error;
      const name = `${method.parent.typeName}/${method.name}`;
      return connectError(wireError(error, log, name, context?.signal));
    },
  };
  return (router) => {
    for (const binding of bindings) binding.connect(router, hooks);
  };
}
