/**
 * Goal: the server takes durations in every form that the SDKs take.
 * Method: all units with and without blanks, sums, and texts that are close to a duration.
 */
import { expect, test } from "vitest";
import { DURATION_PATTERN, durationOf } from "./duration.ts";

test.each([
  ["500ms", 500],
  ["30s", 30_000],
  ["30 s", 30_000],
  [" 5m ", 300_000],
  ["5 min", 300_000],
  ["2 mins", 120_000],
  ["1.5 h", 5_400_000],
  ["3 hrs", 10_800_000],
  ["1 day", 86_400_000],
  ["2 Days", 172_800_000],
  ["1w", 604_800_000],
  ["1h 30m", 5_400_000],
  ["1h30m5s", 5_405_000],
  ["0s", 0],
])("%j is %d ms", (text, ms) => {
  expect(durationOf(text)).toBe(ms);
  expect(text.toLowerCase()).toMatch(new RegExp(DURATION_PATTERN));
});

test.each(["", " ", "5", "s", "5x", "-5s", "1e3s", "5s!", "5 s and more", "1h 30", ".5s", "5..5s"])(
  "%j is not a duration",
  (text) => {
    expect(durationOf(text)).toBeUndefined();
    expect(text).not.toMatch(new RegExp(DURATION_PATTERN));
  },
);

test("a long text is refused in linear time", () => {
  const before = performance.now();
  expect(durationOf(`${"1s ".repeat(20_000)}${" ".repeat(20_000)}x`)).toBeUndefined();
  expect(performance.now() - before).toBeLessThan(2_000);
});
