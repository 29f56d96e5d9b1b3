/**
 * The word of an enum's value: `timed_out` of WaitOutcome.TIMED_OUT. Empty for an unspecified value,
 * and for one that only a newer server knows.
 */
export function wordOf(of: Readonly<Record<number, string>>, value: number): string {
  return value === 0 ? "" : (of[value] ?? "").toLowerCase();
}
