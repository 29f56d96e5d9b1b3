/**
 * Goal: many commands at once, on many runs, in whatever batches they meet, keep the invariants.
 * Method: a game of random commands of all kinds (test/semantics/game/game.ts) on a real engine over
 * SQLite in memory, from a printed seed. PAWL_SEED repeats the commands, though not their timing.
 */
import { expect, test } from "vitest";
import { scaled } from "../../../test/harness/scale.ts";
import { openEngine } from "../../../test/semantics/engine-fixture.ts";
import { KINDS } from "../../../test/semantics/game/commands.ts";
import { play } from "../../../test/semantics/game/game.ts";

const COMMANDS = scaled(5_000, 1_500);

const seed = Number(process.env.PAWL_SEED ?? Math.floor(Math.random() * 2 ** 31));

test(`random commands at once; seed ${seed}`, async () => {
  await using made = await openEngine();
  const accepted = await play([made], seed, COMMANDS);
  // Of rare kinds all may have been refused.
  expect(accepted.size).toBeGreaterThan(KINDS.length - 4);
});
