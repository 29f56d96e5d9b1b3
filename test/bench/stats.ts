/** The value below which `p` per cent of the sorted values lie (nearest rank). */
export function percentile(sorted: readonly number[], p: number): number {
  const index = Math.max(0, Math.ceil((p / 100) * sorted.length) - 1);
  const value = sorted[index];
  if (value === undefined) throw new Error("There is no percentile of no values.");
  return value;
}

/** The middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const low = percentile(sorted, 50);
  const high = sorted[Math.floor(sorted.length / 2)] ?? low;
  return (low + high) / 2;
}
