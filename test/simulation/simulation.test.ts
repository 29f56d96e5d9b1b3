/**
 * Goal: a few simulated worlds of every change are right; CI runs many more (`pnpm simulate`).
 * Method: a process of its own, since the simulation replaces the clocks and timers of the one it is in.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";

const SECONDS = 8;
/** The same worlds each time; new ones are `pnpm simulate`'s. */
const SEED = Number(process.env.PAWL_SEED ?? 1);

// A seed that fails fails again: nothing is tried a second time.
test("no world of a few seconds is wrong", { retry: 0 }, async () => {
  const main = join(import.meta.dirname, "main.ts");
  const child = spawn(
    process.execPath,
    [main, "--seed", String(SEED), "--seconds", String(SECONDS)],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const [output] = await Promise.all([text(child.stdout), once(child, "close")]);
  // It names the seed.
  expect(child.exitCode, output).toBe(0);
  expect(output).toMatch(/[1-9]\d* worlds/);
});
