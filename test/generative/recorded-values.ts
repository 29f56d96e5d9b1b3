/** Recorded payloads as the model's values: plain JSON, with `{"$bytes": BASE64}` for bytes and null for nothing. */
import type { JournalEntry } from "@pawl/proto";
import { isRecord } from "./program.ts";

export function recordedValue(payload: JournalEntry["payload"]): unknown {
  if (payload === undefined || payload.encoding === "void") return null;
  if (payload.encoding === "bytes") {
    return { $bytes: Buffer.from(payload.data).toString("base64") };
  }
  const json: unknown = JSON.parse(Buffer.from(payload.data).toString("utf8"));
  return payload.encoding === "json+pawl" ? untagged(json) : json;
}

function untagged(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(untagged);
  if (!isRecord(value)) return value;
  if (typeof value.$pawl !== "string") {
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, untagged(one)]));
  }
  switch (value.$pawl) {
    case "bytes":
      return { $bytes: value.value };
    case "date":
      return { $date: value.value };
    case "bigint":
      return { $bigint: value.value };
    case "undefined":
      return null;
    case "object":
      return Array.isArray(value.value)
        ? Object.fromEntries(value.value.map(([key, one]) => [key, untagged(one)]))
        : value;
    default:
      return value.value;
  }
}
