import { types } from "node:util";
import { UsageError } from "./errors.ts";
import { shown } from "./lib/foreign.ts";
import { limits } from "./limits.ts";

/** Parts of a duration; they add up. */
export interface DurationParts {
  readonly weeks?: number;
  readonly days?: number;
  readonly hours?: number;
  readonly minutes?: number;
  readonly seconds?: number;
  readonly milliseconds?: number;
}

type Plural<T extends string> = T | `${T}s`;
type Unit =
  | "ms"
  | "s"
  | "m"
  | "h"
  | "d"
  | "w"
  | Plural<"millisecond" | "sec" | "second" | "min" | "minute" | "hr" | "hour" | "day" | "week">;
type Amount = `${number}${"" | " "}${Unit}`;

/** A length of time as text, such as `"90 s"`, `"1 day"` or `"1h 30m"`. */
export type DurationText = Amount | `${Amount}${"" | " "}${number}${string}`;

/**
 * A length of time: a number of milliseconds, a text such as `"90 s"`, `"1 day"`
 * or `"1h 30m"`, or parts. A day is 24 hours. At most 3,650 days. Texts that are
 * only known at run time go through `duration()`.
 */
export type Duration = number | DurationText | DurationParts;

const unitMs: Readonly<Record<string, number>> = {
  ms: 1,
  millisecond: 1,
  s: 1_000,
  sec: 1_000,
  second: 1_000,
  m: 60_000,
  min: 60_000,
  minute: 60_000,
  h: 3_600_000,
  hr: 3_600_000,
  hour: 3_600_000,
  d: 86_400_000,
  day: 86_400_000,
  w: 604_800_000,
  week: 604_800_000,
};

const partMs: Readonly<Record<string, number>> = {
  weeks: 604_800_000,
  days: 86_400_000,
  hours: 3_600_000,
  minutes: 60_000,
  seconds: 1_000,
  milliseconds: 1,
};

function parseText(text: string): number {
  const pattern = /\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*/giy;
  let total = 0;
  let position = 0;
  while (position < text.length) {
    pattern.lastIndex = position;
    const match = pattern.exec(text);
    const unit = match?.[2]?.toLowerCase() ?? "";
    const factor = unitMs[unit] ?? unitMs[unit.replace(/s$/, "")];
    if (match === null || factor === undefined) {
      throw new UsageError(
        `"${text}" is not a duration; write milliseconds as a number, or a text such as "30 s", "1 day" or "1h 30m"`,
      );
    }
    total += Number(match[1]) * factor;
    position = pattern.lastIndex;
  }
  if (text.trim() === "")
    throw new UsageError(`an empty text is not a duration; write for example "30 s"`);
  return total;
}

function sumParts(parts: object): number {
  let total = 0;
  const given = Object.entries(parts);
  if (given.length === 0) {
    throw new UsageError(
      `${shown(parts)} is not a duration; its parts are ${Object.keys(partMs).join(", ")}`,
    );
  }
  for (const [unit, amount] of given) {
    const factor = partMs[unit];
    if (factor === undefined || typeof amount !== "number") {
      throw new UsageError(
        `"${unit}" is not a part of a duration; those are ${Object.keys(partMs).join(", ")}`,
      );
    }
    total += amount * factor;
  }
  return total;
}

function anyMs(duration: unknown): number {
  if (typeof duration === "number") return duration;
  if (typeof duration === "string") return parseText(duration);
  if (typeof duration === "object" && duration !== null) return sumParts(duration);
  throw new UsageError(
    `${shown(duration)} is not a duration; write milliseconds as a number, or a text such as "30 s"`,
  );
}

/** The duration in milliseconds; refuses what is negative, or longer than ten years. */
export function durationMs(duration: Duration | string): number {
  const ms = anyMs(duration);
  if (!(ms >= 0 && ms <= limits.durationMsMax)) {
    throw new UsageError(
      `a duration of ${ms} ms is not possible; it must be between 0 and 3,650 days. For no limit, leave the option out`,
    );
  }
  return ms;
}

/** The same, for what is left until a moment, which may be over: then it is 0. */
export function waitingMs(duration: Duration): number {
  const ms = anyMs(duration);
  return durationMs(Math.max(0, ms));
}

/** A duration from a text that is only known at run time, such as a setting. In milliseconds. */
export function duration(text: string): number {
  return durationMs(text);
}

/** 9999-12-31T23:59:59.999Z. */
const momentMsMax = 253_402_300_799_999;

/** A moment in whole ms since the epoch; what is long over is 0. Throws UsageError. */
export function momentMs(what: string, moment: unknown): number {
  const ms = types.isDate(moment) ? Date.prototype.getTime.call(moment) : moment;
  if (typeof ms === "number" && ms <= momentMsMax) return Math.max(0, Math.ceil(ms));
  throw new UsageError(
    `${what} got ${shown(moment)}, which is not a moment before the year 10000; give a Date, or ms since the epoch`,
  );
}

/** When an error wants to be tried again, in ms from now; undefined where that cannot be told. Never throws. */
export function retryAfterMs(wanted: unknown): number | undefined {
  const ms = afterMs(wanted);
  return !Number.isFinite(ms) ? undefined : Math.min(Math.max(0, ms), limits.durationMsMax);
}

function afterMs(wanted: unknown): number {
  try {
    if (types.isDate(wanted)) return Date.prototype.getTime.call(wanted) - Date.now();
    // A Retry-After header counts seconds, or names a date.
    if (typeof wanted === "string" && /^\s*\d+(\.\d+)?\s*$/.test(wanted))
      return Number(wanted) * 1_000;
    if (typeof wanted === "string" && /^\s*[a-z]{3,9},|^\s*\d{4}-/i.test(wanted))
      return Date.parse(wanted) - Date.now();
    return anyMs(wanted);
  } catch {
    return Number.NaN;
  }
}

/** Milliseconds as google.protobuf.Duration. */
export function durationFromMs(ms: number): { seconds: bigint; nanos: number } {
  const seconds = Math.floor(ms / 1_000);
  return {
    seconds: BigInt(seconds),
    nanos: Math.min(999_999_999, Math.round((ms - seconds * 1_000) * 1e6)),
  };
}

/** google.protobuf.Duration or Timestamp as milliseconds. */
export function msFrom(time: { readonly seconds: bigint; readonly nanos: number }): number {
  return Number(time.seconds) * 1_000 + time.nanos / 1e6;
}
