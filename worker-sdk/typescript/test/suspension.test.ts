import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { step, workflow } from "../src/index.ts";
import { failureOf, keysOf, perform } from "./support/perform.ts";
import { begin, RecordingLink } from "./support/recording-link.ts";

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

  test("a pause lets a step in flight finish with the steps inside of it, and starts none beside it", async () => {
    const definition = workflow("w", async (ctx) => {
      await ctx.all({
        outer: (ctx) =>
          ctx.step("outer", async (s) => {
            await s.step("first", () => sleep(30));
            await s.map("each", [1, 2], (_, s) => s.step("one", () => sleep(5)));
          }),
        beside: async (ctx) => {
          await ctx.step("short", () => sleep(5));
          await ctx.step("never", () => 1);
        },
      });
    });
    const link = new RecordingLink({ suspends: true });
    const run = begin(link, definition);
    await sleep(2);
    run.pause();
    expect((await link.outcome).kind).toBe("suspended");
    expect(keysOf(link)).toEqual([
      "all:beside/short",
      "all:outer/outer/first",
      "all:outer/outer/map:each/0/one",
      "all:outer/outer/map:each/1/one",
      "all:outer/outer",
    ]);
  });

  test("a body that only waits does not keep a pause from taking effect", async () => {
    const aborted: string[] = [];
    const definition = workflow("w", (ctx) => {
      ctx.abortSignal.addEventListener("abort", () => aborted.push("run"));
      return ctx.step("outer", (s) => {
        s.abortSignal.addEventListener("abort", () => aborted.push("outer"));
        return s.step("inner", (s) => s.signal("never", { timeout: "1 h" }));
      });
    });
    const link = new RecordingLink({ suspends: true });
    const run = begin(link, definition);
    await sleep(2);
    run.pause();
    expect(await link.outcome).toMatchObject({ kind: "suspended", request: { fence: 1 } });
    expect(link.starts).toEqual(["outer/inner/signal:never"]);
    expect(link.journal).toEqual([]);
    await sleep(5);
    expect(aborted).toEqual(["outer"]);
  });

  test("a step that fails while nobody awaits it does not end the process", async () => {
    const dead = step("dead", () => Promise.reject(new Error("unheard")));
    const definition = workflow("w", async (ctx) => {
      void ctx.step("thunk", () => Promise.reject(new Error("unheard")));
      void dead();
      void ctx.all([() => ctx.step("branch", () => Promise.reject(new Error("unheard")))]);
      return ctx.step("a", () => sleep(30, "fine"));
    });
    expect((await perform(definition)).result).toBe("fine");
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

  test("a cancelled run that is taken up again continues with its clean-up", async () => {
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

  test("a step in flight is thrown at once its body has ended, and clean-up runs", async () => {
    const definition = workflow("w", async (ctx) => {
      try {
        await ctx.step("work", () => sleep(30));
        await ctx.step("never", () => 1);
      } finally {
        await ctx.step("unlock", () => 1);
      }
    });
    const link = new RecordingLink();
    const run = begin(link, definition);
    await sleep(5);
    run.cancel(2, "no longer wanted");
    const outcome = await link.outcome;
    expect([link.stopped, keysOf(link)]).toEqual([["work"], ["unlock"]]);
    expect(outcome.request).toMatchObject({
      fence: 2,
      failure: { type: "Cancelled", message: "no longer wanted" },
    });
  });

  test("a body that ignores the cancel is left to itself, in every branch; compensations are announced", async () => {
    const undone: string[] = [];
    const forever = () => new Promise(() => undefined);
    const definition = workflow("w", async (ctx) => {
      ctx.compensate("refund", () => undone.push("refund"));
      ctx.compensate("release", () => undone.push("release"));
      await ctx.all(
        ["a", "b"].map((name) => async (branch) => {
          try {
            await branch.step("deaf", forever);
          } finally {
            await sleep(name === "a" ? 0 : 40);
            await branch.step("unlock", () => undone.push(name));
          }
        }),
      );
    });
    const link = new RecordingLink();
    const run = begin(link, definition);
    await sleep(5);
    run.cancel(2, "no longer wanted", 80);
    expect((await link.outcome).kind).toBe("failed");
    expect(link.stopped.sort()).toEqual(["all:0/deaf", "all:1/deaf"]);
    expect(undone).toEqual(["a", "b", "release", "refund"]);
    expect(link.announced).toEqual(["compensate:release", "compensate:refund"]);
  });

  test("a step that nobody awaits is waited for, and its failure is the run's", async () => {
    const link = new RecordingLink();
    const leak = workflow("leak", async (ctx) => {
      void ctx.step("late", () => sleep(20));
      return "returned";
    });
    begin(link, leak);
    expect((await link.outcome).kind).toBe("completed");
    expect(keysOf(link)).toEqual(["late"]);
    const failing = new RecordingLink();
    begin(
      failing,
      workflow("failing", async (ctx) => {
        void ctx.step("late", async () => {
          await sleep(20);
          throw new Error("too late");
        });
      }),
    );
    expect(failureOf(await failing.outcome)).toMatchObject({ message: "too late" });
  });
});
