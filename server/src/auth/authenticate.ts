/** Who a request comes from. Every transport asks here, and nowhere else. */
import { anonymous, type Caller } from "../model/caller.ts";

/** What a request says about its sender: gRPC metadata or HTTP headers. */
export interface Credentials {
  /** A header by its lower-case name. */
  header(name: string): string | undefined;
}

/**
 * Returns the caller that the credentials belong to.
 *
 * @throws PawlError UNAUTHENTICATED where they belong to nobody
 */
export type Authenticate = (credentials: Credentials) => Caller | Promise<Caller>;

/** The only organization until there are keys. */
export const DEFAULT_ORG = "default";

/**
 * Takes everybody for the owner of the default organization. Right only where all listeners are on
 * loopback addresses, or where there is none.
 */
export const everyoneIsOwner: Authenticate = () => anonymous(DEFAULT_ORG);
