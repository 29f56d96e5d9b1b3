import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type AnyWorkflow, type Context, step, workflow } from "../src/index.ts";
import { certainKeys, keysOf, perform } from "./support/perform.ts";
import { seeded } from "./support/recording-link.ts";

/** Counts executions by step key. */
class Executions {
  readonly counts = new Map<string, number>();
  note(key: string): void {
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
  }
}

function busyWorkflow(executions: Executions): AnyWorkflow {
  const noted = (value: unknown) => (s: { stepKey: string }) => {
    executions.note(s.stepKey);
    return value;
  };
  const fetchPage = step("fetch page", async (n: number) => ({ n }));
  return workflow("busy", async (ctx: Context) => {
    const out: unknown[] = [];
    for (let i = 0; i < 3; i += 1) out.push(await ctx.step("loop", noted(i)));
    out.push(
      await ctx.all({
        left: async () => [
          await ctx.step("same", noted("l1")),
          await ctx.step("same", noted("l2")),
        ],
        right: async (c) => {
          const first = await c.step("same", noted("r1"));
          await c.sleep("1 h");
          return [first, await c.step("same", noted("r2"))];
        },
      }),
    );
    out.push(
      await ctx.map("items", ["a", "b", "c"], { key: (k) => k, concurrency: 2 }, async (k, c) => [
        await c.step("one", noted(`${k}1`)),
        await c.step("two", noted(`${k}2`)),
      ]),
    );
    out.push(
      await ctx.step(
        "outer",
        async (s) => {
          executions.note(s.stepKey);
          const inner = await s.step("inner", noted(7));
          const both = await s.all([
            (c) => c.step("deep", noted(1)),
            (c) => c.step("deep", noted(2)),
          ]);
          return [inner, both];
        },
        { retry: 2 },
      ),
    );
    out.push(
      await ctx.step(
        "flaky",
        (s) => {
          executions.note(s.stepKey);
          if (s.attempt === 1) throw new Error("once");
          return "ok";
        },
        { retry: 3 },
      ),
    );
    const caught = await ctx
      .step("dead", () => Promise.reject(new RangeError("no")))
      .catch((e: Error) => e);
    out.push([(caught as Error).name, (caught as Error).message]);
    // The winner is the one that was recorded first, in every replay.
    out.push(
      await ctx.race({
        a: () => ctx.step("r", () => sleep(Math.random() < 0.5 ? 0 : 2, "a")),
        b: () => ctx.step("r", () => sleep(Math.random() < 0.5 ? 0 : 2, "b")),
      }),
    );
    out.push(await ctx.uuid(), await ctx.now(), await ctx.signal("go"));
    out.push(await fetchPage(3));
    return out;
  });
}

describe("replay", () => {
  test("from every prefix of its journal a run ends alike, and runs no recorded step again", async () => {
    const seed = Date.now() % 1_000_000;
    console.log(`replay seed ${seed}`);
    for (let round = 0; round < 3; round += 1) {
      const random = seeded(seed + round);
      const signals = () => ({ go: [{ ok: true }] });
      const whole = await perform(busyWorkflow(new Executions()), { random, signals: signals() });
      expect(whole.outcome.kind).toBe("completed");
      const { journal } = whole.link;
      for (let length = 0; length < journal.length; length += 1) {
        const executions = new Executions();
        const prefix = journal.slice(0, length);
        const again = await perform(busyWorkflow(executions), {
          journal: prefix,
          random,
          signals: signals(),
        });
        expect(again.outcome.kind, `prefix ${length}`).toBe("completed");
        const done = new Set(
          prefix
            .filter((entry) => entry.type === "workflow.step.completed")
            .map((entry) => entry.stepKey),
        );
        for (const key of executions.counts.keys())
          expect(done.has(key), `${key} ran again`).toBe(false);
        // What depends on a race or on recorded values is the same if it was recorded.
        if (length === journal.length - 1) expect(again.result).toEqual(whole.result);
        else
          expect((again.result as unknown[]).slice(0, 8)).toEqual(
            (whole.result as unknown[]).slice(0, 8),
          );
        const unconsumed = again.outcome.request as { unconsumedStepKeys?: string[] };
        expect(unconsumed.unconsumedStepKeys).toEqual([]);
        expect(certainKeys(again.link)).toEqual(certainKeys(whole.link));
      }
    }
  });

  test("user code that joins steps by itself sees them settle in the recorded order", async () => {
    const definition = workflow("order", async (ctx) => {
      const order: string[] = [];
      const watch = async (name: string, ms: number) => {
        await ctx.step(name, () => sleep(ms, name));
        order.push(name);
        await Promise.resolve();
        await Promise.resolve();
        if (order.length === 1) await ctx.step("first", () => name);
      };
      await Promise.all([watch("a", 20), watch("b", 5), watch("c", 40)]);
      const winner = await Promise.race([
        ctx.step("x", () => sleep(10, "x")),
        ctx.step("y", () => "y"),
      ]);
      return [order, winner];
    });
    const whole = await perform(definition);
    expect(whole.result).toEqual([["b", "a", "c"], "y"]);
    for (let length = 0; length <= whole.link.journal.length - 1; length += 1) {
      const again = await perform(definition, { journal: whole.link.journal.slice(0, length) });
      expect(again.result).toEqual(whole.result);
    }
  });

  test("acknowledgements that arrive together are handed out one by one, in journal order", async () => {
    const { Deliveries } = await import("../src/internal.ts");
    const deliveries = new Deliveries();
    const log: string[] = [];
    const settle = (seq: number) =>
      new Promise<void>((resolve) => deliveries.push(seq, resolve, false)).then(async () => {
        log.push(`${seq}`);
        for (let i = 0; i < 20; i += 1) await null;
        log.push(`after ${seq}`);
      });
    await Promise.all([settle(9), settle(3), settle(5)]);
    expect(log).toEqual(["3", "after 3", "5", "after 5", "9", "after 9"]);
  });

  test("a step inserted before the recorded ones runs, and the others keep their results", async () => {
    const before = workflow("w", async (ctx) => [
      await ctx.step("a", () => 1),
      await ctx.step("b", () => 2),
    ]);
    const { link } = await perform(before);
    const after = workflow("w", async (ctx) => [
      await ctx.step("new", () => 0),
      await ctx.step("a", () => "again"),
      await ctx.step("b", () => "again"),
    ]);
    const again = await perform(after, { journal: link.journal.slice(0, 2) });
    expect(again.result).toEqual([0, 1, 2]);
  });

  test("a step that is no longer asked for is told as a warning", async () => {
    const before = workflow("w", async (ctx) => [
      await ctx.step("a", () => 1),
      await ctx.step("b", () => 2),
    ]);
    const { link } = await perform(before);
    const after = workflow("w", async (ctx) => ctx.step("b", () => 2));
    const again = await perform(after, { journal: link.journal.slice(0, 2) });
    expect(again.outcome.request).toMatchObject({ unconsumedStepKeys: ["a"] });
  });

  test("a failing branch replays alike: its siblings' unrecorded steps do not start", async () => {
    const started: string[] = [];
    const definition = workflow("w", async (ctx) => {
      try {
        await ctx.all({
          late: async () => {
            await ctx.step("slow", async (s) => {
              started.push(s.stepKey);
              await sleep(5_000, undefined, { signal: s.abortSignal });
            });
          },
          bad: () => ctx.step("bad", () => sleep(5).then(() => Promise.reject(new Error("boom")))),
        });
      } catch (error) {
        return ctx.step("compensate", () => (error as Error).message);
      }
      return "not failed";
    });
    const whole = await perform(definition);
    expect(whole.result).toBe("boom");
    expect(keysOf(whole.link)).toEqual(["all:bad/bad", "compensate"]);
    started.length = 0;
    const again = await perform(definition, { journal: whole.link.journal.slice(0, 1) });
    expect(again.result).toBe("boom");
    expect(started).toEqual([]);
  });

  test("results of every kind replay as they were", async () => {
    const values = [
      null,
      false,
      0,
      "",
      [],
      {},
      undefined,
      new Uint8Array(0),
      new Date(7),
      new Map([["k", 1n]]),
    ];
    const seen: unknown[][] = [];
    const definition = workflow("w", async (ctx) => {
      const results: unknown[] = [];
      for (const value of values) results.push(await ctx.step("value", () => value));
      seen.push(results);
    });
    const whole = await perform(definition);
    await perform(definition, { journal: whole.link.journal.slice(0, values.length) });
    expect(seen).toHaveLength(2);
    expect(seen[0]).toStrictEqual(values);
    expect(seen[1]).toStrictEqual(values);
  });

  test("a superseded failure is executed again, and its attempts continue counting", async () => {
    const definition = workflow("w", async (ctx) =>
      ctx.step("s", (s) => (s.attempt < 2 ? Promise.reject(new Error("x")) : s.attempt)),
    );
    const first = await perform(definition);
    expect(first.outcome.kind).toBe("failed");
    expect(first.outcome.request).toMatchObject({ failedStepKeys: ["s"] });
    const { create } = await import("@bufbuild/protobuf");
    const { JournalEntrySchema } = await import("@pawl/proto");
    const retried = create(JournalEntrySchema, {
      seq: 3,
      type: "run.retried",
      details: { superseded: '["s"]' },
    });
    const again = await perform(definition, { journal: [...first.link.journal, retried] });
    expect(again.result).toBe(2);
  });

  test("the keys of failed steps are told innermost first, also from a replay", async () => {
    const definition = workflow("w", async (ctx) => {
      try {
        await ctx.step("outer", (s) => s.step("inner", () => Promise.reject(new Error("dead"))));
      } catch (error) {
        throw new Error("wrapped", { cause: error });
      }
    });
    const whole = await perform(definition);
    expect(whole.outcome.request).toMatchObject({ failedStepKeys: ["outer/inner", "outer"] });
    const again = await perform(definition, { journal: whole.link.journal.slice(0, 2) });
    expect(again.outcome.request).toMatchObject({ failedStepKeys: ["outer/inner", "outer"] });
  });
});
