/**
 * Reading what others made: values that user code threw, yielded or returned. Getters, proxies and
 * conversions of such values may throw; nothing here does.
 */
import { inspect, types } from "node:util";

/** A property of any value; undefined where it has none, or reading it throws. */
export function read(value: unknown, key: PropertyKey): unknown {
  if (value === null || value === undefined) return undefined;
  try {
    return Reflect.get(Object(value), key, value);
  } catch {
    return undefined;
  }
}

function toJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

/** Any value as text, for people: as much of it as can be had. */
export function shown(value: unknown): string {
  if (typeof value === "string") return value;
  // JSON says null for NaN and Infinity.
  if (typeof value === "number") return String(value);
  const json = toJson(value);
  // What JSON does not know, such as a Map, is empty in it.
  if (json !== undefined && json !== "{}") return json;
  try {
    return inspect(value, { depth: 4, maxArrayLength: 100, maxStringLength: 10_000 });
  } catch {
    return `a ${typeof value} that cannot be shown`;
  }
}

/** Whether it is an error, also one of another realm (`node:vm`, Jest). */
export function isError(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  if (types.isNativeError(value)) return true;
  try {
    if (value instanceof Error) return true;
  } catch {
    return false;
  }
  return typeof read(value, "message") === "string" && typeof read(value, "name") === "string";
}

/** The message of an error; any other value as text. */
export function messageOf(thrown: unknown): string {
  if (!isError(thrown)) return shown(thrown);
  try {
    const message: unknown = Reflect.get(thrown, "message");
    return message === undefined ? "" : shown(message);
  } catch {
    return "an error whose message cannot be read";
  }
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  try {
    return "then" in value && typeof value.then === "function";
  } catch {
    return false;
  }
}

/** The name of an object's class; empty where it cannot be told. */
export function classNameOf(value: object): string {
  const name = read(read(value, "constructor"), "name");
  return typeof name === "string" ? name : "";
}
