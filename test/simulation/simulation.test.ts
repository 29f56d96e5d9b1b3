/**
 * Goal: a few simulated worlds of every change are right; CI runs many more (`pnpm simulate`).
 * Method: processes of their own, since the simulation replaces the clocks and timers of the one it is in.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { scaled } from "../harness/scale.ts";
import { staleMutants } from "./mutants.ts";

/** In full one of each theme (character.ts). */
const WORLDS = scaled(7, 2);
/** The same worlds each time; new ones are `pnpm simulate`'s. */
const SEED = Number(process.env.PAWL_SEED ?? 1);

/** The last line: how much there was of all, and a digest of what happened. */
async function simulated(seed: number, worlds: number): Promise<string> {
  const args = ["--seed", String(seed), "--worlds", String(worlds), "--seconds", "600"];
  // Where something is wrong it rejects with the output, which names the seed.
  const { stdout } = await promisify(execFile)(process.execPath, [main, ...args], { env });
  return /^\d+ worlds.*$/m.exec(stdout)?.[0].replace(/ in .* of a processor/, "") ?? stdout;
}

const main = join(import.meta.dirname, "main.ts");
/** Without what the test runner preloads: a bundle has a second copy of what the simulation replaces. */
const env = { ...process.env, NODE_OPTIONS: "" };

// A seed that fails fails again: nothing is tried a second time.
test("no world of a few seeds is wrong", { retry: 0 }, async () => {
  expect(await simulated(SEED, WORLDS)).toMatch(new RegExp(`^${WORLDS} worlds, [1-9]`));
});

test("a seed gives the same world alone and after others", { retry: 0 }, async () => {
  const again = join(import.meta.dirname, "same-again.ts");
  const { stdout } = await promisify(execFile)(process.execPath, [again], { env });
  expect(stdout).toBe("the same\n");
});

test("each mutant still applies to the sources", async () => {
  expect(await staleMutants()).toEqual([]);
});
