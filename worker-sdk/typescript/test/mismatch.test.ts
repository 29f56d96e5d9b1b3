import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type Context, workflow } from "../src/index.ts";
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

  test("the same where the code awaited something of its own in between", async () => {
    const uses: Readonly<Record<string, (ctx: Context, n: number) => Promise<unknown>>> = {
      price: (ctx) => ctx.step("price", () => sleep(100)),
      "user:Go?": (ctx) => ctx.waitForUser("Go?", { timeout: "1 h" }),
      "signal:go": (ctx) => ctx.signal("go"),
      "scope:part": (ctx) => ctx.scope("part", (c) => c.step("s", () => sleep(100))),
      "all:a": (ctx) => ctx.all({ a: (c) => c.step("s", () => sleep(100)) }),
      "map:items": (ctx) => ctx.map("items", [1], (_, c) => c.step("s", () => sleep(100))),
      "callback:callback": async (ctx) => (await ctx.callback()).result(),
    };
    for (const [name, use] of Object.entries(uses)) {
      const definition = workflow("w", (ctx) =>
        Promise.all([1, 2].map((n) => sleep(n * 10).then(() => use(ctx, n)))),
      );
      const { outcome } = await perform(definition, { sleepless: true });
      expect(failureOf(outcome), name).toMatchObject({ type: "AmbiguousStepKeyError" });
      expect(failureOf(outcome)?.message).toContain(`"${name}" is used for the 2nd time`);
    }
  });

  test("what its code alone puts in order is fine", async () => {
    const definition = workflow("w", async (ctx) => {
      const late = async (n: number) => {
        for (let i = 0; i < n; i += 1) await undefined;
        return ctx.step("microtasks", (s) => s.stepKey);
      };
      const other = ctx.step("other", () => sleep(60));
      // Beside something else that is in flight, one after the other.
      const loop = [await ctx.step("poll", (s) => sleep(5, s.stepKey))];
      await sleep(5);
      loop.push(await ctx.step("poll", (s) => sleep(5, s.stepKey)));
      await other;
      return [...(await Promise.all([late(3), late(1)])), ...loop];
    });
    const { result } = await perform(definition);
    expect(result).toEqual(["microtasks#2", "microtasks", "poll", "poll#2"]);
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
