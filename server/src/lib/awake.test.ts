import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { Awake } from "./awake.ts";

describe("Awake", () => {
  it("polls after work that came soon after other work, and then sleeps", async () => {
    let now = 0;
    const awake = new Awake(() => now);
    awake.work();
    expect(awake.isPolling, "after the first").toBe(false);
    now += 1;
    awake.work();
    expect(awake.isPolling, "after the second").toBe(availableParallelism() > 1);
    now += 20;
    await sleep(1);
    expect(awake.isPolling, "later").toBe(false);
    awake.work();
    expect(awake.isPolling, "after a pause").toBe(false);
  });

  it("lets all else run meanwhile", async () => {
    const awake = new Awake();
    let turns = 0;
    const keepBusy = (): void => {
      awake.work();
      turns += 1;
      if (turns < 2_000) setImmediate(keepBusy);
    };
    keepBusy();
    await sleep(1);
    expect(turns).toBeLessThan(2_000);
    while (turns < 2_000) await sleep(1);
  });

  it("rests when it is told to", async () => {
    const awake = new Awake(() => 0);
    awake.work();
    awake.work();
    awake.rest();
    await new Promise(setImmediate);
    expect(awake.isPolling).toBe(false);
  });
});
