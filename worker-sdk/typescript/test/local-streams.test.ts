import { describe, expect, test } from "vitest";

import { run } from "./support/local.ts";

describe("steps that yield", () => {
  async function* words(...list: string[]) {
    yield* list;
  }

  test.each([0, 1, 3])("%d items reduce to one kind of result", async (count) => {
    const list = ["a", "b", "c"].slice(0, count);
    const result = await run(async (ctx) => ({
      join: await ctx.step("join", () => words(...list)),
      collect: await ctx.step("collect", () => words(...list), { reduce: "collect" }),
      last: await ctx.step("last", async () => words(...list), { reduce: "last" }),
      own: await ctx.step("own", () => words(...list), {
        reduce: (items: string[]) => items.length,
      }),
    }));
    expect(result).toStrictEqual({
      join: list.join(""),
      collect: list,
      last: list.at(-1),
      own: count,
    });
  });

  test("the items are live output, in order, under the step's key", async () => {
    const events: unknown[] = [];
    await run(
      (ctx) =>
        ctx.step("gen", async function* (s) {
          yield "a";
          s.emit("lm.message.start", { model: "m" });
          yield "b";
          s.progress(1, 2, "half");
          s.log("info", "hi");
        }),
      { onEvent: (type, data, key) => events.push([type, data, key]) },
    );
    expect(events).toEqual([
      ["output.delta", "a", "gen"],
      ["lm.message.start", { model: "m" }, "gen"],
      ["output.delta", "b", "gen"],
      ["progress", { done: 1, total: 2, note: "half" }, "gen"],
      ["log", { level: "info", message: "hi" }, "gen"],
    ]);
  });

  test("what is not text needs to be told how to reduce; an error in the stream fails the attempt", async () => {
    async function* numbers() {
      yield 1;
    }
    await expect(run((ctx) => ctx.step("n", numbers as never))).rejects.toThrow(/reduce/);
    let tries = 0;
    const result = await run((ctx) =>
      ctx.step(
        "s",
        async function* () {
          tries += 1;
          yield `t${tries}`;
          if (tries === 1) throw new Error("cut");
        },
        { retry: 2 },
      ),
    );
    expect(result).toBe("t2");
  });
});
