/**
 * Checks of values by JSON Schema (2020-12). What takes little time whatever is sent is checked where
 * it comes; all else in threads, with a deadline (check-pool.ts). Nothing blocks the event loop.
 */
import type { AnySchemaObject } from "ajv";
import { parseJson } from "../../lib/json.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { PawlError } from "../../model/errors.ts";
import { type CheckOutcome, CheckPool } from "./check-pool.ts";
import { type CompiledSchema, compileSchema, type SchemaProblem } from "./compile.ts";
import { itemPairs, schemaCost } from "./cost.ts";

/** Larger schemas are compiled in a thread. */
const INLINE_SCHEMA_CHARS = 16 * 1024;
const INLINE_SCHEMA_NODES = 4_000;
const INLINE_VALUE_BYTES = 64 * 1024;
/** Nodes of the schema, and steps of patterns, times bytes of the value: some 50 ms at the worst. */
const INLINE_COST = 4_000_000;
const INLINE_PAIRS = 1_000_000;

/** Checked here, or in a thread. */
type Known =
  | {
      readonly kind: "inline";
      readonly compiled: CompiledSchema;
      readonly nodes: number;
      readonly hasUniqueItems: boolean;
    }
  | { readonly kind: "thread" };

/** Schemas known by their text; the least recently compiled goes first. */
const KNOWN_MAX = 500;
const known = new Map<string, Known>();

const pool = new CheckPool({
  threads: BOUNDS.schemaThreads,
  checkMs: BOUNDS.schemaCheckMs,
  prepareMs: BOUNDS.schemaPrepareMs,
  queuedMax: BOUNDS.schemaChecksQueued,
});

/** A schema that is not usable. `message` says why. */
export class UnusableSchema extends Error {
  override readonly name = "UnusableSchema";
}

/**
 * Whether the schema is a usable one; undefined: it is, as was seen at once.
 *
 * @throws UnusableSchema, as the promise rejects
 */
export function tryCompile(schema: string): Promise<void> | undefined {
  if (look(schema).kind === "inline") return undefined;
  return pool.run({ schema, all: false }).then((outcome) => void outcomeOf(outcome));
}

/**
 * Where the value does not fit the schema; empty: it fits.
 *
 * @param data the JSON of the value
 * @throws UnusableSchema, or PawlError SCHEMA_TOO_SLOW, RATE_LIMITED
 */
export async function problemsOf(
  schema: string,
  data: Uint8Array,
  value: unknown,
): Promise<readonly SchemaProblem[]> {
  const found = look(schema);
  if (found.kind === "inline" && isCheap(found, data, value)) return found.compiled.check(value);
  const all = data.byteLength <= INLINE_VALUE_BYTES;
  return outcomeOf(await pool.run({ schema, data, all }));
}

function isCheap(
  { compiled, nodes, hasUniqueItems }: Extract<Known, { kind: "inline" }>,
  data: Uint8Array,
  value: unknown,
): boolean {
  const bytes = data.byteLength;
  return (
    bytes <= INLINE_VALUE_BYTES &&
    nodes * bytes <= INLINE_COST &&
    compiled.weight * bytes <= INLINE_COST &&
    (!hasUniqueItems || itemPairs(value) <= INLINE_PAIRS)
  );
}

/** @throws UnusableSchema */
function look(schema: string): Known {
  let found = known.get(schema);
  if (found === undefined) {
    found = judge(schema);
    const [oldest] = known.keys();
    if (known.size >= KNOWN_MAX && oldest !== undefined) known.delete(oldest);
    known.set(schema, found);
  }
  return found;
}

function judge(text: string): Known {
  try {
    const schema = parseJson(Buffer.from(text), BOUNDS.jsonDepth);
    if (!isSchema(schema)) throw new UnusableSchema("it is neither an object nor true or false");
    if (text.length > INLINE_SCHEMA_CHARS) return { kind: "thread" };
    const cost = schemaCost(schema, INLINE_SCHEMA_NODES);
    if (cost === undefined) return { kind: "thread" };
    const compiled = compileSchema(schema, { linear: true, all: true });
    return compiled.isLinear ? { kind: "inline", compiled, ...cost } : { kind: "thread" };
  } catch (error) {
    throw new UnusableSchema(error instanceof Error ? error.message : String(error));
  }
}

function isSchema(value: unknown): value is AnySchemaObject | boolean {
  return (
    typeof value === "boolean" ||
    (typeof value === "object" && value !== null && !Array.isArray(value))
  );
}

function outcomeOf(outcome: CheckOutcome): readonly SchemaProblem[] {
  switch (outcome.kind) {
    case "checked":
      return outcome.problems;
    case "unusable":
      throw new UnusableSchema(outcome.message);
    case "slow":
      throw new PawlError(
        "SCHEMA_TOO_SLOW",
        `The check against the JSON Schema took more than ${BOUNDS.schemaCheckMs} ms and was given up. ` +
          "Send a smaller value, or use a simpler schema: a pattern without repetitions inside each " +
          "other, no uniqueItems on long arrays, no schema that refers to itself in several places.",
      );
    case "busy":
      throw new PawlError("RATE_LIMITED", "Too many values wait for their check. Send it again.", {
        retryAfterMs: 500,
      });
  }
}
