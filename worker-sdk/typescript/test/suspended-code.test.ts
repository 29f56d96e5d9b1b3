/**
 * Goal: user code neither notices a suspension nor can hinder it, whatever is around the wait; and
 * once the wait is resolved it continues from there, its clean-up blocks running once.
 * Method: every wait in every surrounding, suspended, left alone for a while, then replayed from the
 * journal with the wait resolved.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { JournalEntrySchema, StepKind, WaitOutcome } from "@pawl/proto";
import { describe, expect, test } from "vitest";
import { type Context, workflow } from "../src/index.ts";
import { encode, payloadOf } from "../src/internal.ts";
import { perform } from "./support/perform.ts";
import { begin, RecordingLink } from "./support/recording-link.ts";

interface Wait {
  readonly open: (ctx: Context) => Promise<unknown>;
  readonly kind: StepKind;
  readonly key: string;
}

const child = workflow("kid", async () => 1);
const waits: Record<string, Wait> = {
  sleep: { open: (ctx) => ctx.sleep("1 day"), kind: StepKind.SLEEP, key: "sleep:sleep" },
  sleepUntil: {
    open: (ctx) => ctx.sleepUntil(Date.now() + 86_400_000),
    kind: StepKind.SLEEP,
    key: "sleep:sleep",
  },
  signal: { open: (ctx) => ctx.signal("go"), kind: StepKind.SIGNAL, key: "signal:go" },
  signals: {
    open: async (ctx) => {
      for await (const one of ctx.signals("go")) return one;
      return "no signal";
    },
    kind: StepKind.SIGNAL,
    key: "signals:go/signal:go",
  },
  "sleepUntil a cron time": {
    open: (ctx) => ctx.sleepUntil({ cron: "0 9 * * *" }),
    kind: StepKind.SLEEP,
    key: "sleep:sleep",
  },
  waitForUser: {
    open: (ctx) => ctx.waitForUser("Why?"),
    kind: StepKind.USER,
    key: "user:Why?",
  },
  approval: {
    open: (ctx) => ctx.approval("Pay?", { approvers: "ada" }),
    kind: StepKind.USER,
    key: "approval:Pay?/user:round",
  },
  callback: {
    open: async (ctx) => (await ctx.callback("paid")).result(),
    kind: StepKind.CALLBACK,
    key: "callback:paid",
  },
  child: { open: (ctx) => ctx.child(child, undefined), kind: StepKind.CHILD, key: "child:kid" },
};

/** Runs the wait with code around it; `seen` notes what that code notices. */
type Around = (wait: (ctx: Context) => Promise<unknown>, ctx: Context, seen: string[]) => unknown;

const surroundings: Record<string, { around: Around; prefix?: string; resumed: string[] }> = {
  "try, catch, finally": {
    around: async (wait, ctx, seen) => {
      try {
        await wait(ctx);
      } catch {
        seen.push("catch");
      } finally {
        seen.push("finally");
      }
    },
    resumed: ["finally"],
  },
  "a catch that swallows and continues with a step": {
    around: async (wait, ctx, seen) => {
      await wait(ctx).catch(() => ctx.step("instead", () => seen.push("step")));
    },
    resumed: [],
  },
  "then and finally": {
    around: (wait, ctx, seen) => wait(ctx).finally(() => seen.push("finally")),
    resumed: ["finally"],
  },
  "a resource": {
    around: async (wait, ctx, seen) => {
      await using _held = { [Symbol.asyncDispose]: async () => void seen.push("disposed") };
      await wait(ctx);
    },
    resumed: ["disposed"],
  },
  "Promise.race": {
    around: (wait, ctx) => Promise.race([wait(ctx), new Promise(() => undefined)]),
    resumed: [],
  },
  "Promise.all": {
    around: async (wait, ctx, seen) => {
      await Promise.all([wait(ctx), ctx.step("beside", () => 1)]).finally(() => seen.push("all"));
    },
    resumed: ["all"],
  },
  "Promise.any and allSettled": {
    around: async (wait, ctx, seen) => {
      await Promise.allSettled([Promise.any([wait(ctx), Promise.reject(new Error("no"))])]);
      seen.push("settled");
    },
    resumed: ["settled"],
  },
  "an abort listener": {
    around: async (wait, ctx, seen) => {
      ctx.abortSignal.addEventListener("abort", () => seen.push("aborted"));
      await wait(ctx);
    },
    resumed: ["aborted"], // by the end of the run
  },
  "a generator": {
    around: async (wait, ctx, seen) => {
      async function* items() {
        try {
          yield await wait(ctx);
        } finally {
          seen.push("finally");
        }
      }
      for await (const _ of items()) seen.push("item");
    },
    resumed: ["item", "finally"],
  },
  "ctx.all": {
    around: (wait, ctx, seen) =>
      ctx.all({ it: (inner) => wait(inner).finally(() => seen.push("branch")) }),
    prefix: "all:it/",
    resumed: ["branch"],
  },
  "ctx.race": {
    around: (wait, ctx, seen) =>
      ctx.race({
        it: wait,
        other: (inner) => inner.signal("never").catch(() => seen.push("lost")),
      }),
    prefix: "all:it/",
    resumed: [],
  },
};

describe.each(Object.entries(waits))("%s", (_wait, { open, kind, key }) => {
  test.each(Object.entries(surroundings))("in %s", async (_name, { around, prefix, resumed }) => {
    const seen: string[] = [];
    const definition = workflow("w", async (ctx) => {
      await around(open, ctx, seen);
      return "continued";
    });
    const link = new RecordingLink({ suspends: true, sleepless: true });
    begin(link, definition);
    expect((await link.outcome).kind).toBe("suspended");
    await sleep(5);
    expect(seen).toEqual([]);

    const payload = payloadOf(encode(1, "a payload"));
    const resolved = create(JournalEntrySchema, {
      type: "workflow.wait.resolved",
      seq: link.journal.length + 1,
      stepKey: `${prefix ?? ""}${key}`,
      kind,
      outcome: kind === StepKind.SLEEP ? WaitOutcome.FIRED : WaitOutcome.SIGNALLED,
      ...(kind === StepKind.SLEEP ? {} : { payload }),
    });
    const second = await perform(definition, { journal: [...link.journal, resolved] });
    expect(second.result).toBe("continued");
    expect(seen.filter((one) => one !== "lost")).toEqual(resumed);
  });
});
