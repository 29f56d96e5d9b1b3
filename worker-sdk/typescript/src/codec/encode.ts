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
 *
 * What comes out is a copy: each property is read once, whatever a getter would say the next time,
 * and `toJSON` has no say. Half of a surrogate pair becomes U+FFFD, as in all languages.
 */
import { types } from "node:util";
import { SerializationError } from "../errors.ts";
import { classNameOf, isError, messageOf, read } from "../lib/foreign.ts";
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
  /** A property, or the number of an item. */
  readonly key: string | number;
  /** What the number counts, other than items of a list. */
  readonly of?: string;
}

interface Conversion {
  readonly what: string;
  readonly escape: boolean;
  tagged: boolean;
  lookalike: boolean;
}

function pathOf(place: Place | undefined): string {
  let path = "";
  for (let at = place; at !== undefined; at = at.parent) path = segmentOf(at) + path;
  return path;
}

const identifier = /^[A-Za-z_$][\w$]*$/;

function segmentOf({ key, of }: Place): string {
  if (of !== undefined) return `<${of} ${key}>`;
  if (typeof key === "number") return `[${key}]`;
  return identifier.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

function refuse(conversion: Conversion, place: Place | undefined, problem: string): never {
  throw new SerializationError(conversion.what, pathOf(place), problem);
}

function tag(conversion: Conversion, type: Tag, value?: unknown): Record<string, unknown> {
  conversion.tagged = true;
  return value === undefined ? { [tagKey]: type } : { [tagKey]: type, value };
}

/** Sets a property, whatever its name. */
export function setProperty(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(target, key, {
      value,
      enumerable: true,
      writable: true,
      configurable: true,
    });
  } else {
    target[key] = value;
  }
}

/** Code of the value's own, such as a getter, failed. */
function refuseFault(conversion: Conversion, place: Place | undefined, fault: unknown): never {
  if (fault instanceof SerializationError) throw fault;
  return refuse(conversion, place, `cannot be read: ${messageOf(fault)}`);
}

function convertArray(
  conversion: Conversion,
  array: readonly unknown[],
  place: Place | undefined,
  depth: number,
): unknown {
  const { length } = array;
  const copy: unknown[] = [];
  for (let i = 0; i < length; i += 1) {
    const item = array[i];
    copy.push(isBare(item) ? item : convert(conversion, item, { parent: place, key: i }, depth));
  }
  return copy;
}

function convertPlain(
  conversion: Conversion,
  object: Readonly<Record<string, unknown>>,
  place: Place | undefined,
  depth: number,
): unknown {
  const copy: Record<string, unknown> = {};
  let key = "";
  try {
    for (key of Object.keys(object)) {
      if (key === tagKey) conversion.lookalike = true;
      const item = object[key];
      const converted = isBare(item)
        ? item
        : convert(conversion, item, { parent: place, key }, depth);
      setProperty(copy, key.toWellFormed(), converted);
    }
  } catch (fault) {
    return refuseFault(conversion, { parent: place, key }, fault);
  }
  if (conversion.escape && Object.hasOwn(copy, tagKey))
    return tag(conversion, "object", Object.entries(copy));
  return copy;
}

/** Whether it is in JSON what it is here. */
function isBare(value: unknown): boolean {
  return (
    typeof value === "boolean" ||
    (typeof value === "string" && value.isWellFormed()) ||
    (typeof value === "number" && Number.isFinite(value) && !Object.is(value, -0))
  );
}

function convertError(
  conversion: Conversion,
  error: object,
  place: Place | undefined,
  depth: number,
) {
  const [name, stack, cause] = ["name", "stack", "cause"].map((key) => read(error, key));
  const parts: Record<string, unknown> = {
    name: String(name ?? "Error").toWellFormed(),
    message: messageOf(error).toWellFormed(),
  };
  if (typeof stack === "string") parts.stack = stack.toWellFormed();
  if (cause !== undefined)
    parts.cause = convert(conversion, cause, { parent: place, key: "cause" }, depth);
  return tag(conversion, "error", parts);
}

function convertBuiltIn(
  conversion: Conversion,
  value: object,
  place: Place | undefined,
  depth: number,
): unknown {
  const part = (kind: string, item: unknown, i: number) =>
    convert(conversion, item, { parent: place, key: i, of: kind }, depth);
  if (types.isDate(value)) {
    const ms = Date.prototype.getTime.call(value);
    return tag(conversion, "date", Number.isNaN(ms) ? null : new Date(ms).toISOString());
  }
  if (types.isUint8Array(value)) {
    return tag(
      conversion,
      "bytes",
      Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64"),
    );
  }
  if (types.isMap(value)) {
    const entries = [...Map.prototype.entries.call(value)];
    return tag(
      conversion,
      "map",
      entries.map(([key, item], i) => [part("key", key, i), part("value", item, i)]),
    );
  }
  if (types.isSet(value)) {
    const items = [...Set.prototype.values.call(value)];
    return tag(
      conversion,
      "set",
      items.map((item, i) => part("item", item, i)),
    );
  }
  if (isError(value)) return convertError(conversion, value, place, depth);
  if (types.isPromise(value)) return refuse(conversion, place, "is a promise; await it first");
  const name = classNameOf(value) || "an unknown class";
  return refuse(
    conversion,
    place,
    ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)
      ? `is a ${name}; record a Uint8Array instead`
      : `is an instance of ${name}, whose class would be lost; return plain data, and build the instance from it outside of the step`,
  );
}

/** Whether an object is of no class, here or in another realm (`node:vm`, Jest). */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return true;
  return (
    typeof prototype === "object" &&
    Object.getPrototypeOf(prototype) === null &&
    Object.hasOwn(prototype, "isPrototypeOf")
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
  try {
    if (Array.isArray(value)) return convertArray(conversion, value, place, depth + 1);
    if (!isPlain(value)) return convertBuiltIn(conversion, value, place, depth + 1);
    if (Object.getOwnPropertySymbols(value).length > 0)
      return refuse(conversion, place, "has a symbol for a key; use a string");
    return convertPlain(conversion, value as Record<string, unknown>, place, depth + 1);
  } catch (fault) {
    return refuseFault(conversion, place, fault);
  }
}

function convert(
  conversion: Conversion,
  value: unknown,
  place: Place | undefined,
  depth: number,
): unknown {
  switch (typeof value) {
    case "string":
      return value.toWellFormed();
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
