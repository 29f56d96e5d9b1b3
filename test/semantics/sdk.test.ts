/**
 * Goal: what user code sees is the same live and replayed, whatever its shape.
 * Method: workflows whose code throws once after its steps, so that RetryRun replays them; workers
 * over a session and by polling, on both stores. Bodies count how often they ran.
 */
import {
  Client,
  type Context,
  constant,
  StepFailedError,
  silentLogger,
  TerminalError,
  Worker,
  workflow,
} from "@pawl/worker";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createDatabase } from "../harness/database.ts";
import { startServer, type TestServer } from "../harness/server.ts";
import { sleep, stores } from "./lab.ts";
import { SdkLab } from "./sdk-lab.ts";

const modes = ["stream", "poll"] as const;

/** Counts executions by name, and throws once per run on request. */
class Probe {
  readonly ran: string[] = [];
  readonly seen: unknown[] = [];
  #crashed = new Set<string>();

  /** A step body that notes that it ran. */
  body<T>(name: string, value: T): () => T {
    return () => {
      this.ran.push(name);
      return value;
    };
  }

  /** Fails the run here the first time it comes by. */
  crash(ctx: Context): void {
    if (this.#crashed.has(ctx.runId)) return;
    this.#crashed.add(ctx.runId);
    throw new TerminalError("on purpose");
  }
}

describe.each(stores)("%s", (store) => {
  let lab: SdkLab;
  let server: TestServer;
  let client: Client;
  beforeAll(async () => {
    lab = await SdkLab.open(store, "sdk");
    ({ server, client } = lab);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  describe.each(modes)("%s", (mode) => {
    const name = (label: string): string => `${label}-${mode}-${crypto.randomUUID().slice(0, 8)}`;

    /** Runs the code, has it fail once where it says so, retries it, and answers its result. */
    async function liveAndReplayed<O>(
      code: (ctx: Context) => Promise<O>,
      next: (ctx: Context) => Promise<O> = code,
    ): Promise<O> {
      const label = name("flow");
      const first = workflow(label, (ctx: Context) => code(ctx));
      const second = workflow(label, (ctx: Context) => next(ctx));
      const runId = name("run");
      await using worker = new Disposed(
        new Worker({
          url: server.grpcUrl,
          workflows: [first],
          mode,
          workerId: name("w"),
          logger: silentLogger,
        }),
      );
      await worker.start();
      const handle = await client.start(first, undefined, { runId });
      const failed = await handle.result({ timeout: "20 s" }).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (failed === undefined) throw new Error("The run did not fail on purpose.");
      if (!String(failed).includes("on purpose")) throw failed;
      if (next === code) {
        await handle.retry();
        return await handle.result({ timeout: "20 s" });
      }
      await worker.stop();
      await using deployed = new Disposed(
        new Worker({
          url: server.grpcUrl,
          workflows: [second],
          mode,
          workerId: name("w"),
          logger: silentLogger,
        }),
      );
      await deployed.start();
      await handle.retry();
      return await client.handle(runId, second).result({ timeout: "20 s" });
    }

    test.concurrent("the same step name in a loop, on the first run and replayed", async () => {
      const probe = new Probe();
      const result = await liveAndReplayed(async (ctx) => {
        const values: number[] = [];
        for (let i = 0; i < 5; i += 1)
          values.push(await ctx.step("same", probe.body(`same ${i}`, i * i)));
        probe.seen.push(values);
        probe.crash(ctx);
        return values;
      });
      expect(result).toEqual([0, 1, 4, 9, 16]);
      expect(probe.seen).toEqual([result, result]);
      expect(probe.ran).toEqual(["same 0", "same 1", "same 2", "same 3", "same 4"]);
    });

    test.concurrent("two parallel branches of two same-named steps, replayed in whatever order they end", async () => {
      const probe = new Probe();
      const slow = (label: string, ms: number) => async () => {
        probe.ran.push(label);
        await sleep(ms);
        return label;
      };
      const result = await liveAndReplayed(async (ctx) => {
        // Live the right branch is the faster one, replayed both are at once.
        const both = await ctx.all({
          left: async (ctx) => [
            await ctx.step("same", slow("l1", 60)),
            await ctx.step("same", slow("l2", 5)),
          ],
          right: async (ctx) => [
            await ctx.step("same", slow("r1", 5)),
            await ctx.step("same", slow("r2", 5)),
          ],
        });
        probe.crash(ctx);
        return both;
      });
      expect(result).toEqual({ left: ["l1", "l2"], right: ["r1", "r2"] });
      expect([...probe.ran].sort()).toEqual(["l1", "l2", "r1", "r2"]);
    });

    test.concurrent("a step inserted before an existing one by a deploy moves nobody's result", async () => {
      const probe = new Probe();
      const result = await liveAndReplayed(
        async (ctx) => {
          const a = await ctx.step("a", probe.body("a", "a"));
          const b = await ctx.step("b", probe.body("b", "b"));
          probe.crash(ctx);
          return a + b;
        },
        async (ctx) => {
          const fresh = await ctx.step("new", probe.body("new", "new "));
          const a = await ctx.step("a", probe.body("a", "a"));
          const b = await ctx.step("b", probe.body("b", "b"));
          return fresh + a + b;
        },
      );
      expect(result).toBe("new ab");
      expect(probe.ran).toEqual(["a", "b", "new"]);
    });

    test.concurrent("null, false, 0, empty text, list, object and bytes, undefined: results all of them", async () => {
      const probe = new Probe();
      const values = [null, false, 0, "", [], {}, undefined, new Uint8Array(0)];
      await liveAndReplayed(async (ctx) => {
        const got: unknown[] = [];
        for (const [i, value] of values.entries())
          got.push(await ctx.step(`value ${i}`, probe.body(`${i}`, value)));
        probe.seen.push(got);
        probe.crash(ctx);
        return "done";
      });
      expect(probe.ran).toHaveLength(values.length);
      expect(probe.seen).toEqual([values, values]);
    });

    test.concurrent("an unserializable result fails that step with a clear error, and nothing is acknowledged", async () => {
      const label = name("flow");
      const flow = workflow(label, async (ctx: Context) => {
        try {
          await ctx.step("bad", () => ({ deep: { fn: () => 1 } }));
        } catch (error) {
          return error instanceof StepFailedError
            ? `${error.type}: ${error.message}`
            : `not so: ${String(error)}`;
        }
        return "no error";
      });
      await using worker = new Disposed(
        new Worker({
          url: server.grpcUrl,
          workflows: [flow],
          mode,
          workerId: name("w"),
          logger: silentLogger,
        }),
      );
      await worker.start();
      const handle = await client.start(flow, undefined, { runId: name("run") });
      const message = await handle.result({ timeout: "20 s" });
      expect(message).toMatch(/^SerializationError: .*(function|deep\.fn)/s);
      const types: string[] = [];
      for await (const entry of handle.journal())
        if (entry.stepKey === "bad") types.push(entry.type);
      expect(types).not.toContain("workflow.step.completed");
      expect(types.at(-1)).toBe("workflow.step.failed");
    });

    test.concurrent("a caught final failure replays as that failure, with its class and fields", async () => {
      const probe = new Probe();
      class CardDeclined extends Error {
        override readonly name = "CardDeclined";
      }
      const result = await liveAndReplayed(async (ctx) => {
        let caught: unknown;
        try {
          await ctx.step(
            "charge",
            () => {
              probe.ran.push("charge");
              throw new CardDeclined("no money");
            },
            { retry: { maxAttempts: 2, backoff: constant(0.001) } },
          );
        } catch (error) {
          if (!(error instanceof StepFailedError)) throw error;
          caught = [error.type, error.message, error.stepKey, error.attempts];
        }
        probe.seen.push(caught);
        probe.crash(ctx);
        return ctx.step("refund", probe.body("refund", "refunded"));
      });
      expect(result).toBe("refunded");
      expect(probe.ran).toEqual(["charge", "charge", "refund"]);
      expect(probe.seen[0]).toEqual([
        "CardDeclined",
        expect.stringContaining("no money"),
        "charge",
        2,
      ]);
      expect(probe.seen[1]).toEqual(probe.seen[0]);
    });

    test.concurrent("a failing branch aborts its siblings, and its error is the one that is thrown", async () => {
      const label = name("flow");
      const aborted: string[] = [];
      const flow = workflow(label, async (ctx: Context) => {
        try {
          await ctx.all({
            fails: (ctx) =>
              ctx.step("fails", async () => {
                await sleep(30);
                throw new Error("first");
              }),
            waits: (ctx) =>
              ctx.step("waits", async (step) => {
                await new Promise<void>((resolve) => {
                  const timer = setTimeout(resolve, 15_000);
                  step.abortSignal.addEventListener("abort", () => {
                    aborted.push("waits");
                    clearTimeout(timer);
                    resolve();
                  });
                });
                step.abortSignal.throwIfAborted();
                return "never";
              }),
          });
        } catch (error) {
          return String(error);
        }
        return "no error";
      });
      await using worker = new Disposed(
        new Worker({
          url: server.grpcUrl,
          workflows: [flow],
          mode,
          workerId: name("w"),
          logger: silentLogger,
        }),
      );
      await worker.start();
      const message = await client.run(flow, undefined, { runId: name("run") });
      expect(message).toContain("first");
      expect(aborted).toEqual(["waits"]);
    });

    test.concurrent("a finished run started again returns its result, and executes nothing", async () => {
      const probe = new Probe();
      const flow = workflow(name("flow"), (ctx: Context, n: number) =>
        ctx.step("once", probe.body("once", n + 1)),
      );
      await using worker = new Disposed(
        new Worker({
          url: server.grpcUrl,
          workflows: [flow],
          mode,
          workerId: name("w"),
          logger: silentLogger,
        }),
      );
      await worker.start();
      const runId = name("run");
      expect(await client.run(flow, 1, { runId })).toBe(2);
      const again = await client.start(flow, 1, { runId });
      expect(again.existing).toBe(true);
      expect(await again.result()).toBe(2);
      expect(probe.ran).toEqual(["once"]);
      await expect(client.run(flow, 2, { runId })).rejects.toMatchObject({ reason: "RUN_EXISTS" });
      const thief = workflow(name("thief"), async () => "mine");
      await using other = new Disposed(
        new Worker({
          url: server.grpcUrl,
          workflows: [thief],
          mode,
          workerId: name("w"),
          logger: silentLogger,
        }),
      );
      await other.start();
      await expect(client.run(thief, undefined, { runId })).rejects.toMatchObject({
        reason: "RUN_EXISTS",
      });
    });

    test.concurrent("a failed run retried from its failed step executes that step, and no other, again", async () => {
      const probe = new Probe();
      let broken = true;
      const flow = workflow(name("flow"), async (ctx: Context) => {
        const a = await ctx.step("a", probe.body("a", 1));
        const b = await ctx.step("b", (step) => {
          probe.ran.push(`b attempt ${step.attempt}`);
          if (broken) throw new Error("broken");
          return 2;
        });
        return a + b + (await ctx.step("c", probe.body("c", 3)));
      });
      await using worker = new Disposed(
        new Worker({
          url: server.grpcUrl,
          workflows: [flow],
          mode,
          workerId: name("w"),
          logger: silentLogger,
        }),
      );
      await worker.start();
      const handle = await client.start(flow, undefined, { runId: name("run") });
      await expect(handle.result({ timeout: "20 s" })).rejects.toThrow("broken");
      broken = false;
      await handle.retry();
      expect(await handle.result({ timeout: "20 s" })).toBe(6);
      expect(probe.ran).toEqual(["a", "b attempt 1", "b attempt 2", "c"]);
    });

    test.concurrent("changed input of a recorded step pauses the run and shows both sides; the old code continues", async () => {
      const probe = new Probe();
      const label = name("flow");
      const charge = (amount: number): number => {
        probe.ran.push(`charge ${amount}`);
        return amount;
      };
      const make = (amount: number) =>
        workflow(label, async (ctx: Context) => {
          const charged = await ctx.step("charge", charge, [amount]);
          probe.crash(ctx);
          return charged;
        });
      const runId = name("run");
      const worker = new Disposed(
        new Worker({
          url: server.grpcUrl,
          workflows: [make(1)],
          mode,
          workerId: name("w"),
          logger: silentLogger,
        }),
      );
      await worker.start();
      const handle = await client.start(label, undefined, { runId });
      await expect(handle.result({ timeout: "20 s" })).rejects.toThrow("on purpose");
      await worker.stop();
      const deployed = new Disposed(
        new Worker({
          url: server.grpcUrl,
          workflows: [make(2)],
          mode,
          workerId: name("w"),
          logger: silentLogger,
        }),
      );
      await deployed.start();
      await handle.retry();
      for (
        let waited = 0;
        (await handle.get()).status !== "paused" && waited < 10_000;
        waited += 20
      )
        await sleep(20);
      const paused = await handle.get();
      expect(paused).toMatchObject({ status: "paused" });
      expect(paused).toMatchObject({ statusReason: "non_determinism" });
      await deployed.stop();
      await using rolledBack = new Disposed(
        new Worker({
          url: server.grpcUrl,
          workflows: [make(1)],
          mode,
          workerId: name("w"),
          logger: silentLogger,
        }),
      );
      await rolledBack.start();
      await handle.resume();
      expect(await handle.result({ timeout: "20 s" })).toBe(1);
      expect(probe.ran).toEqual(["charge 1"]);
    });

    test.concurrent("a pause, a cancel and a sleep in a run with branches", async () => {
      const probe = new Probe();
      const flow = workflow(name("flow"), (ctx: Context) =>
        ctx.all({
          sleeps: async (ctx) => {
            await ctx.sleep("1200 ms");
            return "slept";
          },
          works: async (ctx) => {
            for (let i = 0; i < 4; i += 1) {
              await ctx.step("work", async () => {
                probe.ran.push(`work ${i}`);
                await sleep(60);
              });
            }
            return "worked";
          },
        }),
      );
      await using worker = new Disposed(
        new Worker({
          url: server.grpcUrl,
          workflows: [flow],
          mode,
          workerId: name("w"),
          logger: silentLogger,
        }),
      );
      await worker.start();
      const handle = await client.start(flow, undefined, { runId: name("run") });
      while (probe.ran.length < 2) await sleep(5);
      await handle.pause();
      for (let waited = 0; (await handle.get()).status !== "paused" && waited < 8_000; waited += 20)
        await sleep(20);
      expect((await handle.get()).status).toBe("paused");
      const before = probe.ran.length;
      await sleep(150);
      expect(probe.ran.length).toBe(before);
      await handle.resume();
      expect(await handle.result({ timeout: "20 s" })).toEqual({
        sleeps: "slept",
        works: "worked",
      });
      expect(probe.ran).toEqual(["work 0", "work 1", "work 2", "work 3"]);
      const cancelled = await client.start(flow, undefined, { runId: name("run") });
      await sleep(100);
      await cancelled.cancel({ reason: "enough", grace: "1 s" });
      await expect(cancelled.result({ timeout: "20 s" })).rejects.toMatchObject({
        status: "cancelled",
      });
    });
  });

  test("platform unreachable at a step: the step does not run until it is back; nothing is lost", async () => {
    const url = store === "postgres" ? await createDatabase("unreachable") : undefined;
    const args = store === "postgres" ? ["--replica", "one"] : [];
    const own = await startServer({ ...(url && { store: url }), args });
    const { grpcAddress: grpc, httpAddress: http, store: database, grpcUrl } = own;
    const local = new Client({ url: grpcUrl, logger: silentLogger });
    const probe = new Probe();
    const gates = modes.map(() => Promise.withResolvers<void>());
    const flows = modes.map((mode, index) =>
      workflow(`flow-${mode}`, async (ctx: Context) => {
        await ctx.step("first", probe.body(`${mode} first`, 1));
        await gates[index]?.promise;
        const second = await ctx.step("second", probe.body(`${mode} second`, 2));
        return second + (await ctx.step("third", probe.body(`${mode} third`, 3)));
      }),
    );
    const workers = modes.map((mode, index) => {
      const flow = flows[index];
      return new Worker({
        url: grpcUrl,
        workflows: flow === undefined ? [] : [flow],
        mode,
        workerId: mode,
        logger: silentLogger,
      });
    });
    for (const worker of workers) await worker.start();
    const handles = await Promise.all(
      flows.map((flow, index) => local.start(flow, undefined, { runId: `run-${index}` })),
    );
    for (let waited = 0; probe.ran.length < 2 && waited < 10_000; waited += 10) await sleep(10);
    await sleep(100);
    await own.kill();
    for (const gate of gates) gate.resolve();
    await sleep(600);
    expect([...probe.ran].sort()).toEqual(["poll first", "stream first"]);
    const next = await startServer({ store: database, grpc, http, args });
    try {
      const results = await Promise.all(
        handles.map((handle) => handle.result({ timeout: "40 s" })),
      );
      expect(results).toEqual([5, 5]);
      expect([...probe.ran].sort()).toEqual([
        "poll first",
        "poll second",
        "poll third",
        "stream first",
        "stream second",
        "stream third",
      ]);
    } finally {
      await Promise.all(workers.map((worker) => worker.stop()));
      local.close();
      await next.stop();
      await own.stop();
    }
  });
});

/** A worker that is stopped with its test. */
class Disposed {
  readonly #worker: Worker;
  #stopped: Promise<void> | undefined;

  constructor(worker: Worker) {
    this.#worker = worker;
  }

  start(): Promise<void> {
    return this.#worker.start();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#worker.stop();
    return this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
