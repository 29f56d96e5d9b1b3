/** The name that was probably meant: at most a third of it is mistyped. */
export function nearest(typed: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const name of names) {
    const edits = name.startsWith(typed) && typed.length > 1 ? 1 : distance(typed, name);
    if (edits < least) {
      least = edits;
      best = name;
    }
  }
  return least <= Math.max(1, Math.floor(typed.length / 3)) ? best : undefined;
}

/** How many characters must be inserted, removed, replaced or swapped with their neighbour. */
function distance(a: string, b: string): number {
  let previous: number[] = [];
  let current = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row++) {
    const next = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      const swapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      next[column] = Math.min(
        (current[column] ?? 0) + 1,
        (next[column - 1] ?? 0) + 1,
        (current[column - 1] ?? 0) + (same ? 0 : 1),
        swapped && row > 1 && column > 1 ? (previous[column - 2] ?? 0) + 1 : Infinity,
      );
    }
    previous = current;
    current = next;
  }
  return current[b.length] ?? 0;
}
