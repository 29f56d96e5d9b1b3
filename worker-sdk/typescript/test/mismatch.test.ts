import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { workflow } from "../src/index.ts";
import { failureOf, perform } from "./support/perform.ts";

describe("what does not fit", () => {
  test("other arguments than the recorded ones pause the run, with both sides", async () => {
    const make = (n: number) => workflow("w", async (ctx) => ctx.step("s", (x: number) => x, [n]));
    const { link } = await perform(make(1));
    const again = await perform(make(2), { journal: link.journal.slice(0, 1) });
    expect(again.outcome.kind).toBe("failed");
    expect(again.outcome.request).toMatchObject({
      nonDeterminism: { stepKey: "s", recorded: /input/, attempted: /input/ } as object,
      failure: { type: "NonDeterminismError" },
    });
  });

  test("another version of a step pauses the run", async () => {
    const make = (version: string) =>
      workflow("w", async (ctx) => ctx.step("s", () => 1, { version }));
    const { link } = await perform(make("1"));
    const again = await perform(make("2"), { journal: link.journal.slice(0, 1) });
    expect(again.outcome.request).toMatchObject({ nonDeterminism: { stepKey: "s" } });
  });

  test("a name used again after an await, beside a sibling in flight, fails on the first run, with the line", async () => {
    const caught: unknown[] = [];
    const definition = workflow("w", async (ctx) => {
      const flow = async (n: number) => {
        await ctx.step(`fetch ${n}`, () => sleep(n * 5));
        await ctx.step("store", () => sleep(20)).catch((e: unknown) => caught.push(e));
      };
      await Promise.all([flow(1), flow(2)]);
    });
    const { outcome } = await perform(definition);
    expect(outcome.kind).toBe("failed");
    expect(failureOf(outcome)?.type).toBe("AmbiguousStepKeyError");
    expect(failureOf(outcome)?.message).toMatch(
      /"store" is used for the 2nd time .*mismatch\.test\.ts:\d+:\d+/,
    );
  });

  test("the same in one turn, with keys, or in branches is fine", async () => {
    const definition = workflow("w", async (ctx) => {
      const turn = await Promise.all(
        [1, 2, 3].map((n) => ctx.step("turn", (s) => sleep(10 - n, s.stepKey))),
      );
      const keyed = await Promise.all(
        [1, 2].map(async (n) => {
          await ctx.step("a", () => sleep(n), { key: n });
          return ctx.step("b", (s) => s.stepKey, { key: n });
        }),
      );
      const branches = await ctx.map("m", [1, 2], async (n, c) => {
        await c.step("a", () => sleep(n));
        return c.step("a", (s) => s.stepKey);
      });
      return [turn, keyed, branches];
    });
    const { result } = await perform(definition);
    expect(result).toEqual([
      ["turn", "turn#2", "turn#3"],
      ["b[1]", "b[2]"],
      ["map:m/0/a#2", "map:m/1/a#2"],
    ]);
    const twice = await perform(
      workflow("w", (ctx) =>
        Promise.all([ctx.step("a", () => 1, { key: "k" }), ctx.step("a", () => 1, { key: "k" })]),
      ),
    );
    expect(failureOf(twice.outcome)?.message).toMatch(/used twice/);
  });
});
