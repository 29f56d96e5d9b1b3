/**
 * Goal: kill -9 of anything at any moment loses nothing that was acknowledged and repeats nothing.
 * Method: a few rounds of crash drills over both stores, with real processes. The seed is printed;
 * `pnpm chaos` does it by the hundred.
 */
import { expect, test } from "vitest";
import { createDatabase } from "../harness/database.ts";
import { inTurn } from "./plan.ts";
import { runSuite, summarize } from "./suite.ts";

const stores = ["sqlite", "postgres"] as const;

test("rounds of kills at random moments end as without kills", {
  timeout: 900_000,
}, async () => {
  const seed = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000);
  console.log(`chaos: seed ${seed}; again with CHAOS_SEED=${seed}`);
  const rounds = stores.map((store, i) => ({ seed: seed + i, ...inTurn(seed + i, { store }) }));
  const lines: string[] = [];
  const print = (line: string) => void lines.push(line);
  try {
    const result = await runSuite({ rounds, lanes: rounds.length, createDatabase, print });
    lines.push(...summarize(result));
    const violations = result.failed.flatMap((round) => round.violations);
    expect(violations).toEqual([]);
    expect(result.rounds.length).toBe(stores.length);
    // Otherwise nothing was shown.
    expect(result.hits).toBeGreaterThan(0);
  } finally {
    console.log(lines.join("\n"));
  }
});
