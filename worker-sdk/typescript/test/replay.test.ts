import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type AnyWorkflow, type Context, step, workflow } from "../src/index.ts";
import {
  begin,
  type LinkOptions,
  type Outcome,
  RecordingLink,
  seeded,
} from "./support/recording-link.ts";

function keysOf(link: RecordingLink): string[] {
  return link.journal.filter((entry) => entry.stepKey !== "").map((entry) => entry.stepKey);
}

/** All keys, but for those of a race, whose losers may be recorded or not. */
function certainKeys(link: RecordingLink): string[] {
  return [...new Set(keysOf(link))].filter((key) => !/^all:[ab]\/r$/.test(key)).sort();
}

async function perform(
  definition: AnyWorkflow,
  options: LinkOptions = {},
  over: Parameters<typeof begin>[3] = {},
): Promise<{ link: RecordingLink; outcome: Outcome; result: unknown }> {
  const link = new RecordingLink(options);
  const run = begin(link, definition, undefined, over);
  const outcome = await link.outcome;
  const { request } = outcome;
  const data = request !== undefined && "output" in request ? request.output?.data : undefined;
  const result =
    data === undefined || data.length === 0
      ? undefined
      : (JSON.parse(Buffer.from(data).toString()) as unknown);
  run.leave("the test is over");
  return { link, outcome, result };
}

function failureOf(outcome: Outcome) {
  const { request } = outcome;
  return request !== undefined && "failure" in request ? request.failure : undefined;
}

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

  test("a superseded failure is executed again, and its attempts go on counting", async () => {
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
      /"store" is used for the 2nd time .*replay\.test\.ts:\d+:\d+/,
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

describe("suspension and the platform", () => {
  test("a run that only waits is given back, and its code neither sees nor can hinder it", async () => {
    const seen: string[] = [];
    const definition = workflow("w", async (ctx) => {
      try {
        await ctx.step("a", () => 1);
        await ctx.all({ one: () => ctx.signal("one"), two: () => ctx.signal("two") });
      } catch {
        seen.push("catch");
      } finally {
        seen.push("finally");
      }
    });
    const { outcome } = await perform(definition, { suspends: true });
    expect(outcome.kind).toBe("suspended");
    expect(outcome.request).toMatchObject({
      tree: {
        node: {
          value: {
            needed: 1,
            members: [
              { node: { value: "all:one/signal:one" } },
              { node: { value: "all:two/signal:two" } },
            ],
          },
        },
      },
    });
    await sleep(20);
    expect(seen).toEqual([]);
  });

  test("a step in flight keeps the run here", async () => {
    const definition = workflow("w", async (ctx) => {
      const [, done] = await ctx.all([
        () => ctx.signal("never", { timeout: "1 h" }).catch(() => "cancelled"),
        () =>
          ctx
            .step("long", () => sleep(100, "done"))
            .then((v) => {
              throw new Error(v);
            }),
      ]);
      return done;
    });
    const { outcome } = await perform(definition, { suspends: true });
    expect(failureOf(outcome)?.message).toBe("done");
  });

  test("while the platform is out of reach no step starts", async () => {
    const started: string[] = [];
    const definition = workflow("w", async (ctx) => {
      await ctx.step("a", (s) => void started.push(s.stepKey));
      await ctx.step("b", (s) => void started.push(s.stepKey));
    });
    const link = new RecordingLink();
    link.reachable = false;
    const run = begin(link, definition);
    await sleep(20);
    expect(started).toEqual([]);
    link.reachable = true;
    run.wake();
    expect((await link.outcome).kind).toBe("completed");
    expect(started).toEqual(["a", "b"]);
  });

  test("a paused run finishes what is in flight, starts nothing, and is given back", async () => {
    const started: string[] = [];
    const definition = workflow("w", async (ctx) => {
      await ctx.step("a", async (s) => {
        started.push(s.stepKey);
        await sleep(30);
      });
      await ctx.step("b", (s) => void started.push(s.stepKey));
    });
    const link = new RecordingLink({ suspends: true });
    const run = begin(link, definition);
    await sleep(5);
    run.pause();
    expect((await link.outcome).kind).toBe("suspended");
    expect(started).toEqual(["a"]);
    expect(keysOf(link)).toEqual(["a"]);
  });

  test("a lost lease aborts what runs, and settles nothing", async () => {
    const seen: string[] = [];
    const definition = workflow("w", async (ctx) => {
      try {
        await ctx.step("a", (s) => {
          s.abortSignal.addEventListener("abort", () => seen.push("aborted"));
          return sleep(20);
        });
      } finally {
        seen.push("finally");
      }
    });
    const link = new RecordingLink();
    const run = begin(link, definition);
    await sleep(5);
    run.leave("lost");
    await sleep(40);
    expect(seen).toEqual(["aborted"]);
    expect(link.journal).toEqual([]);
  });

  test("a cancelled run that is taken up again goes on with its clean-up", async () => {
    const executed: string[] = [];
    const note = (s: { stepKey: string }) => void executed.push(s.stepKey);
    const definition = workflow("w", async (ctx) => {
      await ctx.step("reserve", note);
      try {
        await ctx.step("charge", note);
        await ctx.step("ship", note);
      } finally {
        await ctx.step("release 1", note);
        await ctx.step("release 2", note);
      }
    });
    const whole = await perform(definition);
    const recorded = whole.link.journal.filter((entry) =>
      ["reserve", "charge", "release 1"].includes(entry.stepKey),
    );
    executed.length = 0;
    const again = await perform(
      definition,
      { journal: recorded.map((entry, i) => ({ ...entry, seq: i + 1 })) },
      { cancelling: true, fence: 5 },
    );
    expect(executed).toEqual(["release 2"]);
    expect(again.outcome.request).toMatchObject({ fence: 5, failure: { type: "Cancelled" } });
  });

  test("a step that had succeeded when it was cancelled is recorded", async () => {
    const definition = workflow("w", async (ctx) => {
      let charged = false;
      try {
        await ctx.step("charge", () => sleep(30));
        charged = true;
        await ctx.step("ship", () => 1);
      } finally {
        if (charged) await ctx.step("refund", () => 1);
      }
    });
    const link = new RecordingLink();
    const run = begin(link, definition);
    await sleep(5);
    run.cancel(2, "no longer wanted");
    const outcome = await link.outcome;
    expect(keysOf(link)).toEqual(["charge", "refund"]);
    expect(outcome.request).toMatchObject({
      fence: 2,
      failure: { type: "Cancelled", message: "no longer wanted" },
    });
  });
});
