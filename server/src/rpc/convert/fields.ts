/**
 * Checks of single fields of requests. Each throws INVALID_ARGUMENT that names the field as the
 * contract does (`step_key`, `wait.duration`), or PAYLOAD_TOO_LARGE with size and limit.
 */
import type { Duration, Timestamp } from "@bufbuild/protobuf/wkt";
import { BOUNDS } from "../../model/bounds.ts";
import { invalid, PawlError } from "../../model/errors.ts";
import { textProblem } from "../../model/text.ts";

/** What a run id may consist of. */
const RUN_ID = /^[A-Za-z0-9\-_.:~%/@]+$/;
const SHA256 = /^[0-9a-f]{64}$/;
/** 9999-12-31T23:59:59.999Z, the last moment that a Timestamp may name. */
const TIMESTAMP_MAX_MS = 253_402_300_799_999;

/** UTF-8 text of at most `maxBytes` that any store can hold; may be empty. */
export function text(field: string, value: string, maxBytes: number): string {
  // A UTF-16 unit is at most three bytes of UTF-8, so short texts need not be measured.
  if (value.length * 3 > maxBytes) {
    const bytes = Buffer.byteLength(value);
    if (bytes > maxBytes)
      throw invalid(field, `is ${bytes} bytes; at most ${maxBytes} are allowed`);
  }
  const problem = textProblem(value);
  if (problem !== undefined) throw invalid(field, problem);
  return value;
}

export function requiredText(field: string, value: string, maxBytes: number): string {
  if (value === "") throw invalid(field, "must be set");
  return text(field, value, maxBytes);
}

/** The id of an existing run. */
export function runId(value: string, field = "run_id"): string {
  return requiredText(field, value, BOUNDS.idBytes);
}

/** The id of a run to be made; may be empty. */
export function newRunId(value: string): string {
  if (value === "") return value;
  text("run_id", value, BOUNDS.idBytes);
  // Clients that follow the URL standard take these out of a path, even where they are encoded.
  if (value === "." || value === "..") throw invalid("run_id", `may not be "${value}"`);
  if (!RUN_ID.test(value)) {
    throw invalid("run_id", "may only contain letters, digits and -_.:~%/@");
  }
  return value;
}

export function fence(value: number, field = "fence"): number {
  if (value === 0) {
    throw invalid(field, "must be set: use the fence from the lease, which is never 0");
  }
  return value;
}

export function stepKey(value: string, field = "step_key"): string {
  return requiredText(field, value, BOUNDS.stepKeyBytes);
}

export function name(field: string, value: string): string {
  return text(field, value, BOUNDS.nameBytes);
}

export function sha256(field: string, value: string): string {
  if (!SHA256.test(value)) throw invalid(field, "must be a SHA-256 in 64 lower-case hex digits");
  return value;
}

/** A page size; 0 means `standard`. */
export function pageSize(value: number, standard: number, max: number): number {
  if (value > max) throw invalid("page_size", `is ${value}; at most ${max} are allowed`);
  return value === 0 ? standard : value;
}

/** A finite number in [min, max]. */
export function number(field: string, value: number, min: number, max: number): number {
  if (!(value >= min && value <= max)) {
    throw invalid(field, `is ${value}; it must be between ${min} and ${max}`);
  }
  return value;
}

/** In whole ms, rounded up, so that a timer never fires early. */
export function durationMs(field: string, value: Duration, max = BOUNDS.durationMs): number {
  const ms = Math.ceil(Number(value.seconds) * 1_000 + value.nanos / 1e6);
  if (!(ms >= 0)) throw invalid(field, "must not be negative");
  if (ms > max) throw invalid(field, `is ${ms / 1_000} s; at most ${max / 1_000} s are allowed`);
  return ms;
}

/** In whole ms since the epoch, rounded up. */
export function timestampMs(field: string, value: Timestamp): number {
  const ms = Math.ceil(Number(value.seconds) * 1_000 + value.nanos / 1e6);
  if (!(ms >= 0 && ms <= TIMESTAMP_MAX_MS)) {
    throw invalid(field, "must be a time between the years 1970 and 9999");
  }
  return ms;
}

export function payloadTooLarge(field: string, size: number, limit: number): PawlError {
  return new PawlError(
    "PAYLOAD_TOO_LARGE",
    `${field} is ${size} bytes; at most ${limit} are allowed. Store large data elsewhere and pass a reference to it.`,
    { metadata: { field, size: String(size), limit: String(limit) } },
  );
}

/**
 * One whole message, as it came or as it would leave.
 *
 * @param size in bytes, where all of it was seen
 */
/** The caller did nothing wrong, but may ask for less. */
export function responseTooLarge(size: number): PawlError {
  const limit = BOUNDS.messageBytes;
  return new PawlError(
    "PAYLOAD_TOO_LARGE",
    `The response has ${size} bytes, and a message may have ${limit}. Ask for a smaller page.`,
    { metadata: { field: "response", size: String(size), limit: String(limit) } },
  );
}

export function messageTooLarge(size?: number): PawlError {
  const limit = BOUNDS.messageBytes;
  const seen = size === undefined ? `larger than ${limit} bytes` : `${size} bytes`;
  return new PawlError(
    "PAYLOAD_TOO_LARGE",
    `The message is ${seen}; at most ${limit} are allowed. ` +
      "Upload larger values with PayloadService.PutPayload and send their `ref`.",
    {
      metadata: {
        field: "message",
        ...(size !== undefined && { size: String(size) }),
        limit: String(limit),
      },
    },
  );
}

export function checkTags(tags: Readonly<Record<string, string>>, field = "tags"): void {
  const names = Object.keys(tags);
  if (names.length > BOUNDS.tags) {
    throw invalid(field, `has ${names.length} tags; at most ${BOUNDS.tags} are allowed`);
  }
  for (const tag of names) {
    requiredText(`${field} (a key)`, tag, BOUNDS.tagKeyBytes);
    text(`${field}["${tag}"]`, tags[tag] ?? "", BOUNDS.tagValueBytes);
  }
}
