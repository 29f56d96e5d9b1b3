/**
 * Goal: a loop runs one activation at a time, loses no wake-up, and survives its failures.
 * Method: loops with short periods, whose activations the test holds open.
 */
import { expect, test } from "vitest";
import { deferred } from "./deferred.ts";
import { startLoop } from "./loop.ts";

const now = (): number => Date.now();
const ignore = (): void => undefined;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** However slow the machine is. */
async function until(found: () => boolean): Promise<void> {
  for (let waited = 0; !found() && waited < 10_000; waited += 5) await pause(5);
  expect(found()).toBe(true);
}

test("activations never overlap; wake-ups while one runs make one more", async () => {
  let running = 0;
  let most = 0;
  let runs = 0;
  const gates = [deferred<void>(), deferred<void>()];
  const run = async (): Promise<undefined> => {
    running += 1;
    most = Math.max(most, running);
    const gate = gates[runs];
    runs += 1;
    await gate?.promise;
    running -= 1;
  };
  const loop = startLoop({ name: "l", periodMs: 60_000, run, now, onError: ignore });
  await until(() => runs === 1);
  for (let i = 0; i < 5; i += 1) loop.wake();
  expect(runs).toBe(1);
  gates[0]?.resolve();
  await until(() => runs === 2);
  gates[1]?.resolve();
  await pause(20);
  expect({ most, runs }).toEqual({ most: 1, runs: 2 });
  await loop.stop();
});

test("an activation says when the next one is due, and somebody else may want it sooner", async () => {
  const at: number[] = [];
  const begun = performance.now();
  const run = async (): Promise<number> => {
    at.push(performance.now() - begun);
    return now() + (at.length === 1 ? 40 : 60_000);
  };
  const loop = startLoop({ name: "l", periodMs: 120_000, run, now, onError: ignore });
  await until(() => at.length === 2);
  expect(at[1]).toBeGreaterThan(35);
  loop.wakeAt(now() + 20);
  loop.wakeAt(now() + 90_000);
  await until(() => at.length === 3);
  await loop.stop();
});

test("a failed activation is told of, and the loop continues", async () => {
  const errors: unknown[] = [];
  let runs = 0;
  const run = async (): Promise<undefined> => {
    runs += 1;
    if (runs === 1) throw new Error("once");
  };
  const onError = (name: string, error: unknown): void => void errors.push([name, String(error)]);
  const loop = startLoop({ name: "due", periodMs: 10, run, now, onError });
  await until(() => runs > 2);
  expect(errors).toEqual([["due", "Error: once"]]);
  await loop.stop();
});

test("a stop waits for the activation under way, and none follows", async () => {
  const gate = deferred<void>();
  let runs = 0;
  const run = async (): Promise<undefined> => {
    runs += 1;
    await gate.promise;
  };
  const loop = startLoop({ name: "l", periodMs: 5, run, now, onError: ignore });
  await until(() => runs === 1);
  let stopped = false;
  const stop = loop.stop().then(() => {
    stopped = true;
  });
  loop.wake();
  await pause(15);
  expect(stopped).toBe(false);
  gate.resolve();
  await stop;
  loop.wake();
  loop.wakeAt(0);
  await pause(20);
  expect(runs).toBe(1);
});
