/**
 * Which pages may call over HTTP. A browser lets any web page send requests to 127.0.0.1, so only pages of
 * this server's own origin and of the configured ones are served (CORS). While callers need no credential,
 * a host name that is not this machine's is refused as well, so that no page gets in by pointing its own
 * name at 127.0.0.1.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { isLoopbackHost } from "../lib/loopback.ts";
import { PawlError } from "../model/errors.ts";

const METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE";
/** How long a browser need not ask again, in s. */
const PREFLIGHT_SECONDS = "7200";
/** What pages may send, besides what a browser always lets them. */
const REQUEST_HEADERS = [
  "Authorization",
  "Content-Type",
  "Idempotency-Key",
  "Last-Event-ID",
  "Traceparent",
  "X-API-Key",
  "Connect-Protocol-Version",
  "Connect-Timeout-Ms",
  "Grpc-Timeout",
  "X-Grpc-Web",
  "X-User-Agent",
].join(", ");
/** What pages may read of the answer. */
const EXPOSED_HEADERS = [
  "Location",
  "Retry-After",
  "WWW-Authenticate",
  "Grpc-Status",
  "Grpc-Message",
  "Grpc-Status-Details-Bin",
].join(", ");

/** What is to be done with a request: continue, or it is answered already. */
export type Passed = boolean;

/**
 * @param origins such as `https://app.example`; each as a browser sends it
 * @param isOpen whether callers need no credential right now
 */
export function createGate(
  origins: readonly string[],
  isOpen: () => boolean,
  refuse: (request: IncomingMessage, response: ServerResponse, error: PawlError) => void,
): (request: IncomingMessage, response: ServerResponse) => Passed {
  const allowed = new Set(origins);
  return (request, response) => {
    const { host, origin } = request.headers;
    if (host !== undefined && !isLoopbackHost(host.replace(/:\d+$/, "")) && isOpen()) {
      refuse(request, response, foreign("host", host));
      return false;
    }
    if (allowed.size > 0) response.setHeader("vary", "Origin");
    // A proxy may have ended TLS.
    if (origin === undefined || origin.replace(/^https?:\/\//, "") === host) return true;
    if (!allowed.has(origin)) {
      refuse(request, response, foreign("origin", origin));
      return false;
    }
    response.setHeader("access-control-allow-origin", origin);
    if (request.method !== "OPTIONS" || !request.headers["access-control-request-method"]) {
      response.setHeader("access-control-expose-headers", EXPOSED_HEADERS);
      return true;
    }
    response.writeHead(204, {
      "access-control-allow-methods": METHODS,
      "access-control-allow-headers": REQUEST_HEADERS,
      "access-control-max-age": PREFLIGHT_SECONDS,
    });
    response.end();
    return false;
  };
}

function foreign(what: "host" | "origin", value: string): PawlError {
  const shown = value.slice(0, 200);
  const way =
    what === "host"
      ? "Call it by 127.0.0.1 or localhost."
      : `Start the server with --cors-origin ${shown} if its pages may.`;
  return new PawlError(
    "PERMISSION_DENIED",
    `Only this machine's own pages and programs may call this server; the ${what} is ${shown}. ${way}`,
    { metadata: { [what]: shown } },
  );
}
