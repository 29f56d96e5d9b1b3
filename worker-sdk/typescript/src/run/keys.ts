// Section K of docs/replay-machine.md.
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
import { escapeChars, exceedsBytes, textFault } from "../lib/text.ts";
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

/** Refuses a text that is to be a part of a name or id, and has what cannot be stored as it is. */
export function checkText(what: string, text: string): void {
  const fault = textFault(text);
  if (fault !== undefined)
    throw new UsageError(
      `${what} has ${fault}; leave it out: ${JSON.stringify(text.slice(0, 40))}`,
    );
}

/** Refuses names that are empty or too long, or that cannot be stored as they are. */
export function checkName(what: string, name: unknown): asserts name is string {
  if (typeof name !== "string")
    throw new UsageError(`the name of ${what} must be a text; it is ${kindOf(name)}`);
  checkText(`the name of ${what}`, name);
  if (name === "") throw new UsageError(`${what} needs a name that is not empty`);
  if (exceedsBytes(name, limits.nameBytesMax)) {
    throw new UsageError(
      `the name of ${what} has ${Buffer.byteLength(name)} bytes (limit ${limits.nameBytesMax}): "${name.slice(0, 40)}…"`,
    );
  }
}

/** Refuses run ids that could not be stored, or named in a URL. */
export function checkRunId(runId: string): string {
  checkText("the run id", runId);
  // Clients that follow the URL standard take these out of a path.
  if (runId === "." || runId === "..") throw new UsageError(`"${runId}" cannot be a run id`);
  return runId;
}

export function checkTags(
  tags: Readonly<Record<string, string>> | undefined,
): Record<string, string> {
  for (const [key, value] of Object.entries(tags ?? {})) {
    checkText("the name of a tag", key);
    checkText(`the tag "${key}"`, String(value));
  }
  return { ...tags };
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/** Refuses keys that are too long. */
export function checkKey(key: string): string {
  if (exceedsBytes(key, limits.stepKeyBytesMax)) {
    throw new UsageError(
      `the step key has ${Buffer.byteLength(key)} bytes (limit ${limits.stepKeyBytesMax}); use shorter names, keys or scopes: "${key.slice(0, 80)}…"`,
    );
  }
  return key;
}
