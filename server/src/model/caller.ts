/** Callers: on whose behalf something is done. */

/** Whose rows are meant: all that the store needs to know. */
export interface Tenant {
  /** The organization; leads every key. Comes from the credential only, never from a request. */
  readonly org: string;
}

/** Who a caller is. */
export type Principal =
  /** Somebody without a credential, where the server takes such callers: they own the organization. */
  | { readonly kind: "anonymous" }
  /** Somebody without a credential, where the server wants one: may only do what is public. */
  | { readonly kind: "stranger" }
  /** A program with an API key; an operator's key may do everything. */
  | {
      readonly kind: "key";
      readonly keyId: string;
      readonly name: string;
      readonly operator: boolean;
    }
  /** Somebody with a signed link to one wait. */
  | { readonly kind: "link"; readonly actor: string }
  /** The server itself, which does what is due. */
  | { readonly kind: "server" };

/**
 * Every function that acts for somebody takes its caller first. There is no default: a caller comes from
 * the authenticator, from a link's token, or from the row that the server works on.
 */
export interface Caller extends Tenant {
  readonly principal: Principal;
  /** What the caller may do; `*` is everything. */
  readonly scopes: ReadonlySet<string>;
  /** The connection of a worker that it came on, where it did. */
  readonly connection?: { readonly connectionId: string; readonly workerId: string };
}

const ALL: ReadonlySet<string> = new Set(["*"]);

/** The owner of an organization, who has shown no credential. */
export function anonymous(org: string): Caller {
  return { org, principal: { kind: "anonymous" }, scopes: ALL };
}

/** A caller without a credential where one is needed. No organization has an empty name. */
export const STRANGER: Caller = Object.freeze({
  org: "",
  principal: Object.freeze({ kind: "stranger" }),
  scopes: new Set<string>(),
});

/** The holder of an API key. */
export function keyHolder(
  org: string,
  key: { readonly keyId: string; readonly name: string; readonly operator: boolean },
  scopes: Iterable<string>,
): Caller {
  const { keyId, name, operator } = key;
  const held = operator ? ALL : new Set(scopes);
  return { org, principal: { kind: "key", keyId, name, operator }, scopes: held };
}

/** The server, for work of its own on an organization's rows, such as timers and retention. */
export function serverOf(org: string): Caller {
  return { org, principal: { kind: "server" }, scopes: ALL };
}

/** The caller behind a link: it is good for the one wait that it names. */
export function linkHolder(org: string, actor: string): Caller {
  return { org, principal: { kind: "link", actor }, scopes: new Set(["waits:answer"]) };
}
