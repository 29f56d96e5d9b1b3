/**
 * HTTP/1.1 on one port: every RPC as Connect JSON and gRPC-Web, and a few plain pages. There are
 * no CORS headers, so that no web page of another origin can call; and a host name that is not
 * this machine's is refused, so that none can by pointing its own name at 127.0.0.1.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Log } from "../lib/log.ts";
import { isLoopbackHost } from "../lib/loopback.ts";
import type { Registry } from "../lib/metrics.ts";
import { VERSION } from "../lib/version.ts";
import type { Binding } from "../rpc/binding.ts";
import type { Calls } from "../rpc/calls.ts";
import type { Link, LinkEngine } from "./links.ts";
import { METRICS_PATH, sendMetrics } from "./metrics.ts";
import type { RpcHandler } from "./rpc-handler.ts";

export interface HttpServerOptions {
  /** For signed links. */
  readonly engine: LinkEngine;
  readonly bindings: readonly Binding[];
  readonly calls: Calls;
  readonly log: Log;
  /** Whether calls can be served right now. */
  readonly ready: () => boolean;
  readonly metrics: Registry;
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
  let handler: Promise<RpcHandler> | undefined;
  const answer = async (path: string, request: IncomingMessage, response: ServerResponse) => {
    handler ??= import("./rpc-handler.ts").then((module) => module.createRpcHandler(options));
    await (await handler)(path, request, response);
  };
  const server = createServer((request, response) => {
    const link = linkIn(request.url ?? "/");
    if (link !== undefined) {
      // Reached from outside, through a tunnel or proxy: the token is the key.
      answerLink(options, link, request, response);
      return;
    }
    if (!isOwnHost(request)) {
      sendText(response, 403, "Only this machine's own pages and programs may call this server.");
      return;
    }
    const path = request.url?.split("?", 1)[0] ?? "/";
    if (path === METRICS_PATH) return sendMetrics(options.metrics, options.log, response);
    if (!paths.has(path)) {
      sendPage(path, request, response, options.ready);
      return;
    }
    answer(path, request, response).catch((error: unknown) => {
      if (!response.destroyed) options.log.error("http.failed", { path, error });
      response.destroy();
    });
  });
  return lifecycle(server);
}

/** A signed link, by its path. */
function linkIn(url: string): Link | undefined {
  const match = /^\/v1\/(callback|answer)s\/([^/?]+)(?:\?.*)?$/.exec(url);
  const [, kind, token] = match ?? [];
  if (token === undefined) return undefined;
  return { kind: kind === "callback" ? "callback" : "answer", token };
}

function answerLink(
  { engine, log }: HttpServerOptions,
  link: Link,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  import("./links.ts")
    .then(({ serveLink }) => serveLink(engine, log, link, request, response))
    .catch((error: unknown) => {
      // Without the path, which holds the token.
      if (!response.destroyed) log.error("http.failed", { path: `/v1/${link.kind}s/…`, error });
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

function isOwnHost(request: IncomingMessage): boolean {
  const { host, origin } = request.headers;
  if (host !== undefined && !isLoopbackHost(host.replace(/:\d+$/, ""))) return false;
  return origin === undefined || origin === `http://${host}`;
}

function sendPage(
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
  ready: () => boolean,
): void {
  switch (path) {
    case "/healthz":
      sendText(response, 200, "The server is alive.");
      return;
    case "/readyz":
      if (ready()) sendText(response, 200, "The server is ready.");
      else sendText(response, 503, "The server does not reach its store, or is stopping.");
      return;
    case "/":
      sendText(response, 200, greeting(request.headers.host ?? "127.0.0.1:8000"));
      return;
    default:
      sendText(
        response,
        404,
        `There is nothing at ${path.slice(0, 200)}. RPCs are at /pawl.v1.SERVICE/METHOD, such as /pawl.v1.RunService/ListRuns.`,
      );
  }
}

function greeting(host: string): string {
  return [
    `Pawl ${VERSION}, a control plane for durable execution.`,
    "",
    "Every RPC of pawl.v1 answers to POST with JSON, for example:",
    `  curl -H 'content-type: application/json' -d '{}' http://${host}/pawl.v1.RunService/ListRuns`,
    "Health: /healthz (alive), /readyz (the store answers). Metrics: /metrics.",
    "gRPC has a port of its own.",
  ].join("\n");
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" });
  response.end(`${text}\n`);
}
