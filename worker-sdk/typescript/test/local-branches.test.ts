import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import {
  Cancelled,
  current,
  pipeline,
  step,
  UsageError,
  WaitTimeoutError,
  workflow,
} from "../src/index.ts";

import { run, thrown } from "./support/local.ts";

describe("branches", () => {
  test("all: results under their names or in their order, no matter who is first", async () => {
    const named = await run((ctx) =>
      ctx.all({
        slow: () => ctx.step("s", () => sleep(20, "slow")),
        fast: (c) => c.step("s", (s) => s.stepKey),
      }),
    );
    expect(named).toEqual({ slow: "slow", fast: "all:fast/s" });
    const listed = await run((ctx) =>
      ctx.all([() => ctx.step("s", () => sleep(20, 1)), () => ctx.step("s", (s) => s.stepKey)]),
    );
    expect(listed).toEqual([1, "all:1/s"]);
    expect(await run((ctx) => ctx.all({}))).toEqual({});
    expect(await run((ctx) => ctx.all([]))).toEqual([]);
  });

  test("helpers find the branch that they are called in", async () => {
    const helper = async () => {
      await sleep(1);
      return current().step("deep", (s) => s.stepKey);
    };
    expect(await run((ctx) => ctx.all({ a: helper, b: () => ctx.scope("in", helper) }))).toEqual({
      a: "all:a/deep",
      b: "all:b/scope:in/deep",
    });
  });

  test("a failing branch aborts its siblings, starts nothing more in them, and throws once they have ended", async () => {
    const log: string[] = [];
    const error = await thrown(() =>
      run(
        async (ctx) => {
          await ctx.all({
            bad: async () => {
              await ctx.step("wait", () => sleep(10));
              await ctx.step("fail", () => Promise.reject(new Error("boom")));
            },
            running: async () => {
              await ctx.step("long", (s) =>
                sleep(5_000, "x", { signal: s.abortSignal }).finally(() => log.push("aborted")),
              );
            },
            stepping: async () => {
              for (let i = 0; i < 1_000; i += 1) await ctx.step("tick", () => sleep(1));
            },
            sleeping: () =>
              ctx.signal("never", { timeout: "1 h" }).catch((e: Error) => log.push(e.name)),
          });
        },
        { skipTime: false },
      ),
    );
    log.push("thrown");
    expect(error).toMatchObject({ message: "boom" });
    expect(log.sort()).toEqual(["Cancelled", "aborted", "thrown"]);
  });

  test("allSettled ends nobody", async () => {
    const result = await run((ctx) =>
      ctx.allSettled({
        bad: () => ctx.step("x", () => Promise.reject(new Error("no"))),
        good: () => ctx.step("x", () => sleep(5, 1)),
      }),
    );
    expect(result).toMatchObject({
      bad: { status: "rejected" },
      good: { status: "fulfilled", value: 1 },
    });
  });

  test("race: the first to end decides, the others are aborted and not waited for", async () => {
    let aborted = false;
    const result = await run(
      (ctx) =>
        ctx.race({
          work: () =>
            ctx.step("work", async (s) => {
              s.abortSignal.addEventListener("abort", () => {
                aborted = true;
              });
              await sleep(60_000, undefined, { ref: false });
              return "work";
            }),
          timeout: async () => {
            await ctx.sleep(10);
            return "timeout";
          },
        }),
      { skipTime: false },
    );
    expect(result).toBe("timeout");
    expect(aborted).toBe(true);
  });

  test("map: in order, with keys for scopes and a bound on what is under way", async () => {
    let under = 0;
    let most = 0;
    const keys = await run((ctx) =>
      ctx.map(
        "m",
        ["x", "y", "z/1"],
        { key: (item) => item, concurrency: 2 },
        async (item, c, i) => {
          under += 1;
          most = Math.max(most, under);
          await sleep(10 - 3 * i);
          const key = await c.step("s", (s) => s.stepKey);
          under -= 1;
          return [item, key];
        },
      ),
    );
    expect(keys).toEqual([
      ["x", "map:m/x/s"],
      ["y", "map:m/y/s"],
      ["z/1", "map:m/z%2F1/s"],
    ]);
    expect(most).toBe(2);
    await expect(run((ctx) => ctx.map("m", [1, 1], { key: (n) => n }, () => 1))).rejects.toThrow(
      /two items/,
    );
  });

  test("promises for branches are refused with the fix", async () => {
    await expect(run((ctx) => ctx.all({ a: ctx.step("s", () => 1) } as never))).rejects.toThrow(
      /ctx\.all\(\{ a: \(\) => ctx\.step/,
    );
    await expect(run((ctx) => ctx.race([]))).rejects.toThrow(UsageError);
  });
});

describe("waits and values", () => {
  test("signals in order, with timeout and default", async () => {
    const result = await run(
      async (ctx) => ({
        first: await ctx.signal("go"),
        second: await ctx.signal<string>("go"),
        none: await ctx.signal("go", { timeout: 5, default: "none" }),
      }),
      { signals: { go: [false, ""] } },
    );
    expect(result).toEqual({ first: false, second: "", none: "none" });
    await expect(run((ctx) => ctx.signal("go", { timeout: 5 }))).rejects.toThrow(WaitTimeoutError);
    await expect(run((ctx) => ctx.signal("go"))).rejects.toThrow(/runLocally/);
  });

  test("now, random and uuid", async () => {
    const [now, random, uuid] = await run(async (ctx) => [
      await ctx.now(),
      await ctx.random(),
      await ctx.uuid(),
    ]);
    expect(Math.abs(Number(now) - Date.now())).toBeLessThan(60_000);
    expect(random).toBeLessThan(1);
    expect(uuid).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("children: result, failure, and a refused input", async () => {
    const kid = workflow("kid", { input: z.object({ n: z.number() }) }, async (ctx, { n }) => {
      if (n < 0) throw new RangeError("negative");
      return ctx.step("double", () => n * 2);
    });
    expect(await run((ctx) => ctx.child(kid, { n: 2 }))).toBe(4);
    const failed = await thrown(() => run((ctx) => ctx.child(kid, { n: -1 })));
    expect(failed).toMatchObject({
      name: "StepFailedError",
      type: "RangeError",
      stepKey: "child:kid",
    });
    const refused = await run((ctx) =>
      ctx.child(kid, { n: "x" } as never).catch((e: Error) => e.name),
    );
    expect(refused).toBe("InvalidValueError");
  });
});

describe("cancelling", () => {
  test("aborts what is in flight, then lets the code clean up with steps", async () => {
    const controller = new AbortController();
    const log: string[] = [];
    const error = await thrown(() =>
      run(
        async (ctx) => {
          try {
            await ctx.all({
              body: () =>
                ctx.step("long", async (s) => {
                  setTimeout(() => controller.abort("stop it"), 10);
                  await sleep(5_000, undefined, { signal: s.abortSignal });
                }),
              wait: () => ctx.sleep("1 h"),
            });
          } catch (e) {
            log.push((e as Error).name);
            throw e;
          } finally {
            log.push(await ctx.step("clean up", () => "cleaned"));
          }
        },
        { skipTime: false, abortSignal: controller.signal },
      ),
    );
    expect(error).toBeInstanceOf(Cancelled);
    expect(log).toEqual(["Cancelled", "cleaned"]);
  });
});

describe("pipelines", () => {
  async function load(source: string): Promise<[string, number]> {
    return [source, 3];
  }
  async function repeat(text: string, times: number) {
    return Array.from({ length: times }, () => text);
  }
  async function join(list: string[]) {
    return list.join("+");
  }

  test("each output is the next input, tuples are spread, lists are not", async () => {
    expect(await pipeline("p", [load, repeat, join])("a")).toBe("a+a+a");
    expect(await pipeline("first", [repeat, join])(["b", 2])).toBe("b+b");
    const shout = step("shout", { retry: 2 }, async (text: string) => text.toUpperCase());
    expect(await pipeline("steps", [load, repeat, join, shout])("c")).toBe("C+C+C");
  });

  test("what does not fit is a type error, or one of schemas at definition", () => {
    async function half(n: number) {
      return n / 2;
    }
    // @ts-expect-error a list of strings is not a number
    pipeline("p", [load, repeat, half]);
    // @ts-expect-error two parameters need a tuple
    pipeline("p", [half, repeat]);
    const maybe = async (text: string, times = 2) => `${text}${times}`;
    // @ts-expect-error it could not be told whether to spread
    pipeline("p", [load, maybe]);
    const a = step("a", { output: z.object({ id: z.string() }) }, async (n: number) => ({
      id: String(n),
    }));
    const b = step("b", { input: z.object({ name: z.string() }) }, async (x: { id: string }) => x);
    expect(() => pipeline("p", [a, b])).toThrow(/"a" does not fit the input of "b".*"name"/);
    expect(() =>
      pipeline("p", [
        (
          () => async () =>
            1
        )(),
      ]),
    ).toThrow(/has no name/);
  });
});
