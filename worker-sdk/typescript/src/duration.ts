import { UsageError } from "./errors.ts";

/** Parts of a duration; they add up. */
export interface DurationParts {
  readonly weeks?: number;
  readonly days?: number;
  readonly hours?: number;
  readonly minutes?: number;
  readonly seconds?: number;
  readonly milliseconds?: number;
}

/**
 * A length of time: a number of milliseconds, a text such as `"90 s"`, `"1 day"`
 * or `"1h 30m"`, or parts. A day is 24 hours.
 */
export type Duration = number | string | DurationParts;

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

function sumParts(parts: DurationParts): number {
  let total = 0;
  for (const [unit, amount] of Object.entries(parts)) {
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

/** The duration in milliseconds; refuses what is negative or not finite. */
export function durationMs(duration: Duration): number {
  const ms =
    typeof duration === "number"
      ? duration
      : typeof duration === "string"
        ? parseText(duration)
        : sumParts(duration);
  if (!Number.isFinite(ms) || ms < 0) {
    throw new UsageError(
      `a duration of ${ms} ms is not possible; it must be finite and not negative`,
    );
  }
  return ms;
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
