import type { IncomingMessage } from "node:http";
import type { Credentials } from "../auth/authenticate.ts";

/** A header of an HTTP request; of several with one name, the first. */
export function credentialsOf({ headers }: IncomingMessage): Credentials {
  return {
    header(name) {
      const value = headers[name];
      return typeof value === "string" ? value : value?.[0];
    },
  };
}
