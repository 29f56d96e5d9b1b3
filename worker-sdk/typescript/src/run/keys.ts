/**
 * Step keys. A key is the path of scopes, and in the last place the step's own
 * segment, joined by `/`. A segment is
 *
 *   name          the first use of the name in its scope
 *   name#2        the second, counted when the call is made
 *   name[key]     with an explicit key
 *
 * Names and keys are percent-escaped. What is not a user's step has a segment
 * with a namespace in front (`sleep:`, `signal:`, `child:`, `value:`, `all:` …);
 * a colon in a user's name is escaped, so no name collides with those.
 */
import { UsageError } from "../errors.ts";
import { escapeChars, exceedsBytes } from "../lib/text.ts";
import { limits } from "../limits.ts";

export type Namespace =
  | ""
  | "sleep:"
  | "signal:"
  | "signals:"
  | "user:"
  | "approval:"
  | "callback:"
  | "child:"
  | "value:"
  | "all:"
  | "map:"
  | "scope:"
  | "cleanup:"
  | "spawn:"
  | "compensate:";

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be found
const reserved = /[%/#[\]:\u0000-\u001f\u007f]/;
const reservedGlobal = new RegExp(reserved.source, "g");

export function escapeName(name: string): string {
  return reserved.test(name) ? escapeChars(name, reservedGlobal) : name;
}

/** Refuses names that are empty or too long. */
export function checkName(what: string, name: string): void {
  if (name === "") throw new UsageError(`${what} needs a name that is not empty`);
  if (exceedsBytes(name, limits.nameBytesMax)) {
    throw new UsageError(
      `the name of ${what} has ${Buffer.byteLength(name)} bytes, ${limits.nameBytesMax} are possible: "${name.slice(0, 40)}…"`,
    );
  }
}

/** Refuses keys that are too long. */
export function checkKey(key: string): string {
  if (exceedsBytes(key, limits.stepKeyBytesMax)) {
    throw new UsageError(
      `the step key has ${Buffer.byteLength(key)} bytes, ${limits.stepKeyBytesMax} are possible; use shorter names, keys or scopes: "${key.slice(0, 80)}…"`,
    );
  }
  return key;
}
