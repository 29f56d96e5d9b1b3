/** How often the programs of a case made each effect. */
import { expect } from "vitest";
import type { ConformanceCase } from "./schema.ts";

/** A count, or the least and the most; of `endless` there may be more. */
export function compareEffects(
  seen: Readonly<Record<string, number>>,
  wanted: NonNullable<ConformanceCase["expect"]["effects"]>,
  endless: readonly string[],
): void {
  expect(Object.keys(seen).sort()).toEqual(Object.keys(wanted).sort());
  for (const [name, count] of Object.entries(wanted)) {
    const [least, most] = typeof count === "number" ? [count, count] : count;
    expect(seen[name], `effects of ${name}`).toBeGreaterThanOrEqual(least);
    if (!endless.includes(name)) {
      expect(seen[name], `effects of ${name}`).toBeLessThanOrEqual(most);
    }
  }
}
