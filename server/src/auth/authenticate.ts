/** Who a request comes from. Every transport asks here, and nowhere else. */
import { anonymous, type Caller } from "../model/caller.ts";
import { isApiKey } from "./api-key.ts";
import { unauthenticated } from "./unauthenticated.ts";

/** What a request says about its sender: gRPC metadata or HTTP headers. */
export interface Credentials {
  /** A header by its lower-case name. */
  header(name: string): string | undefined;
  /** The lower-case names of all headers. */
  names(): Iterable<string>;
}

/**
 * Returns the caller that the credentials belong to.
 *
 * @throws PawlError UNAUTHENTICATED where they belong to nobody
 */
export type Authenticate = (credentials: Credentials) => Caller | Promise<Caller>;

/** The only organization until others can be made. */
export const DEFAULT_ORG = "default";

export const OWNER: Caller = Object.freeze(anonymous(DEFAULT_ORG));

/** Takes everybody for the owner of the default organization. Right only where there is no listener. */
export const everyoneIsOwner: Authenticate = () => OWNER;

const PROXY_HEADERS: ReadonlySet<string> = new Set(["forwarded", "x-real-ip", "via"]);

/** Whether a proxy has passed the request on, so that its sender may be anybody. */
export function isProxied(credentials: Credentials): boolean {
  for (const name of credentials.names())
    if (PROXY_HEADERS.has(name) || name.startsWith("x-forwarded-")) return true;
  return false;
}

/**
 * The API key that was sent; undefined where there is no credential at all.
 *
 * @throws PawlError UNAUTHENTICATED for anything that cannot be a key
 */
export function apiKeyIn(credentials: Credentials): string | undefined {
  const authorization = credentials.header("authorization");
  const key = credentials.header("x-api-key");
  if (authorization === undefined) {
    if (key === undefined || isApiKey(key)) return key;
    throw unauthenticated("invalid");
  }
  const [, bearer = ""] = /^bearer +(\S+)$/i.exec(authorization) ?? [];
  if (!isApiKey(bearer) || (key !== undefined && key !== bearer)) throw unauthenticated("invalid");
  return bearer;
}
