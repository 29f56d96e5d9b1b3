import type { IncomingMessage } from "node:http";
import type { Credentials } from "../auth/authenticate.ts";

/** A header of an HTTP request; of several with one name, the first. */
export function credentialsOf({ headers }: IncomingMessage): Credentials {
  return {
    header(name) {
      const value = headers[name];
      return typeof value === "string" ? value : value?.[0];
    },
    names: () => Object.keys(headers),
  };
}

/**
 * Makes a request that speaks HTTP/1.0 look like one from a proxy, which it comes from: nginx with its
 * default settings sets no header by which it could be told.
 */
export function markProxied(request: IncomingMessage): void {
  if (request.httpVersionMajor === 1 && request.httpVersionMinor === 0)
    request.headers.via ??= "1.0 unknown";
}
