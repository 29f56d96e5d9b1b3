import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import {
  Client,
  type EntryView,
  type EventView,
  RunFailedError,
  runLocally,
  type StepFailedError,
  silentLogger,
  Worker,
  workflow,
} from "../src/index.ts";
import { TestServer } from "./support/test-server.ts";

let server: TestServer;
let client: Client;

beforeAll(async () => {
  server = await TestServer.start();
  client = new Client({ url: server.grpcUrl });
});

afterAll(async () => {
  client.close();
  await server.stop();
});

const attempts = new Map<string, number>();

const kid = workflow("kid", { input: z.object({ n: z.coerce.number() }) }, async (ctx, { n }) => {
  if (n < 0) throw new RangeError("negative");
  return ctx.step("double", () => n * 2);
});

const everything = workflow("everything", async (ctx, input: { n: number }) => {
  const nap = await ctx.step("nap", () => sleep(150, "rested"));
  const kinds: unknown[] = [];
  for (const value of [
    null,
    false,
    0,
    "",
    [],
    {},
    undefined,
    new Uint8Array(0),
    new Date(5),
    7n,
    new Map([[1, new Set([2])]]),
  ]) {
    kinds.push(await ctx.step("kind", () => value));
  }
  const branches = await ctx.all({
    a: async () => [await ctx.step("same", () => "a1"), await ctx.step("same", (s) => s.stepKey)],
    b: async (c) => {
      await c.sleep(20);
      return [await c.step("same", async () => "b1"), await c.step("same", (s) => s.stepKey)];
    },
  });
  const mapped = await ctx.map("sq", [1, 2, 3], { key: (n) => n, concurrency: 2 }, (n, c) =>
    c.step("s", () => sleep(5, n * n)),
  );
  const nested = await ctx.step("outer", async (s) => [
    await s.step("in", () => 1),
    await s.step("in", (t) => t.stepKey),
  ]);
  const flaky = await ctx.step(
    "flaky",
    (s) => (s.attempt < 3 ? Promise.reject(new Error("no")) : s.attempt),
    {
      retry: { maxAttempts: 3, backoff: [10, 20] },
    },
  );
  const streamed = await ctx.step("stream", async function* () {
    yield "he";
    yield "llo";
  });
  const child = await ctx.child(kid, { n: input.n });
  const lost = await ctx
    .child(kid, { n: -1 }, { key: "lost" })
    .catch((e: StepFailedError) => [e.name, e.type, e.message, e.stepKey]);
  const dead = await ctx
    .step("dead", () => Promise.reject(new TypeError("dead")))
    .catch((e: StepFailedError) => [e.name, e.type, e.message, e.attempts]);
  const signal = await ctx.signal<unknown>("go");
  const nothing = await ctx.signal("nothing", { timeout: 20, default: "default" });
  const args = await ctx.step("add", (a: number, b: number) => a + b, [input.n, 1]);
  return {
    nap,
    kinds,
    branches,
    mapped,
    nested,
    flaky,
    streamed,
    child,
    lost,
    dead,
    signal,
    nothing,
    args,
  };
});

const failing = workflow(
  "failing",
  { id: "failing-{name}" },
  async (ctx, input: { name: string }) => {
    await ctx.step("fine", () =>
      attempts.set(`fine ${input.name}`, (attempts.get(`fine ${input.name}`) ?? 0) + 1),
    );
    return ctx.step("breaks", (s) => {
      if (s.attempt === 1) throw new RangeError("first time");
      return `attempt ${s.attempt}`;
    });
  },
);

const slow = workflow("slow", async (ctx, input: { ms: number }) => {
  try {
    await ctx.step("long", (s) => sleep(input.ms, "done", { signal: s.abortSignal }));
    return await ctx.step("after", () => "after");
  } catch (error) {
    await ctx.step("clean up", () => (error as Error).name);
    throw error;
  }
});

const waits = workflow("waits", async (ctx) => {
  attempts.set(ctx.runId, ctx.runAttempt);
  const first = await ctx.signal<string>("one");
  await ctx.sleep("1200 ms");
  return [first, await ctx.signal<string>("two"), ctx.runAttempt];
});

const big = workflow("big", async (ctx, input: { text: string }) => {
  const bytes = await ctx.step("make", () => new Uint8Array(5_000_000).fill(7));
  await ctx.sleep("1100 ms");
  const again = await ctx.step("size", () => bytes.length + input.text.length);
  return { again, text: `${input.text}!` };
});

const wrong = workflow("wrong result", async (ctx) =>
  ctx.step(
    "bad",
    () => {
      attempts.set(ctx.runId, (attempts.get(ctx.runId) ?? 0) + 1);
      return { inner: () => 1 };
    },
    { retry: 5 },
  ),
);

const parallel = workflow("parallel failure", async (ctx) => {
  const log: string[] = [];
  await ctx
    .all({
      bad: () => ctx.step("bad", () => sleep(50).then(() => Promise.reject(new Error("boom")))),
      long: () =>
        ctx.step("long", (s) =>
          sleep(20_000, "x", { signal: s.abortSignal }).finally(() => log.push("aborted")),
        ),
      nap: () => ctx.sleep("1 h").catch((e: Error) => void log.push(e.name)),
    })
    .catch((e: Error) => log.push(e.message));
  return log.sort();
});

const workflows = [kid, everything, failing, slow, waits, big, wrong, parallel];

async function journalOf(run: { journal(): AsyncIterable<EntryView> }): Promise<EntryView[]> {
  const entries: EntryView[] = [];
  for await (const entry of run.journal()) entries.push(entry);
  return entries;
}

async function eventually(check: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 500; i += 1) {
    if (await check()) return;
    await sleep(20);
  }
  throw new Error("it did not come about");
}

describe.each(["stream", "poll"] as const)("a worker by %s", (mode) => {
  let worker: Worker;

  beforeAll(async () => {
    worker = new Worker({
      url: server.grpcUrl,
      workflows,
      mode,
      workerId: mode,
      queues: [mode],
      slots: 20,
      drainTimeout: 500,
      logger: silentLogger,
    });
    await worker.start();
  });

  afterAll(async () => {
    await worker.stop();
  });

  const at = { queue: mode };

  test("everything, with the same result as without a platform", async () => {
    // Children have the queue of their workflow, so one of this kind serves it too.
    const family = new Worker({
      url: server.grpcUrl,
      workflows: [kid],
      mode,
      workerId: `${mode} kid`,
      logger: silentLogger,
      drainTimeout: 500,
    });
    await family.start();
    const run = await client.start(everything, { n: 4 }, at);
    await run.signal("go", { ok: [1n] });
    const result = await run.result();
    const local = await runLocally(
      everything,
      { n: 4 },
      { signals: { go: [{ ok: [1n] }] }, skipTime: true },
    );
    expect(result).toStrictEqual(local);
    await family.stop();
  });

  test("a failed run is retried from its failed step", async () => {
    const run = await client.start(failing, { name: mode }, at);
    expect(run.runId).toBe(`failing-${mode}`);
    const error = await run.result().catch((e: unknown) => e);
    expect(error).toBeInstanceOf(RunFailedError);
    expect(error).toMatchObject({ status: "failed", type: "RangeError", message: "first time" });
    await run.retry();
    expect(await run.result()).toBe("attempt 2");
    expect(attempts.get(`fine ${mode}`)).toBe(1);
    // Started again, it answers with what it has.
    const again = await client.start(failing, { name: mode }, at);
    expect([again.existing, await again.result()]).toEqual([true, "attempt 2"]);
  });

  test("cancel reaches the running step, and the clean-up is recorded", async () => {
    const run = await client.start(slow, { ms: 60_000 }, at);
    await eventually(async () => (await run.get()).status === "running");
    await sleep(100);
    await run.cancel({ reason: "changed my mind" });
    const error = await run.result().catch((e: unknown) => e);
    expect(error).toMatchObject({ status: "cancelled", runId: run.runId });
    const cleaned = (await journalOf(run)).filter((entry) => entry.stepKey === "clean up");
    expect(cleaned.at(-1)).toMatchObject({ type: "workflow.step.completed", payload: "Cancelled" });
  });

  test("pause stops at the next step, resume continues", async () => {
    const run = await client.start(slow, { ms: 300 }, at);
    await eventually(async () => (await run.get()).status === "running");
    await run.pause("lunch");
    await eventually(async () => (await run.get()).status === "paused");
    const keys = (await journalOf(run)).map((entry) => entry.stepKey);
    expect(keys).not.toContain("after");
    await run.resume();
    expect(await run.result()).toBe("after");
  });

  test("a waiting run holds no slot, and continues by signals and timers", async () => {
    const run = await client.start(waits, undefined, at);
    await eventually(async () => (await run.get()).status === "waiting");
    // The worker hears of it a moment after the server knows.
    await eventually(async () => worker.inFlight === 0);
    expect((await run.get()).waits).toMatchObject([{ kind: "signal", name: "one" }]);
    await run.signal("two", "2");
    const sent = await run.signal("one", "1", { signalId: "only" });
    const twice = await run.signal("one", "1", { signalId: "only" });
    expect([sent.duplicate, twice.duplicate]).toEqual([false, true]);
    // Given back twice: for the signal, and for the timer.
    expect(await run.result()).toEqual(["1", "2", 3]);
  });

  test("payloads larger than a message", async () => {
    const text = "x".repeat(4_000_000);
    const run = await client.start(big, { text }, at);
    expect(await run.result()).toEqual({ again: 9_000_000, text: `${text}!` });
  });

  test("a result that cannot be recorded fails its step at once", async () => {
    const run = await client.start(wrong, undefined, at);
    const error = await run.result().catch((e: unknown) => e);
    expect(error).toMatchObject({
      type: "SerializationError",
      message: expect.stringContaining(".inner") as string,
    });
    expect(attempts.get(run.runId)).toBe(1);
  });

  test("a failing branch aborts its siblings", async () => {
    const run = await client.start(parallel, undefined, at);
    expect(await run.result()).toEqual(["Cancelled", "aborted", "boom"]);
  });

  test("watch: checkpoints and live output in order, the end last, and again from a cursor", async () => {
    const run = await client.start(everything, { n: 1 }, { ...at, runId: `watched-${mode}` });
    const events: EventView[] = [];
    const controller = new AbortController();
    const watching = (async () => {
      for await (const event of run.watch({ abortSignal: controller.signal })) {
        events.push(event);
        if (event.stepKey === "stream" && event.type === "workflow.step.completed") break;
      }
    })();
    await watching;
    controller.abort();
    const deltas = events
      .filter((event) => event.type === "output.delta")
      .map((event) => event.payload);
    // In a session they come before the result; separate calls may come too late to be seen.
    if (mode === "stream" || deltas.length > 0) expect(deltas).toEqual(["he", "llo"]);
    const checkpoints = events
      .filter((event) => event.class === "checkpoint")
      .map((event) => event.entry?.seq ?? 0);
    expect(checkpoints).toEqual(checkpoints.map((_, i) => i + 1));
    await run.cancel();
    const rest: EventView[] = [];
    const cursor = events.at(-1)?.cursor ?? "";
    for await (const event of run.watch({ classes: ["checkpoint"], afterCursor: cursor }))
      rest.push(event);
    expect(rest.at(-1)?.type).toBe("run.cancelled");
    expect(rest[0]?.entry?.seq).toBe((checkpoints.at(-1) ?? 0) + 1);
  });
});
