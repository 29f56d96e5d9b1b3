import { type DescMethod, getOption } from "@bufbuild/protobuf";
import { scope } from "@pawl/proto";
import type { Caller } from "../model/caller.ts";
import { PawlError } from "../model/errors.ts";
import { unauthenticated } from "./unauthenticated.ts";

/** Throws PERMISSION_DENIED where the caller may not do something. */
export type Permit = (caller: Caller) => void;

const CONTRACT = "pawl.v1";

/** In the place of scopes: a method that needs no credential. */
const PUBLIC = "public";

export function isPublic(method: DescMethod): boolean {
  return getOption(method, scope).includes(PUBLIC);
}

/**
 * Who may call a method of the contract, by the scopes that its declaration names. What gRPC's tools ask
 * besides, such as the health check, is for everybody.
 *
 * @throws Error for a method of the contract that names no scope
 */
export function permitFor(method: DescMethod): Permit {
  if (method.parent.file.proto.package !== CONTRACT) return () => undefined;
  const scopes = getOption(method, scope);
  if (scopes.length === 0)
    throw new Error(`${method.parent.name}.${method.name} names no scope in its declaration.`);
  if (scopes.includes(PUBLIC)) return () => undefined;
  return (caller) => requireScope(caller, scopes);
}

/**
 * @param scopes of which any one is enough
 * @throws PawlError UNAUTHENTICATED, PERMISSION_DENIED
 */
export function requireScope(caller: Caller, scopes: readonly string[]): void {
  const { scopes: held } = caller;
  if (held.has("*") || scopes.some((one) => held.has(one))) return;
  requireCredential(caller);
  throw new PawlError(
    "PERMISSION_DENIED",
    `This needs the scope ${scopes.join(" or ")}, which the credential does not have. Use another ` +
      "key, or create one with this scope.",
    { metadata: { needs: scopes.join(",") } },
  );
}

/** @throws PawlError UNAUTHENTICATED for a caller without a credential where one is needed */
export function requireCredential({ principal }: Caller): void {
  if (principal.kind === "stranger") throw unauthenticated("missing");
}
