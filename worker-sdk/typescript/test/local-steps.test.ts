import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import {
  Cancelled,
  type Context,
  currentOrUndefined,
  InvalidValueError,
  runLocally,
  SerializationError,
  StepFailedError,
  StepTimeoutError,
  step,
  TerminalError,
  workflow,
} from "../src/index.ts";

import { run, thrown } from "./support/local.ts";

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
    await expect(run((ctx) => ctx.step("n".repeat(201), () => 1))).rejects.toThrow(/limit 200/);
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

  test("a run that is cancelled while it undoes a failure ends as cancelled", async () => {
    const controller = new AbortController();
    const undone: string[] = [];
    const order = async (ctx: Context) => {
      ctx.compensate("refund", async () => {
        controller.abort("enough");
        await sleep(20);
        undone.push("refund");
      });
      throw new TerminalError("no stock");
    };
    const error = await thrown(() => run(order, { abortSignal: controller.signal }));
    expect(error).toBeInstanceOf(Cancelled);
    expect(undone).toEqual(["refund"]);
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

describe("signals one after the other", () => {
  test("are handed out in order, and end at a timeout", async () => {
    const seen = await run(
      async (ctx) => {
        const payloads: unknown[] = [await ctx.signal("order")];
        for await (const order of ctx.signals<number>("order", { timeout: "1 h" }))
          payloads.push(await ctx.step("handle", () => order));
        return payloads;
      },
      { signals: { order: [1, 2, 3] } },
    );
    expect(seen).toEqual([1, 2, 3]);
  });

  test("a loop that is left takes no more, and what was awaited by hand ends", async () => {
    const seen = await run(
      async (ctx) => {
        const all: unknown[] = [];
        const orders = ctx.signals<number>("order");
        for await (const order of orders) {
          all.push(order);
          if (all.length === 2) break;
        }
        all.push(await orders.next());
        const others = ctx.signals("other", { timeout: "1 h" });
        const pending = others.next();
        await others.return?.();
        all.push(await pending, await ctx.signal("order"));
        return all;
      },
      { signals: { order: [1, 2, 3] } },
    );
    const done = { done: true, value: undefined };
    expect(seen).toEqual([1, 2, done, done, 3]);
  });
});
