import { type DescMethod, getOption } from "@bufbuild/protobuf";
import { scope } from "@pawl/proto";
import type { Caller } from "../model/caller.ts";
import { PawlError } from "../model/errors.ts";

/** Throws PERMISSION_DENIED where the caller may not do something. */
export type Permit = (caller: Caller) => void;

const CONTRACT = "pawl.v1";

/**
 * Who may call a method of the contract, by the scopes that its declaration names. What gRPC's tools ask
 * besides, such as the health check, is for everybody.
 *
 * @throws Error for a method of the contract that names no scope
 */
export function permitFor(method: DescMethod): Permit {
  if (method.parent.file.proto.package !== CONTRACT) return () => undefined;
  const scopes = getOption(method, scope);
  const name = `${method.parent.name}.${method.name}`;
  if (scopes.length === 0) throw new Error(`${name} names no scope in its declaration.`);
  return ({ scopes: held }) => {
    if (held.has("*") || scopes.some((one) => held.has(one))) return;
    throw new PawlError(
      "PERMISSION_DENIED",
      `${name} needs the scope ${scopes.join(" or ")}, which this credential does not have.`,
      { metadata: { scopes: scopes.join(",") } },
    );
  };
}
