const UNITS: readonly (readonly [name: string, ms: number])[] = [
  ["milliseconds?|ms", 1],
  ["seconds?|secs?|s", 1_000],
  ["minutes?|mins?|m", 60_000],
  ["hours?|hrs?|h", 3_600_000],
  ["days?|d", 86_400_000],
  ["weeks?|w", 604_800_000],
];
const UNIT = UNITS.map(([name]) => name).join("|");
const PART = `(\\d{1,15}(?:\\.\\d{1,9})?)\\s*(${UNIT})\\s*`;

/** All texts that `durationOf` takes, in lower case. */
export const DURATION_PATTERN = `^\\s*(${PART})+$`;

/** For messages that refuse something else. */
export const DURATION_EXAMPLES = "500ms, 30s, 5m, 1.5h or 2d";

/**
 * Returns the milliseconds of a duration as people write it, in the forms that the SDKs take:
 * `500ms`, `30 s`, `1.5h`, `2 days` or `1h 30m`. Undefined if the text is not a duration.
 */
export function durationOf(text: string): number | undefined {
  if (!new RegExp(DURATION_PATTERN, "i").test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit = ""] of text.matchAll(new RegExp(PART, "gi"))) {
    const [, ms = 0] = UNITS.find(([name]) => new RegExp(`^(${name})$`, "i").test(unit)) ?? [];
    total += Number(amount) * ms;
  }
  return total;
}
