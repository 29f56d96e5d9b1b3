/** The scopes that keys can have. The declarations of the methods name those that each one needs. */
import { invalid, PawlError } from "../model/errors.ts";

const SCOPES = [
  "runs:read",
  "runs:write",
  "runs:delete",
  "waits:read",
  "waits:answer",
  "waits:act-as",
  "workflows:read",
  "worker",
  "keys:read",
  "metrics:read",
] as const;

/** What a key has unless its scopes are named: what clients and workers need. */
export const DEFAULT_SCOPES: readonly string[] = [
  "runs:read",
  "runs:write",
  "waits:read",
  "waits:answer",
  "workflows:read",
  "worker",
];

/** Names that stand for several scopes. */
const BUNDLES: Readonly<Record<string, readonly string[]>> = {
  "workflow:read": ["runs:read", "waits:read", "workflows:read"],
  "workflow:write": ["runs:read", "waits:read", "workflows:read", "runs:write", "waits:answer"],
};

/**
 * The scopes of a key as it was asked for, each once.
 *
 * @throws PawlError INVALID_ARGUMENT, or PERMISSION_DENIED for a scope that only operators have
 */
export function scopesIn(asked: readonly string[]): readonly string[] {
  for (const one of asked) {
    if (one === "keys:write")
      throw new PawlError(
        "PERMISSION_DENIED",
        "Only an operator's key can create keys, so that a key which leaks cannot make others.",
        { metadata: { needs: "operator" } },
      );
    if (!isScope(one) && !Object.hasOwn(BUNDLES, one))
      throw invalid("scopes", `"${one.slice(0, 100)}" is none of ${scopeNames().join(", ")}`);
  }
  return [...new Set(asked)];
}

/** What a key with these scopes may do. */
export function expandScopes(scopes: readonly string[]): readonly string[] {
  return scopes.flatMap((one) => (Object.hasOwn(BUNDLES, one) ? (BUNDLES[one] ?? []) : one));
}

export function scopeNames(): readonly string[] {
  return [...SCOPES, ...Object.keys(BUNDLES)];
}

function isScope(name: string): boolean {
  return SCOPES.some((one) => one === name);
}
