/**
 * Goal: leases of living workers do not end because this server could not record their heartbeats.
 * Method: the clock is turned by hand; a lease has ended if the time by which leases end is past it.
 */
import { describe, expect, test } from "vitest";
import { BOUNDS } from "../../model/bounds.ts";
import { leaseTimeOf } from "./lease-time.ts";

const PERIOD_MS = 1_000;
const START = 1_000_000;

function made() {
  const at = { wall: START, steady: 0 };
  const clock = { now: () => at.wall, steady: () => at.steady, random: () => 0 };
  const lookFor = leaseTimeOf(clock, PERIOD_MS);
  return {
    pass(ms: number): void {
      at.wall += ms;
      at.steady += ms;
    },
    setForward(ms: number): void {
      at.wall += ms;
    },
    time: () => lookFor(async (time) => time - START),
    fail: () => lookFor(() => Promise.reject(new Error("no store"))),
  };
}

describe("the time by which leases end", () => {
  test("is the clock's while looks come in time, also on a busy machine", async () => {
    const it = made();
    for (let second = 1; second <= 20; second += 1) {
      it.pass(PERIOD_MS + 300);
      expect(await it.time()).toBe(second * (PERIOD_MS + 300));
    }
  });

  test("does not count the time in which this process stood still, until leases were renewed", async () => {
    const it = made();
    it.pass(PERIOD_MS);
    await it.time();
    it.pass(40_000);
    expect(await it.time()).toBe(2 * PERIOD_MS);
    it.pass(PERIOD_MS);
    expect(await it.time()).toBe(3 * PERIOD_MS);
    for (let passed = PERIOD_MS; passed < BOUNDS.leaseMs; passed += PERIOD_MS) {
      it.pass(PERIOD_MS);
      await it.time();
    }
    expect(await it.time()).toBe(41_000 + BOUNDS.leaseMs);
  });

  test("does not count the time in which the store could not be read", async () => {
    const it = made();
    for (let second = 0; second < 60; second += 1) {
      it.pass(PERIOD_MS);
      await expect(it.fail()).rejects.toThrow("no store");
    }
    it.pass(PERIOD_MS);
    expect(await it.time()).toBe(PERIOD_MS);
  });

  test("is a whole number of milliseconds, also where the steady clock's is not", async () => {
    const it = made();
    it.pass(PERIOD_MS + 0.25);
    await it.time();
    it.pass(40_000.6);
    expect(await it.time()).toBe(2 * PERIOD_MS);
  });

  test("does not count by how much the clock was set forward", async () => {
    const it = made();
    it.pass(PERIOD_MS);
    it.setForward(60_000);
    expect(await it.time()).toBe(PERIOD_MS);
  });
});
