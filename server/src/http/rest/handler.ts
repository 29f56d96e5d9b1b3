/** The REST surface: finds the route, runs it, and says what goes wrong. Loaded at its first use. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { DescMethod } from "@bufbuild/protobuf";
import createRouter from "find-my-way";
import { requireCredential } from "../../auth/permissions.ts";
import type { Log } from "../../lib/log.ts";
import type { Binding } from "../../rpc/binding.ts";
import type { Calls } from "../../rpc/calls.ts";
import { wireError } from "../../rpc/errors.ts";
import { credentialsOf } from "../credentials.ts";
import { nothingAt, ownWords, sendProblem, wrongMethod } from "../problem.ts";
import { docsPage } from "./docs-page.ts";
import { LINK_OPERATIONS } from "./link-operations.ts";
import { createDocument } from "./openapi.ts";
import { RestExchange } from "./rest-exchange.ts";
import { checkNoQuery, type Method, type Route, type Services } from "./route.ts";
import { ROUTES } from "./routes.ts";

const PARAM_MAX = 4_096;
const METHODS: readonly Method[] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

export interface RestOptions {
  readonly bindings: readonly Binding[];
  readonly calls: Calls;
  readonly log: Log;
}

/** Serves one request. Resolves once the answer is written or given up. */
export type RestHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

export function createRestHandler(options: RestOptions): RestHandler {
  const { calls, log } = options;
  const services = servicesOf(options.bindings);
  const router = createRouter({ maxParamLength: PARAM_MAX });
  const routes = [...ROUTES, ...documentRoutes()];
  for (const route of routes) {
    const { method, path } = route.operation;
    router.on(method, path.replaceAll(/\{(\w+)\}/g, ":$1"), () => undefined, route);
  }
  const find = (method: Method, path: string) => {
    const found = router.find(method, path);
    if (found === null) return undefined;
    const route: Route = found.store;
    const params = Object.entries(found.params).map(([name, value]) => [name, value ?? ""]);
    return { route, params: Object.fromEntries(params) };
  };
  return async (request, response) => {
    const { path, search } = splitUrl(request.url ?? "/");
    const asked = request.method ?? "GET";
    const call = calls.begin();
    response.once("close", call.abort);
    try {
      const context = await call.enter(credentialsOf(request));
      const method = METHODS.find((one) => one === (asked === "HEAD" ? "GET" : asked));
      const found = method === undefined ? undefined : find(method, path);
      if (found === undefined) {
        const allowed = METHODS.filter((one) => find(one, path) !== undefined);
        throw allowed.length === 0 ? nothingAt(path) : wrongMethod(asked, path, allowed);
      }
      if (found.route.operation.isPublic !== true) requireCredential(context.caller);
      const exchange = new RestExchange(request, response, {
        params: found.params,
        search,
        context,
      });
      await found.route.serve(exchange, services);
    } catch (error) {
      const wire = wireError(error, log, `${asked} ${path}`, call.signal);
      if (response.headersSent || response.destroyed) response.destroy();
      else sendProblem(response, wire, { method: asked, ...ownWords(error) });
    } finally {
      call.done();
    }
  };
}

function servicesOf(bindings: readonly Binding[]): Services {
  const byMethod = new Map<DescMethod, Binding>(
    bindings.map((binding) => [binding.method, binding]),
  );
  return {
    unary(method) {
      const binding = byMethod.get(method);
      if (binding?.kind === "unary") return binding;
      throw new Error(`There is no unary ${method.toString()}.`);
    },
    stream(method) {
      const binding = byMethod.get(method);
      if (binding?.kind === "server_streaming") return binding;
      throw new Error(`There is no stream ${method.toString()}.`);
    },
  };
}

function splitUrl(url: string): { path: string; search: URLSearchParams } {
  const at = url.indexOf("?");
  if (at < 0) return { path: url, search: new URLSearchParams() };
  return { path: url.slice(0, at), search: new URLSearchParams(url.slice(at + 1)) };
}

/** The description of all the rest, for programs and for people. Made at the first look. */
function documentRoutes(): Route[] {
  let document: ReturnType<typeof createDocument> | undefined;
  let page: string | undefined;
  const made = () => {
    document ??= createDocument([...ROUTES.map(({ operation }) => operation), ...LINK_OPERATIONS]);
    return document;
  };
  const operation = (path: string, id: string, summary: string, type: string) => ({
    ...{ method: "GET" as const, path, id, tag: "Description", summary, parameters: [] },
    isPublic: true,
    answers: [{ status: 200, description: "Done.", content: { [type]: () => ({}) } }],
    errors: [],
  });
  return [
    {
      operation: operation("/openapi.json", "getDescription", "This document", "application/json"),
      async serve(exchange) {
        checkNoQuery(exchange.search);
        exchange.json(200, made());
      },
    },
    {
      operation: operation("/docs", "getDocs", "The same as a page", "text/html"),
      async serve({ response, request, search }) {
        checkNoQuery(search);
        page ??= docsPage(made());
        response.writeHead(200, {
          "content-type": "text/html; charset=utf-8",
          "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
          "x-content-type-options": "nosniff",
        });
        response.end(request.method === "HEAD" ? undefined : page);
      },
    },
  ];
}
