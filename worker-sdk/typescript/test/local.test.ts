import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import {
  Cancelled,
  type Context,
  current,
  currentOrUndefined,
  InvalidValueError,
  pipeline,
  runLocally,
  SerializationError,
  StepFailedError,
  StepTimeoutError,
  step,
  TerminalError,
  UsageError,
  WaitTimeoutError,
  workflow,
} from "../src/index.ts";

/** Runs the body of a workflow without a platform. */
function run<T>(
  body: (ctx: Context) => Promise<T>,
  options: Parameters<typeof runLocally>[2] = {},
): Promise<T> {
  return runLocally(workflow("test", body), undefined, { skipTime: true, ...options });
}

async function thrown(work: () => Promise<unknown>): Promise<Error> {
  try {
    await work();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

describe("calling without a platform", () => {
  test("a workflow called directly just runs", async () => {
    const greet = workflow("greet", async (ctx, input: { name: string }) => {
      const hello = await ctx.step("hello", () => "hello");
      return `${hello} ${input.name}`;
    });
    expect(await greet({ name: "Ada" })).toBe("hello Ada");
    const nothing = workflow("nothing", async () => 1);
    expect(await nothing()).toBe(1);
  });

  test("a step called outside of a workflow just runs, inside it is recorded", async () => {
    const double = step("double", async (n: number) => n * 2);
    expect(await double(4)).toBe(8);
    const key = step("key", async () => currentOrUndefined()?.runId);
    expect(await key()).toBeUndefined();
    const streamed = step("words", async function* () {
      yield "a";
      yield "b";
    });
    expect(await streamed()).toBe("ab");
    expect(await run(async () => [await double(1), await key()], { runId: "r" })).toEqual([2, "r"]);
  });

  test("schemas check and shape input and output", async () => {
    const definition = workflow(
      "w",
      {
        input: z.object({ n: z.coerce.number() }),
        output: z.string().transform((text) => text.length),
      },
      async (_ctx, { n }) => "x".repeat(n),
    );
    expect(await definition({ n: "3" })).toBe(3);
    const error = await thrown(() => definition({ n: "many" }));
    expect(error).toBeInstanceOf(InvalidValueError);
    expect((error as InvalidValueError).issues[0]?.path).toBe("n");
  });

  test("a workflow called inside of a run is refused, with what to write instead", async () => {
    const inner = workflow("inner", async () => 1);
    await expect(run(async () => inner())).rejects.toThrow(/ctx\.child\(inner/);
  });
});

describe("ctx.step", () => {
  test("its forms", async () => {
    async function compute(a: number, b: number) {
      return a + b;
    }
    const charge = step("charge", { retry: 2 }, async (amount: number) => `charged ${amount}`);
    const result = await run(
      async (ctx) => [
        await ctx.step("thunk", () => 1),
        await ctx.step(compute, 1, 2),
        await ctx.step("named", compute, [3, 4]),
        await ctx.step(charge, 5),
        await ctx.step(charge.with({ key: "k" }), 6),
        await ctx.step(
          "context",
          (s) => `${s.stepKey} ${s.attempt} ${s.idempotencyKey} ${s.runId}`,
        ),
      ],
      { runId: "r" },
    );
    expect(result).toEqual([1, 3, 7, "charged 5", "charged 6", "context 1 r/context r"]);
  });

  test("what is not a function is refused with the fix", async () => {
    const promise = await thrown(() => run((ctx) => ctx.step("x", Promise.resolve(1) as never)));
    expect(promise.message).toMatch(/ctx\.step\("x", \(\) => …\)/);
    await expect(
      run((ctx) =>
        ctx.step(
          (
            () => () =>
              1
          )(),
        ),
      ),
    ).rejects.toThrow(/has no name/);
    await expect(run((ctx) => ctx.step("x", () => 1, 5 as never))).rejects.toThrow(/in a list/);
    await expect(run((ctx) => ctx.step("", () => 1))).rejects.toThrow(/not empty/);
    await expect(run((ctx) => ctx.step("x", () => 1, { retires: 2 } as never))).rejects.toThrow(
      /retires/,
    );
    await expect(run((ctx) => ctx.step("n".repeat(201), () => 1))).rejects.toThrow(
      /200 are possible/,
    );
  });

  test("every kind of result comes back as it was, decoded", async () => {
    const values = [
      null,
      false,
      0,
      "",
      [],
      {},
      undefined,
      new Uint8Array(0),
      new Date(5),
      new Map([[1, 2]]),
      5n,
    ];
    const results = await run((ctx) =>
      ctx.map("values", values, (value, c) => c.step("it", () => value)),
    );
    expect(results).toStrictEqual(values);
    const list = [1];
    const copy = await run((ctx) => ctx.step("list", () => list));
    expect(copy).toEqual(list);
    expect(copy).not.toBe(list);
  });

  test("a result that cannot be recorded fails the step, once, without a new attempt", async () => {
    let calls = 0;
    const error = await thrown(() =>
      run((ctx) =>
        ctx.step(
          "bad",
          () => {
            calls += 1;
            return { deep: [() => 1] };
          },
          { retry: 3 },
        ),
      ),
    );
    expect(error).toBeInstanceOf(StepFailedError);
    expect(error).toMatchObject({ type: "SerializationError", stepKey: "bad", attempts: 1 });
    expect(error.message).toContain(".deep[0] is a function");
    expect(calls).toBe(1);
    await expect(
      run((ctx) => ctx.step("args", (f: () => void) => f, [() => undefined])),
    ).rejects.toThrow(SerializationError);
  });

  test("retries, and what ends them", async () => {
    const attempts: number[] = [];
    const flaky = await run((ctx) =>
      ctx.step(
        "flaky",
        (s) => {
          attempts.push(s.attempt);
          if (s.attempt < 3) throw new Error("again");
          return "done";
        },
        { retry: { maxAttempts: 5 } },
      ),
    );
    expect([flaky, attempts]).toEqual(["done", [1, 2, 3]]);
    class CardDeclined extends TerminalError {}
    for (const [error, retry] of [
      [new CardDeclined("no"), 5],
      [new TypeError("no"), { maxAttempts: 5, nonRetryable: ["TypeError"] }],
    ] as const) {
      const body = vi.fn(() => {
        throw error;
      });
      const failed = await thrown(() => run((ctx) => ctx.step("s", body, { retry })));
      expect(failed).toMatchObject({ type: error.constructor.name, message: "no", attempts: 1 });
      expect(body).toHaveBeenCalledTimes(1);
    }
  });

  test("the workflow's retry and timeout are its steps' defaults", async () => {
    let calls = 0;
    const definition = workflow("w", { retry: 3, stepTimeout: "1 h" }, async (ctx) => {
      const ok = await ctx.step("s", () => {
        calls += 1;
        if (calls < 3) throw new Error("x");
        return calls;
      });
      await ctx
        .step("own", () => Promise.reject(new Error("y")), { retry: 1 })
        .catch(() => undefined);
      return ok;
    });
    expect(await runLocally(definition, undefined, { skipTime: true })).toBe(3);
  });

  test("a caught failure has type, message, cause, details and key", async () => {
    const seen = await run(async (ctx) => {
      const caught = await ctx
        .step("pay", () => {
          throw new TerminalError("declined", {
            cause: new RangeError("limit"),
            details: { code: 51 },
          });
        })
        .catch((e: StepFailedError) => e);
      const { type, message, stepKey, attempts, details } = caught as StepFailedError;
      const cause = (caught as StepFailedError).cause as Error;
      return {
        type,
        message,
        stepKey,
        attempts,
        details,
        cause: cause.name,
        root: (cause.cause as Error).name,
      };
    });
    expect(seen).toEqual({
      type: "TerminalError",
      message: "declined",
      stepKey: "pay",
      attempts: 1,
      details: { code: 51 },
      cause: "TerminalError",
      root: "RangeError",
    });
  });

  test("a timeout aborts the attempt's signal and is retried", async () => {
    const reasons: unknown[] = [];
    const result = await run((ctx) =>
      ctx.step(
        "slow",
        async (s) => {
          if (s.attempt === 2) return "second";
          s.abortSignal.addEventListener("abort", () => reasons.push(s.abortSignal.reason));
          await sleep(5_000, undefined, { signal: s.abortSignal });
          return "first";
        },
        { timeout: 20, retry: 2 },
      ),
    );
    expect(result).toBe("second");
    expect(reasons).toHaveLength(1);
    const error = await thrown(() =>
      run((ctx) => ctx.step("slow", () => sleep(5_000, 0, { ref: false }), { timeout: 5 })),
    );
    expect(error).toMatchObject({ type: StepTimeoutError.name });
  });

  test("nested steps are named below their step, and a new attempt keeps those that are done", async () => {
    const calls: string[] = [];
    const result = await run((ctx) =>
      ctx.step(
        "outer",
        async (s) => {
          const a = await s.step("inner", () => {
            calls.push("inner");
            return 1;
          });
          // The outer ctx finds the scope that it is called in.
          const key = await ctx.step("inner", (t) => t.stepKey);
          if (s.attempt === 1) throw new Error("again");
          return [a, key];
        },
        { retry: 2 },
      ),
    );
    expect(result).toEqual([1, "outer/inner#2"]);
    expect(calls).toEqual(["inner"]);
  });

  test("a nested step that has failed for good is not tried again by the step around it", async () => {
    const outer = vi.fn();
    const error = await thrown(() =>
      run((ctx) =>
        ctx.step(
          "outer",
          async (s) => {
            outer();
            await s.step("inner", () => Promise.reject(new Error("dead")));
          },
          { retry: 5 },
        ),
      ),
    );
    expect(error).toMatchObject({ stepKey: "outer", message: "dead" });
    expect(outer).toHaveBeenCalledTimes(1);
  });
});

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

describe("branches", () => {
  test("all: results under their names or in their order, whoever is first", async () => {
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
    // @ts-expect-error a list of texts is no number
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
