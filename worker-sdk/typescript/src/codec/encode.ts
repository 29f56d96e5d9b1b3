/**
 * Values to text. Plain JSON values become JSON (`json`). A value that contains
 * anything else that survives a recording becomes JSON with tagged objects
 * (`json+pawl`):
 *
 *   {"$pawl": "date", "value": "2026-01-31T12:00:00.000Z"}
 *
 * In `json+pawl` an ordinary object with a key `$pawl` is itself tagged
 * (`object`), so nothing that user code holds can be mistaken for a tag. In
 * `json` no tag is ever looked for.
 */
import { SerializationError } from "../errors.ts";
import { limits } from "../limits.ts";

export const tagKey = "$pawl";

export type Tag =
  | "undefined"
  | "number"
  | "bigint"
  | "date"
  | "bytes"
  | "map"
  | "set"
  | "error"
  | "object"
  | ForeignTag;

/** Written by workers in other languages only. */
type ForeignTag = "decimal" | "uuid" | "duration" | "local-datetime" | "local-date" | "local-time";

/** Where a value is, as a list from the inside out; rendered only for errors. */
interface Place {
  readonly parent: Place | undefined;
  readonly key: string;
}

interface Conversion {
  readonly what: string;
  readonly escape: boolean;
  tagged: boolean;
  lookalike: boolean;
}

function pathOf(place: Place | undefined): string {
  let path = "";
  for (let at = place; at !== undefined; at = at.parent) path = at.key + path;
  return path;
}

function refuse(conversion: Conversion, place: Place | undefined, problem: string): never {
  throw new SerializationError(conversion.what, pathOf(place), problem);
}

function tag(conversion: Conversion, type: Tag, value?: unknown): Record<string, unknown> {
  conversion.tagged = true;
  return value === undefined ? { [tagKey]: type } : { [tagKey]: type, value };
}

const identifier = /^[A-Za-z_$][\w$]*$/;

function property(parent: Place | undefined, key: string): Place {
  return { parent, key: identifier.test(key) ? `.${key}` : `[${JSON.stringify(key)}]` };
}

function convertArray(
  conversion: Conversion,
  array: readonly unknown[],
  place: Place | undefined,
  depth: number,
): unknown {
  let copy: unknown[] | undefined;
  for (let i = 0; i < array.length; i += 1) {
    const item = array[i];
    const converted =
      typeof item === "string" || typeof item === "boolean"
        ? item
        : convert(conversion, item, { parent: place, key: `[${i}]` }, depth);
    if (copy === undefined && converted !== item) copy = array.slice(0, i);
    if (copy !== undefined) copy[i] = converted;
  }
  return copy ?? array;
}

function convertPlain(
  conversion: Conversion,
  object: Readonly<Record<string, unknown>>,
  place: Place | undefined,
  depth: number,
): unknown {
  const keys = Object.keys(object);
  let copy: [string, unknown][] | undefined;
  let lookalike = false;
  for (let i = 0; i < keys.length; i += 1) {
    const key = keys[i] as string;
    if (key === tagKey) lookalike = true;
    const item = object[key];
    const converted =
      typeof item === "string" || typeof item === "boolean"
        ? item
        : convert(conversion, item, property(place, key), depth);
    if (copy === undefined && converted !== item) {
      copy = keys.slice(0, i).map((earlier) => [earlier, object[earlier]]);
    }
    if (copy !== undefined) copy.push([key, converted]);
  }
  if (lookalike) {
    conversion.lookalike = true;
    if (conversion.escape) {
      return tag(conversion, "object", copy ?? keys.map((key) => [key, object[key]]));
    }
  }
  return copy === undefined ? object : Object.fromEntries(copy);
}

function convertError(
  conversion: Conversion,
  error: Error,
  place: Place | undefined,
  depth: number,
) {
  const { name, message, stack, cause } = error;
  const parts: Record<string, unknown> = { name, message, stack };
  if (cause !== undefined)
    parts.cause = convert(conversion, cause, property(place, "cause"), depth);
  return tag(conversion, "error", parts);
}

function convertBuiltIn(
  conversion: Conversion,
  value: object,
  place: Place | undefined,
  depth: number,
): unknown {
  if (value instanceof Date) {
    const ms = value.getTime();
    return tag(conversion, "date", Number.isNaN(ms) ? null : value.toISOString());
  }
  if (value instanceof Uint8Array) {
    return tag(
      conversion,
      "bytes",
      Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64"),
    );
  }
  if (value instanceof Map) {
    return tag(
      conversion,
      "map",
      [...value].map(([key, item], i) => [
        convert(conversion, key, { parent: place, key: `<key ${i}>` }, depth),
        convert(conversion, item, { parent: place, key: `<value ${i}>` }, depth),
      ]),
    );
  }
  if (value instanceof Set) {
    return tag(
      conversion,
      "set",
      [...value].map((item, i) =>
        convert(conversion, item, { parent: place, key: `<item ${i}>` }, depth),
      ),
    );
  }
  if (value instanceof Error) return convertError(conversion, value, place, depth);
  if (value instanceof Promise) return refuse(conversion, place, "is a promise; await it first");
  const name = value.constructor?.name ?? "an unknown class";
  return refuse(
    conversion,
    place,
    ArrayBuffer.isView(value) || value instanceof ArrayBuffer
      ? `is a ${name}; record a Uint8Array instead`
      : `is an instance of ${name}, whose class would be lost; return plain data, and build the instance from it outside of the step`,
  );
}

function convertObject(
  conversion: Conversion,
  value: object,
  place: Place | undefined,
  depth: number,
): unknown {
  if (depth > limits.valueDepthMax) {
    return refuse(
      conversion,
      undefined,
      `refers to itself, or is nested deeper than ${limits.valueDepthMax} levels`,
    );
  }
  if (Array.isArray(value)) return convertArray(conversion, value, place, depth + 1);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    return convertBuiltIn(conversion, value, place, depth + 1);
  }
  if (Object.getOwnPropertySymbols(value).length > 0) {
    return refuse(conversion, place, "has a symbol for a key; use a string");
  }
  return convertPlain(conversion, value as Record<string, unknown>, place, depth + 1);
}

function convert(
  conversion: Conversion,
  value: unknown,
  place: Place | undefined,
  depth: number,
): unknown {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      if (Number.isFinite(value) && !Object.is(value, -0)) return value;
      return tag(conversion, "number", Object.is(value, -0) ? "-0" : String(value));
    case "undefined":
      return tag(conversion, "undefined");
    case "bigint":
      return tag(conversion, "bigint", String(value));
    case "object":
      return value === null ? null : convertObject(conversion, value, place, depth);
    case "function":
      return refuse(conversion, place, "is a function; record data only");
    default:
      return refuse(conversion, place, "is a symbol; record data only");
  }
}

/** A value as JSON values with tags, and whether there are any. */
export interface Converted {
  readonly value: unknown;
  readonly tagged: boolean;
}

/**
 * Turns a value into JSON values. Throws SerializationError, with the path to
 * the place, for functions, symbols, class instances, promises and cycles.
 * `what` names the value in that error.
 */
export function toJsonValue(value: unknown, what: string): Converted {
  const first: Conversion = { what, escape: false, tagged: false, lookalike: false };
  const converted = convert(first, value, undefined, 0);
  if (!first.tagged || !first.lookalike) return { value: converted, tagged: first.tagged };
  const second: Conversion = { what, escape: true, tagged: false, lookalike: false };
  return { value: convert(second, value, undefined, 0), tagged: true };
}
