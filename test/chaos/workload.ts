/**
 * What runs during a drill. Every step notes in the file of side effects that it executes, and the
 * workflow notes when its result has arrived back. A result carries a nonce that no other execution
 * makes, so that results which are lost, mixed up or recorded twice are seen; the runs' outputs
 * hold no nonces, and depend on the input alone.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import {
  type Context,
  type RetryOptions,
  StepFailedError,
  TerminalError,
  workflow,
} from "@pawl/worker";
import type { EffectSink } from "./effects.ts";

/** What a step results in. */
export interface Noted<T> {
  readonly key: string;
  readonly nonce: string;
  readonly value: T;
}

/** A run that a drill starts. */
export interface Start {
  readonly workflow: string;
  readonly runId: string;
  readonly input: unknown;
  /** Signals that it waits for. */
  readonly signals?: readonly string[];
}

/** The runs of a round, the same in each. `children` are started by their parents. */
export const starts: readonly Start[] = [
  { workflow: "chain", runId: "chain-1", input: { steps: 24, ms: 30 } },
  { workflow: "chain", runId: "chain-2", input: { steps: 12, ms: 60 } },
  { workflow: "fan", runId: "fan-1", input: { items: ["a", "b", "c", "d", "e"] } },
  { workflow: "nest", runId: "nest-1", input: { depth: 3 } },
  { workflow: "stubborn", runId: "stubborn-1", input: { failures: 2 } },
  { workflow: "family", runId: "family-1", input: { children: 3 } },
  { workflow: "nap", runId: "nap-1", input: { ms: 1_100 }, signals: ["go", "on"] },
  { workflow: "mix", runId: "mix-1", input: { naps: 3 }, signals: ["mid"] },
  { workflow: "mended", runId: "mended-1", input: { steps: 4 } },
];

/** Child runs that `starts` lead to. */
export const childCount = 4;

/** Waits on purpose, failures on purpose: what a step does besides its work. */
interface Behaviour {
  readonly ms: number;
  /** The attempts up to this one fail. */
  readonly failUntil?: number;
  /** Fails for good, each time. */
  readonly hopeless?: boolean;
}

/** The workflows of a drill, with their effects going to the sink. */
/**
 * Workers are killed at random here, however often, which says nothing about the steps that were in flight.
 * As without a policy, there is one attempt.
 */
const NO_CULPRIT: RetryOptions = { maxAttempts: 1, maxCrashes: 1_000 };

export function createWorkload(note: EffectSink) {
  /** A step that is noted. `make` computes its value, and may ask for further steps inside. */
  async function step<T>(
    ctx: Context,
    name: string,
    behaviour: Behaviour,
    make: (ctx: Context) => T | Promise<T>,
    options: { readonly retry?: RetryOptions } = {},
  ): Promise<T> {
    const run = ctx.runId;
    try {
      const result = await ctx.step(
        name,
        async (inner): Promise<Noted<T>> => {
          const nonce = randomUUID();
          const { stepKey: key, attempt } = inner;
          note({ kind: "executed", run, key, attempt, nonce });
          await pause(behaviour.ms);
          if (behaviour.hopeless) throw new TerminalError("hopeless");
          if (attempt <= (behaviour.failUntil ?? 0)) throw new Error("not yet");
          return { key, nonce, value: await make(inner) };
        },
        { ...options, retry: { ...NO_CULPRIT, ...options.retry } },
      );
      note({ kind: "acknowledged", run, key: result.key, attempt: 0, nonce: result.nonce });
      return result.value;
    } catch (error) {
      if (error instanceof StepFailedError) {
        const { stepKey, attempts } = error;
        note({ kind: "refused", run, key: stepKey, attempt: attempts, nonce: "" });
      }
      throw error;
    }
  }

  /** One step after the other, all of one name. */
  const chain = workflow(
    "chain",
    async (ctx: Context, { steps, ms }: { steps: number; ms: number }) => {
      let sum = 0;
      for (let i = 0; i < steps; i += 1) {
        sum = await step(ctx, "link", { ms: ms / 2 + ((i * 7) % ms) }, () => sum * 3 + i);
        sum %= 1_000_003;
      }
      return { sum };
    },
  );

  /** Branches concurrently, in which names repeat. */
  const fan = workflow("fan", async (ctx: Context, { items }: { items: string[] }) => {
    const mapped = await ctx.map(
      "item",
      items,
      { key: (item) => item, concurrency: 3 },
      async (item, ctx) => {
        const once = await step(ctx, "double", { ms: 25 }, () => item + item);
        return step(ctx, "double", { ms: 40 }, () => once + once);
      },
    );
    const both = await ctx.all({
      left: (ctx) => pair(ctx, "l"),
      right: (ctx) => pair(ctx, "r"),
    });
    return { mapped, both };
  });

  async function pair(ctx: Context, side: string): Promise<string> {
    const first = await step(ctx, "same", { ms: 30 }, () => `${side}1`);
    const second = await step(ctx, "same", { ms: 130 }, () => `${side}2`);
    return first + second;
  }

  /** Steps inside of steps, a value that is drawn by lot, and a scope. */
  const nest = workflow("nest", async (ctx: Context, { depth }: { depth: number }) => {
    const drawn = await ctx.uuid();
    note({ kind: "acknowledged", run: ctx.runId, key: "(uuid)", attempt: 0, nonce: drawn });
    const levels = await level(ctx, depth);
    const scoped = await ctx.scope("after", (ctx) =>
      step(ctx, "level", { ms: 40 }, () => "scoped"),
    );
    return { levels, scoped, drawn: drawn.length };
  });

  function level(ctx: Context, depth: number): Promise<string> {
    return step(ctx, "level", { ms: 30 }, async (ctx) => {
      const leaf = await step(ctx, "leaf", { ms: 40 }, () => `leaf ${depth}`);
      return depth === 1 ? leaf : `${leaf} (${await level(ctx, depth - 1)})`;
    });
  }

  /** Attempts that fail, and a final failure that is caught. */
  const stubborn = workflow(
    "stubborn",
    async (ctx: Context, { failures }: { failures: number }) => {
      const retry = { maxAttempts: failures + 1, backoff: [60, 150] };
      const first = await step(ctx, "try", { ms: 40, failUntil: failures }, () => "done", {
        retry,
      });
      let caught = "";
      try {
        await step(ctx, "never", { ms: 40, hopeless: true }, () => "");
      } catch (error) {
        caught =
          error instanceof StepFailedError ? `${error.type}: ${error.message}` : String(error);
      }
      const second = await step(ctx, "try", { ms: 120, failUntil: 1 }, () => "done too", { retry });
      return { first, caught, second };
    },
  );

  /** Child runs, concurrently and one that follows. */
  const family = workflow("family", async (ctx: Context, { children }: { children: number }) => {
    const before = await step(ctx, "prepare", { ms: 30 }, () => children);
    const numbers = Array.from({ length: before }, (_, i) => i);
    const sums = await ctx.map("child", numbers, async (i, ctx) => {
      const { sum } = await ctx.child(chain, { steps: 3 + i, ms: 40 });
      return sum;
    });
    const last = await ctx.child(chain, { steps: 3, ms: 20 });
    return { sums, last: await step(ctx, "finish", { ms: 30 }, () => last.sum + 1) };
  });

  /** A timer and two signals, with steps between them. */
  const nap = workflow("nap", async (ctx: Context, { ms }: { ms: number }) => {
    const before = await step(ctx, "before", { ms: 30 }, () => "before");
    await ctx.sleep(ms);
    const go = await ctx.signal<string>("go");
    const between = await step(ctx, "between", { ms: 40 }, () => "between");
    const on = await ctx.signal<string>("on");
    return { before, go, between, on, after: await step(ctx, "after", { ms: 30 }, () => "after") };
  });

  /** Waits of all kinds, short enough to be waited for in the worker, beside a branch that works. */
  const mix = workflow("mix", async (ctx: Context, { naps }: { naps: number }) => {
    const busy = async (ctx: Context) => {
      let count = 0;
      for (let i = 0; i < 12; i += 1) count = await step(ctx, "work", { ms: 80 }, () => count + 1);
      return count;
    };
    const idle = async (ctx: Context) => {
      let text = "";
      for (let i = 0; i < naps; i += 1) {
        await ctx.sleep(250);
        text += await step(ctx, "note", { ms: 20 }, () => `nap ${i};`);
      }
      return text;
    };
    return ctx.all({ busy, idle, signal: (ctx) => ctx.signal<string>("mid") });
  });

  /** Fails as a run; the drill has it tried again from the failed step. */
  const mended = workflow("mended", async (ctx: Context, { steps }: { steps: number }) => {
    let text = "";
    for (let i = 0; i < steps; i += 1)
      text += await step(ctx, "whole", { ms: 35 }, () => String(i));
    text += await step(ctx, "broken", { ms: 60, failUntil: 1 }, () => "mended");
    return { text: text + (await step(ctx, "whole", { ms: 35 }, () => "!")) };
  });

  return { chain, fan, nest, stubborn, family, nap, mix, mended };
}
