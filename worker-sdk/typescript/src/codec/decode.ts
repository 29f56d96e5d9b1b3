import { TerminalError } from "../errors.ts";
import { setProperty, type Tag, tagKey } from "./encode.ts";

function damaged(tag: unknown): never {
  throw new TerminalError(
    `a recorded value has a part of type ${JSON.stringify(tag)} that this SDK version does not know; upgrade @pawl/worker`,
  );
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function pairs(value: unknown, tag: Tag): [unknown, unknown][] {
  if (!Array.isArray(value)) return damaged(tag);
  return value.map((pair: unknown) => (Array.isArray(pair) ? [pair[0], pair[1]] : damaged(tag)));
}

function reviveError(value: unknown): Error {
  const parts = isRecord(value) ? value : {};
  const error = new Error(
    String(parts.message),
    "cause" in parts ? { cause: revive(parts.cause) } : undefined,
  );
  error.name = String(parts.name);
  // Never that of this place, which is another one in a replay.
  error.stack = typeof parts.stack === "string" ? parts.stack : String(error);
  return error;
}

function reviveTag(tag: unknown, value: unknown): unknown {
  switch (tag as Tag) {
    case "undefined":
      return undefined;
    case "number":
      return Number(value);
    case "bigint":
      return BigInt(String(value));
    case "date":
      return new Date(value === null ? Number.NaN : String(value));
    case "bytes":
      return new Uint8Array(Buffer.from(String(value), "base64"));
    case "map":
      return new Map(pairs(value, "map").map(([key, item]) => [revive(key), revive(item)]));
    case "set":
      return new Set(Array.isArray(value) ? value.map(revive) : damaged(tag));
    case "error":
      return reviveError(value);
    case "object": {
      const object: Record<string, unknown> = {};
      for (const [key, item] of pairs(value, "object"))
        setProperty(object, String(key), revive(item));
      return object;
    }
    // What other languages have and this one does not is handed out as it was written.
    case "decimal":
    case "uuid":
    case "duration":
    case "local-datetime":
    case "local-date":
    case "local-time":
      return value;
    default:
      return damaged(tag);
  }
}

/** Half of a surrogate pair is U+FFFD, also where another language or HTTP client wrote it; changes its argument. */
export function mendTexts(value: unknown): unknown {
  if (typeof value === "string") return value.toWellFormed();
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i += 1) value[i] = mendTexts(value[i]);
    return value;
  }
  if (!isRecord(value)) return value;
  for (const key of Object.keys(value)) {
    const item = mendTexts(value[key]);
    if (!key.isWellFormed()) delete value[key];
    setProperty(value, key.toWellFormed(), item);
  }
  return value;
}

/** JSON values with tags back to what they stand for; changes its argument. */
export function revive(value: unknown): unknown {
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i += 1) value[i] = revive(value[i]);
    return value;
  }
  if (!isRecord(value)) return value;
  if (Object.hasOwn(value, tagKey)) return reviveTag(value[tagKey], value.value);
  for (const key of Object.keys(value)) {
    const item = value[key];
    if (typeof item === "object" && item !== null) setProperty(value, key, revive(item));
  }
  return value;
}
