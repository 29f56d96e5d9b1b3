import { PawlError } from "../model/errors.ts";

/** Why a caller is not known. */
export type Why = "missing" | "invalid" | "expired" | "revoked";

const TEXTS: Readonly<Record<Why, string>> = {
  missing:
    "This server needs an API key. Send it as `Authorization: Bearer KEY`; SDKs and the command " +
    "line read PAWL_API_KEY.",
  invalid: "The credential is not a key of this server. Check PAWL_API_KEY.",
  expired: "The API key has expired. Use another one.",
  revoked: "The API key was revoked. Use another one.",
};

/** The refusal of a caller who is not known, which never says what a right credential would be. */
export function unauthenticated(why: Why): PawlError {
  return new PawlError("UNAUTHENTICATED", TEXTS[why], { metadata: { why } });
}
