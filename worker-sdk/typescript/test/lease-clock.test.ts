import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LeaseClock } from "../src/worker/lease-clock.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
afterEach(() => void vi.useRealTimers());

/** A clock of a session that has just been welcomed. */
function welcomed(): LeaseClock {
  const clock = new LeaseClock();
  clock.leaseMs = 1_000;
  clock.restart();
  clock.answered();
  return clock;
}

test("nothing holds before Welcome, then for the lease time from Hello on", () => {
  const clock = new LeaseClock();
  clock.restart();
  expect(clock.holds).toBe(false);
  clock.leaseMs = 1_000;
  vi.advanceTimersByTime(300);
  clock.answered();
  vi.advanceTimersByTime(699);
  expect(clock.holds).toBe(true);
  vi.advanceTimersByTime(1);
  expect(clock.holds).toBe(false);
});

test("an old answer that is read late says nothing about now", () => {
  const clock = welcomed();
  vi.advanceTimersByTime(500);
  clock.sent();
  // The process stands still; then it sends the next heartbeat, and reads the answer to the first.
  vi.advanceTimersByTime(2_000);
  clock.sent();
  clock.answered();
  expect(clock.holds).toBe(false);
  clock.answered();
  expect(clock.holds).toBe(true);
});

test("a refused heartbeat vouches for nothing, and the next one does", () => {
  const clock = welcomed();
  vi.advanceTimersByTime(900);
  clock.sent();
  clock.refused();
  vi.advanceTimersByTime(200);
  expect(clock.holds).toBe(false);
  clock.sent();
  clock.answered();
  expect(clock.holds).toBe(true);
});
