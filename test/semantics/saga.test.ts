/**
 * Goal: what a run did is undone once and in reverse when it fails or is cancelled, no matter who dies
 * meanwhile, and a cancelled run cleans up wherever it is.
 * Method: workflows over sessions and by polling on both stores; bodies count how often they ran.
 * Workers die by SIGKILL in the example's test.
 */
import { once } from "node:events";
import {
  Cancelled,
  type Client,
  type Context,
  constant,
  type RunHandle,
  TerminalError,
  type Worker,
  workflow,
} from "@pawl/worker";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sleep, stores } from "./lab.ts";
import { SdkLab } from "./sdk-lab.ts";

const modes = ["stream", "poll"] as const;

describe.each(stores)("%s", (store) => {
  let lab: SdkLab;
  let client: Client;
  beforeAll(async () => {
    lab = await SdkLab.open(store, "saga");
    ({ client } = lab);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  function work(
    definition: ConstructorParameters<typeof Worker>[0]["workflows"][number],
    mode: (typeof modes)[number],
  ): Promise<Worker> {
    const workerId = `w-${crypto.randomUUID().slice(0, 8)}`;
    return lab.work({ workflows: [definition], mode, workerId, drainTimeout: "1 s" });
  }

  async function until(run: RunHandle<unknown>, ...statuses: string[]): Promise<void> {
    for (let waited = 0; waited < 15_000; waited += 20) {
      if (statuses.includes((await run.get()).status)) return;
      await sleep(20);
    }
    throw new Error(`The run stayed ${(await run.get()).status}.`);
  }

  const failureOf = (run: RunHandle<unknown>): Promise<unknown> =>
    run.result({ timeout: "20 s" }).then(
      () => "completed",
      (error: unknown) => error,
    );

  describe.each(modes)("%s", (mode) => {
    const name = (label: string): string => `${label}-${mode}-${crypto.randomUUID().slice(0, 8)}`;

    test.concurrent("a failure undoes in reverse; one that fails is told, and the others still run", async () => {
      const ran: string[] = [];
      const flow = workflow(name("saga"), async (ctx: Context) => {
        for (const what of ["a", "b", "c"]) {
          await ctx.step(`do ${what}`, () => ran.push(`do ${what}`));
          ctx.compensate(
            `undo ${what}`,
            (step) => {
              ran.push(`undo ${what} ${step.attempt}`);
              if (what === "b") throw new TerminalError("b is stuck");
              if (what === "c" && step.attempt === 1) throw new Error("not yet");
            },
            { retry: { maxAttempts: 3, backoff: constant(0.01) } },
          );
        }
        await ctx.step("last", () => {
          throw new TerminalError("on purpose");
        });
      });
      await work(flow, mode);
      const run = await client.start(flow, undefined, { runId: name("run") });
      expect(await failureOf(run)).toMatchObject({
        status: "failed",
        message: 'on purpose; its compensation failed: "undo b": b is stuck',
      });
      const undone = ["undo c 1", "undo c 2", "undo b 1", "undo a 1"];
      expect(ran).toEqual(["do a", "do b", "do c", ...undone]);
      // A retry continues with what failed of the undoing, and with nothing else.
      await run.retry();
      expect(await failureOf(run)).toMatchObject({ status: "failed" });
      expect(ran.slice(7)).toEqual(["undo b 2"]);
    });

    test.concurrent("a run that completes, and one that catches its error, undoes nothing", async () => {
      const ran: string[] = [];
      const flow = workflow(name("saga"), async (ctx: Context) => {
        await ctx.step("do", () => 1);
        ctx.compensate("undo", () => ran.push("undone"));
        await ctx.step("fails", () => Promise.reject(new Error("no"))).catch(() => undefined);
        return "fine";
      });
      await work(flow, mode);
      const run = await client.start(flow, undefined, { runId: name("run") });
      expect(await run.result({ timeout: "20 s" })).toBe("fine");
      expect(ran).toEqual([]);
    });

    test.concurrent("what is all undone cannot be retried", async () => {
      const flow = workflow(name("saga"), async (ctx: Context) => {
        ctx.compensate("undo", () => 1);
        await ctx.step("fails", () => Promise.reject(new Error("no")));
      });
      await work(flow, mode);
      const run = await client.start(flow, undefined, { runId: name("run") });
      await failureOf(run);
      await expect(run.retry()).rejects.toMatchObject({
        reason: "ILLEGAL_TRANSITION",
        message: expect.stringContaining("undone"),
      });
    });

    test.concurrent("cancelled while it waits, or is paused: it cleans up and undoes in a worker", async () => {
      const ran: string[] = [];
      const flow = workflow(name("saga"), async (ctx: Context) => {
        await ctx.step("do", () => ran.push("do"));
        ctx.compensate("undo", () => ran.push("undo"));
        try {
          await ctx.all({
            waits: () => ctx.signal("never"),
            races: async () => {
              try {
                await ctx.sleep("1 h");
              } finally {
                // Its branch has ended by then, perhaps.
                await ctx.cleanup(() => ctx.step("branch", () => ran.push("branch")));
              }
            },
          });
        } catch (error) {
          ran.push(error instanceof Cancelled ? `caught ${error.message}` : "?");
          await ctx.step("clean", () => ran.push("clean"));
          throw error;
        }
      });
      await work(flow, mode);
      for (const paused of [false, true]) {
        ran.length = 0;
        const run = await client.start(flow, undefined, { runId: name("run") });
        await until(run, "waiting");
        if (paused) await run.pause();
        await run.cancel({ reason: "enough" });
        expect(await failureOf(run)).toMatchObject({ status: "cancelled", message: "enough" });
        expect(ran).toEqual(["do", "branch", "caught enough", "clean", "undo"]);
      }
    });

    test.concurrent("cancelled in the middle of a step: its worker cleans up under the new fence", async () => {
      const ran: string[] = [];
      const gate = Promise.withResolvers<void>();
      const flow = workflow(name("saga"), async (ctx: Context) => {
        ctx.compensate("undo", () => ran.push("undo"));
        // It ends whatever its AbortSignal says, which no longer counts.
        await ctx.step("do", async () => {
          ran.push("do");
          await gate.promise;
        });
        ctx.compensate("undo more", () => ran.push("undo more"));
        await ctx.step("next", () => ran.push("next"));
      });
      await work(flow, mode);
      const run = await client.start(flow, undefined, { runId: name("run") });
      while (ran.length === 0) await sleep(5);
      // By then its start is written, too.
      await sleep(200);
      const before = performance.now();
      await run.cancel({ grace: "60 s" });
      gate.resolve();
      expect(await failureOf(run)).toMatchObject({ status: "cancelled" });
      expect(ran).toEqual(["do", "undo"]);
      const types: string[] = [];
      for await (const entry of run.journal()) if (entry.stepKey === "do") types.push(entry.type);
      expect(types).toEqual(["workflow.step.started", "workflow.step.cancelled"]);
      // Not dropped, to be ended by the grace.
      expect(performance.now() - before).toBeLessThan(30_000);
    });

    test.concurrent("a run whose time is up undoes what it did, wherever it is, and has failed then", async () => {
      const ran: string[] = [];
      const flow = workflow(name("saga"), async (ctx: Context, busy: boolean) => {
        await ctx.step("do", () => ran.push("do"));
        ctx.compensate("undo", (step) => {
          ran.push("undo");
          if (busy && step.attempt === 1) throw new TerminalError("stuck");
        });
        try {
          if (busy) await ctx.step("long", (step) => once(step.abortSignal, "abort"));
          else await ctx.all([() => ctx.signal("never"), () => ctx.sleep("1 h")]);
        } finally {
          ran.push("finally");
        }
      });
      await work(flow, mode);
      // One that polls hears of it with its next heartbeat, in 5 s.
      for (const busy of mode === "poll" ? [false] : [false, true]) {
        // Where it has not come that far within its time, it gets more.
        const start = async (timeout: number) => {
          ran.length = 0;
          const run = await client.start(flow, busy, { runId: name("run"), timeout });
          return { run, failure: await failureOf(run) };
        };
        let { run, failure } = await start(600);
        for (let timeout = 1_800; !ran.includes("finally") && timeout < 60_000; timeout *= 3)
          ({ run, failure } = await start(timeout));
        expect(failure).toMatchObject({ status: "failed", type: "RunTimeout" });
        expect(ran).toEqual(["do", "finally", "undo"]);
        if (!busy) continue;
        expect(failure).toMatchObject({ cause: { cause: { message: /compensation failed/ } } });
        await run.retry();
        await until(run, "failed");
        expect(ran.slice(3)).toEqual(["finally", "undo"]);
      }
    });

    test.concurrent("a workflow's own time limit holds for starts by its name", async () => {
      const flow = workflow(name("limited"), { timeout: "300 ms" }, (ctx: Context) =>
        ctx.signal("never"),
      );
      await work(flow, mode);
      const run = await client.start(flow.workflowName, undefined, { runId: name("run") });
      expect(await failureOf(run)).toMatchObject({ status: "failed", type: "RunTimeout" });
      const parent = workflow(name("parent"), (ctx: Context) =>
        ctx.child(flow.workflowName, undefined),
      );
      await work(parent, mode);
      const outer = await client.start(parent, undefined, { runId: name("run") });
      expect(await failureOf(outer)).toMatchObject({ cause: { message: /did not end within/ } });
    });

    test.concurrent("a clean-up that does not end is ended by its grace, which waits for a worker", async () => {
      const flow = workflow(name("saga"), async (ctx: Context) => {
        ctx.compensate("undo", () => new Promise(() => undefined));
        await ctx.signal("never");
      });
      const worker = await work(flow, mode);
      const stuck = await client.start(flow, undefined, { runId: name("run") });
      const orphan = await client.start(flow, undefined, { runId: name("run") });
      await Promise.all([until(stuck, "waiting"), until(orphan, "waiting")]);
      await stuck.cancel({ grace: "300 ms" });
      expect(await failureOf(stuck)).toMatchObject({ status: "cancelled" });
      await worker.stop();
      await orphan.cancel({ grace: "300 ms" });
      await sleep(600);
      expect((await orphan.get()).status).toBe("cancelling");
      await work(flow, mode);
      expect(await failureOf(orphan)).toMatchObject({ status: "cancelled" });
    });
  });
});
