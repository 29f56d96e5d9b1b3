/**
 * HTTP/1.1 on one port: plain JSON under /v1, every RPC as Connect JSON and gRPC-Web, and a few
 * plain pages. What is heavy is loaded at its first use.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Log } from "../lib/log.ts";
import type { Registry } from "../lib/metrics.ts";
import type { Binding } from "../rpc/binding.ts";
import type { Calls } from "../rpc/calls.ts";
import { markProxied } from "./credentials.ts";
import { METRICS_PATH, sendMetrics } from "./metrics.ts";
import { createGate } from "./origin.ts";
import { sendPage } from "./pages.ts";
import { sendRefusal } from "./problem.ts";
import type { RestHandler } from "./rest/handler.ts";
import type { RpcHandler } from "./rpc-handler.ts";
import type { LinkEngine, SignedLink } from "./wait-links.ts";

export interface HttpServerOptions {
  /** For signed links. */
  readonly engine: LinkEngine;
  readonly bindings: readonly Binding[];
  readonly calls: Calls;
  readonly log: Log;
  /** Whether calls can be served right now. */
  readonly ready: () => boolean;
  readonly metrics: Registry;
  /** Origins of other servers whose pages may call, such as `https://app.example`. */
  readonly corsOrigins: readonly string[];
  /** Whether callers need no credential right now. */
  readonly isOpen: () => boolean;
}

export interface HttpServer {
  /** @returns the port. Port 0 takes a free one. */
  listen(host: string, port: number): Promise<number>;
  /** Takes no more connections; resolves once the requests in progress are over. */
  stop(): Promise<void>;
  /** Ends everything now. */
  kill(): void;
}

export function createHttpServer(options: HttpServerOptions): HttpServer {
  const paths = new Set(
    options.bindings.map(({ method }) => `/${method.parent.typeName}/${method.name}`),
  );
  let rpcs: Promise<RpcHandler> | undefined;
  let rest: Promise<RestHandler> | undefined;
  const answer = async (path: string, request: IncomingMessage, response: ServerResponse) => {
    if (paths.has(path)) {
      rpcs ??= import("./rpc-handler.ts").then((module) => module.createRpcHandler(options));
      await (await rpcs)(path, request, response);
    } else if (isRest(path)) {
      rest ??= import("./rest/handler.ts").then((module) => module.createRestHandler(options));
      await (await rest)(request, response);
    } else if (path === METRICS_PATH) {
      await sendMetrics(options, request, response);
    } else {
      sendPage(path, request, response, options.ready);
    }
  };
  const passes = createGate(options.corsOrigins, options.isOpen, (request, response, error) =>
    sendRefusal(response, error, request.method),
  );
  const server = createServer((request, response) => {
    markProxied(request);
    const link = linkIn(request.url ?? "/");
    if (link !== undefined) {
      // Reached from outside, through a tunnel or proxy: the token is the key.
      answerLink(options, link, request, response);
      return;
    }
    if (!passes(request, response)) return;
    const path = request.url?.split("?", 1)[0] ?? "/";
    answer(path, request, response).catch((error: unknown) => {
      if (!response.destroyed) options.log.error("http.failed", { path, error });
      response.destroy();
    });
  });
  return lifecycle(server);
}

/** A signed link, by its path. */
function linkIn(url: string): SignedLink | undefined {
  const match = /^\/v1\/(callback|answer)s\/([^/?]+)(?:\?.*)?$/.exec(url);
  const [, kind, token] = match ?? [];
  if (token === undefined) return undefined;
  return { kind: kind === "callback" ? "callback" : "answer", token };
}

function answerLink(
  services: HttpServerOptions,
  link: SignedLink,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  import("./wait-links.ts")
    .then(({ serveLink }) => serveLink(services, link, request, response))
    .catch((error: unknown) => {
      // Without the path, which holds the token.
      if (!response.destroyed)
        services.log.error("http.failed", { path: `/v1/${link.kind}s/…`, error });
      response.destroy();
    });
}

function lifecycle(server: Server): HttpServer {
  return {
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, host, () => {
          server.off("error", reject);
          const address = server.address();
          resolve(typeof address === "object" && address !== null ? address.port : port);
        });
      }),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
    kill: () => server.closeAllConnections(),
  };
}

function isRest(path: string): boolean {
  return path.startsWith("/v1/") || path === "/openapi.json" || path === "/docs";
}
