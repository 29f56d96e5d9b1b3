/**
 * Goal: the engine's use cases keep their word when they meet: in one batch, with stale memory,
 * across connections, and with much after the end.
 * Method: a real engine over SQLite in memory; commands that are sent in one turn share a batch.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  caller,
  completedOf,
  eventually,
  journalOf,
  openEngine,
  start,
  startedOf,
  type TestEngine,
  TestWorker,
} from "../../../test/semantics/engine-fixture.ts";
import { BOOM, json } from "../../../test/semantics/run-fixture.ts";
import { BOUNDS } from "../model/bounds.ts";
import { NO_RETRY } from "../model/retry.ts";
import type { Engine } from "./engine.ts";

let made: TestEngine;
let engine: Engine;
let worker: TestWorker;

beforeEach(async () => {
  made = await openEngine();
  engine = made.engine;
  worker = new TestWorker("w1");
  await worker.connect(engine);
});

afterEach(async () => {
  expect(made.warnings).toEqual([]);
  await made[Symbol.asyncDispose]();
});

/** A run that its worker holds; its fence. */
async function held(runId: string): Promise<number> {
  await start(engine, runId);
  return (await worker.next(runId)).header.fence;
}

async function ended(runId: string): Promise<void> {
  const fence = await held(runId);
  await engine.outcomes.complete(caller, { runId, fence, output: json("done"), unconsumed: [] });
}

const signal = (runId: string, id: string) =>
  engine.signals.send(caller, { runId, name: "go", signalId: id, payload: json(1), actor: "" });

describe("commands in one batch", () => {
  test("a signal that runs ahead of the start is NOT_FOUND, the start is not", async () => {
    const seen = new Set<string>();
    for (let ticks = 0; ticks < 24; ticks += 1) {
      const started = start(engine, `r${ticks}`);
      // Somewhere among these the two are in one batch, in either order.
      for (let tick = 0; tick < ticks; tick += 1) await undefined;
      const [signalled] = await Promise.allSettled([signal(`r${ticks}`, "s1")]);
      if (signalled.status === "rejected")
        expect(signalled.reason).toMatchObject({ reason: "NOT_FOUND" });
      seen.add(signalled.status);
      expect(await started).toMatchObject({ existing: false });
    }
    expect([...seen].sort()).toEqual(["fulfilled", "rejected"]);
  });

  test("two starts of one run: one makes it", async () => {
    const both = await Promise.all([start(engine, "r"), start(engine, "r")]);
    expect(both.map(({ existing }) => existing)).toEqual([false, true]);
    const other = await Promise.allSettled([
      start(engine, "q"),
      start(engine, "q", { input: json("other") }),
    ]);
    expect(other).toMatchObject([
      { status: "fulfilled" },
      { status: "rejected", reason: { reason: "RUN_EXISTS" } },
    ]);
  });

  test("a deletion takes with it what was written beside it; the id can be used again", async () => {
    await ended("r");
    const results = await Promise.allSettled([
      engine.runs.updateTags(caller, { runId: "r", set: { a: "1" }, remove: [] }),
      engine.runs.delete(caller, "r"),
      engine.runs.updateTags(caller, { runId: "r", set: { b: "1" }, remove: [] }),
    ]);
    expect(results).toMatchObject([
      { status: "fulfilled" },
      { status: "fulfilled" },
      { status: "rejected", reason: { reason: "NOT_FOUND" } },
    ]);
    await start(engine, "r");
    expect((await journalOf(engine, "r")).map(({ type }) => type)).toEqual(["run.started"]);
  });

  test("a refused one leaves its neighbours alone", async () => {
    const fence = await held("r");
    const results = await Promise.allSettled([
      engine.steps.complete(caller, completedOf("r", fence, "a")),
      engine.steps.complete(caller, completedOf("r", fence - 1, "b")),
      engine.steps.complete(caller, completedOf("unknown", 1, "c")),
      engine.steps.complete(caller, completedOf("r", fence, "d")),
    ]);
    expect(results.map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "rejected",
      "fulfilled",
    ]);
  });

  test("the end of a run and its next lease in one commit: the new holder is the one that counts", async () => {
    const fence = await held("r");
    const other = new TestWorker("w2");
    await other.connect(engine);
    worker.connection?.draining();
    worker.connection?.nack("r", fence, "no room");
    const next = await other.next("r");
    expect(next.header.fence).toBeGreaterThan(fence);
    await engine.steps.complete(caller, completedOf("r", next.header.fence, "a"));
    await expect(engine.steps.complete(caller, completedOf("r", fence, "b"))).rejects.toMatchObject(
      {
        reason: "LEASE_LOST",
      },
    );
  });
});

describe("reading", () => {
  test("a step that is being written right now is not data loss", async () => {
    const fence = await held("r");
    for (let i = 0; i < 20; i += 1) {
      const written = engine.steps.complete(caller, completedOf("r", fence, `s${i}`));
      const reads = [];
      for (let turn = 0; turn < 6; turn += 1) {
        reads.push(engine.steps.get(caller, "r", `s${i}`));
        await undefined;
      }
      for (const read of reads) expect((await read)?.key ?? `s${i}`).toBe(`s${i}`);
      await written;
    }
  });

  test("the result stays readable however much is written after the end", async () => {
    await ended("r");
    for (let i = 0; i < 30; i += 1)
      await engine.runs.updateTags(caller, { runId: "r", set: { n: String(i) }, remove: [] });
    expect(await engine.runs.get(caller, "r")).toMatchObject({
      output: json("done"),
      input: json({ n: 1 }),
    });
    expect((await start(engine, "r")).run).toMatchObject({ output: json("done") });
  });

  test("why it was paused stays readable however many signals came since", async () => {
    const fence = await held("r");
    const retryPolicy = { ...NO_RETRY, maxAttempts: 2, onExhausted: "pause" } as const;
    const failure = { type: "Boom", message: "no" };
    const failed = { ...completedOf("r", fence, "a"), failure, retryPolicy };
    await engine.steps.fail(caller, failed);
    await engine.steps.fail(caller, { ...failed, attempt: 2 });
    for (let i = 0; i < 30; i += 1) await signal("r", `s${i}`);
    expect(await engine.runs.get(caller, "r")).toMatchObject({
      reason: "RETRIES_EXHAUSTED",
      failure,
    });
  });

  test("RUN_LEASED says until when, as renewed", async () => {
    await held("r");
    made.clock.forward(BOUNDS.leaseMs - 1_000);
    await worker.connection?.heartbeat();
    made.clock.forward(BOUNDS.leaseMs - 1_000);
    const refused = await start(engine, "r", { claim: true, workerId: "me" }).catch(
      (error: unknown) => error,
    );
    expect(refused).toMatchObject({ reason: "RUN_LEASED", metadata: { holder: "w1" } });
    const expires = (refused as { metadata: { expires_at: string } }).metadata.expires_at;
    expect(Date.parse(expires)).toBeGreaterThan(made.clock.now());
  });
});

test("a workflow can be started as soon as its worker was welcomed, no matter who else is asking", async () => {
  const { store } = made;
  const { listWorkflows, putWorker } = store;
  store.putWorker = async (...args) => {
    await putWorker.apply(store, args);
    await new Promise((resolve) => setTimeout(resolve, 4));
  };
  // What is read is old by the time it arrives.
  store.listWorkflows = async (...args) => {
    const rows = await listWorkflows.apply(store, args);
    await new Promise((resolve) => setTimeout(resolve, 4));
    return rows;
  };
  const names = Array.from({ length: 40 }, (_, i) => `flow-${i}`);
  await Promise.all(
    names.map(async (workflow, i) => {
      await new Promise((resolve) => setTimeout(resolve, i));
      const one = new TestWorker(workflow, [workflow]);
      await one.connect(engine);
      await start(engine, workflow, { workflow });
    }),
  );
});

describe("what a start said is not forgotten", () => {
  test("by a result that does not repeat it: kind, name, digests, retry policy", async () => {
    const fence = await held("r");
    const { connection } = worker;
    const more = {
      kind: "value",
      name: "the name",
      inputDigest: "in",
      definitionDigest: "def",
    } as const;
    connection?.stepStartedLive(startedOf("r", fence, "v", more));
    await engine.steps.complete(caller, completedOf("r", fence, "v", { name: "" }));
    expect(await engine.steps.get(caller, "r", "v")).toMatchObject({ meta: more });

    const retryPolicy = { ...NO_RETRY, maxAttempts: 3, initialMs: 100 };
    connection?.stepStartedLive(startedOf("r", fence, "f", { retryPolicy }));
    const failure = { type: "Boom", message: "no" };
    const reply = await engine.steps.fail(caller, { ...completedOf("r", fence, "f"), failure });
    expect(reply.next).toMatchObject({ kind: "retry", attempt: 2 });
  });

  test("by one that came after its start was written", async () => {
    const fence = await held("r");
    await engine.steps.start(
      caller,
      startedOf("r", fence, "v", { kind: "value", name: "the name" }),
    );
    await engine.steps.complete(caller, completedOf("r", fence, "v", { name: "" }));
    expect(await engine.steps.get(caller, "r", "v")).toMatchObject({
      type: "workflow.step.completed",
      meta: { kind: "value" },
    });
  });
});

describe("leases", () => {
  test("a worker that reconnects hears of a pause that came while it was away", async () => {
    const fence = await held("r");
    worker.connection?.closed();
    await engine.runs.pause(caller, "r", "");
    const back = new TestWorker("w1");
    const connection = await back.connect(engine, 0, [{ runId: "r", fence }]);
    expect(connection.survived).toMatchObject([{ runId: "r", fence }]);
    expect(back.told).toContain(`pause r ${fence}`);
  });

  test("a cancel that came while it was away: the clean-up is handed out like any run", async () => {
    const fence = await held("r");
    worker.connection?.closed();
    await engine.runs.cancel(caller, { runId: "r", reason: "", graceMs: 60_000 });
    const back = new TestWorker("w1");
    const connection = await back.connect(engine, 0, [{ runId: "r", fence }]);
    expect(connection.survived).toEqual([]);
    connection.credits(1);
    const item = await back.next("r", fence);
    expect(item.header.status).toBe("CANCELLING");
    const failure = { type: "Cancelled", message: "cleaned up" };
    const { header } = item;
    await engine.outcomes.fail(caller, {
      runId: "r",
      fence: header.fence,
      failure,
      failedStepKeys: [],
    });
    expect((await engine.runs.get(caller, "r")).header.status).toBe("CANCELLED");
  });

  test("a run that is refused is offered again after a pause, and then a longer one", async () => {
    let refused = 0;
    worker.onDispatch = ({ header }) => {
      refused += 1;
      worker.connection?.nack(header.runId, header.fence, "no");
      worker.connection?.credits(1);
    };
    await start(engine, "r");
    await start(engine, "other");
    await worker.until(() => (refused >= 6 ? true : undefined));
    const before = performance.now();
    await worker.until(() => (refused >= 8 ? true : undefined));
    // The fourth refusal of each is followed by 800 ms or, where it came first, by 400 ms.
    expect(performance.now() - before).toBeGreaterThan(300);
    expect(refused).toBeLessThan(20);
  });

  test("the grace of a cancel is the one that was asked for", async () => {
    const fence = await held("r");
    await engine.runs.cancel(caller, { runId: "r", reason: "enough", graceMs: 1_234 });
    await worker.until(() =>
      worker.told.find((what) => what === `cancel r ${fence + 1} enough 1234`),
    );
  });

  test("a poller that hangs up gets no lease", async () => {
    worker.connection?.draining();
    const gone = new AbortController();
    const poll = engine.polling.poll(
      caller,
      { worker: worker.info, max: 1, waitMs: 10_000 },
      gone.signal,
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    const started = start(engine, "r");
    gone.abort();
    expect(await poll).toEqual([]);
    await started;
    const items = await engine.polling.poll(
      caller,
      { worker: worker.info, max: 1, waitMs: 5_000 },
      new AbortController().signal,
    );
    expect(items.map(({ header }) => header.runId)).toEqual(["r"]);
  });

  test("that run out are given to another worker, and the first one is told", async () => {
    const fence = await held("r");
    const other = new TestWorker("w2");
    await pass(BOUNDS.leaseMs + 1);
    await lapsed("r");
    expect(worker.answers).toEqual([]);
    await other.connect(engine);
    expect((await other.next("r", fence)).header.attempt).toBe(2);
    await worker.until(() => worker.told.find((what) => what.includes("r lost")));
    const late = engine.steps.complete(by(worker), completedOf("r", fence, "a"));
    await expect(late).rejects.toMatchObject({ reason: "LEASE_LOST" });
  });

  /** Lets time pass for leases too, for which a server that makes no look at them stands still. */
  const pass = async (ms: number) => {
    made.clock.forward(ms);
    // A look at the leases comes every second.
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    made.clock.forward(BOUNDS.leaseMs);
  };
  /** Waits until its lease is over and nobody has the run. */
  const lapsed = (runId: string) =>
    eventually(async () => {
      const { header } = await engine.runs.get(caller, runId);
      return header.status === "QUEUED" && header.lease === null ? header : undefined;
    });
  const by = (sender: TestWorker) => sender.connection?.caller ?? caller;

  test("of a clean-up start its grace when they are renewed", async () => {
    const fence = await held("r");
    await engine.runs.cancel(caller, { runId: "r", reason: "", graceMs: 10_000 });
    const since = async () =>
      (await engine.runs.get(caller, "r")).header.notes.cleanUp?.since ?? Number.NaN;
    expect(await since()).toBe(0);
    // It knows the new fence by the answer to something that it has reported.
    const answers = await engine.polling.heartbeat(caller, [{ runId: "r", fence: fence + 1 }]);
    expect(answers).toMatchObject([{ status: "renewed" }]);
    expect(await since()).toBeGreaterThan(0);
  });

  describe("that have lapsed, of a run that nobody was given since,", () => {
    let fence: number;
    beforeEach(async () => {
      fence = await held("r");
      await pass(BOUNDS.leaseMs + 1);
      await lapsed("r");
    });

    const write: Record<string, () => Promise<unknown>> = {
      "the start of a step": () => engine.steps.start(by(worker), startedOf("r", fence, "a")),
      "a wait": () =>
        engine.steps.start(
          by(worker),
          startedOf("r", fence, "w", { kind: "signal", wait: { signalName: "go" } }),
        ),
      "a result": () => engine.steps.complete(by(worker), completedOf("r", fence, "a")),
      "a failure": () =>
        engine.steps.fail(by(worker), { ...completedOf("r", fence, "a"), failure: BOOM }),
      "a heartbeat": async () => worker.connection?.heartbeat(),
      "the start of a child": () => {
        const parent = { runId: "r", fence, key: "child:c", close: "cancel" } as const;
        return start(engine, "c", { parent, queue: "elsewhere" });
      },
      "a plain heartbeat": () => engine.polling.heartbeat(by(worker), [{ runId: "r", fence }]),
    };
    test.each(Object.keys(write))("are renewed by %s", async (name) => {
      await write[name]?.();
      const { header } = await engine.runs.get(caller, "r");
      expect(header).toMatchObject({ status: "RUNNING", fence, attempt: 1, crashes: 0 });
      expect(header.lease).toMatchObject({ workerId: "w1" });
      const { connectionId = "" } = by(worker).connection ?? {};
      expect(header.lease?.connectionId).toBe(connectionId);
      const other = new TestWorker("w2");
      await other.connect(engine);
      await worker.connection?.heartbeat();
      expect(worker.answers).toEqual([]);
      await engine.outcomes.complete(by(worker), {
        runId: "r",
        fence,
        output: json(1),
        unconsumed: [],
      });
      expect(other.dispatched).toEqual([]);
    });

    test("are not needed by the end of the run", async () => {
      await engine.outcomes.complete(by(worker), {
        runId: "r",
        fence,
        output: json(1),
        unconsumed: [],
      });
      expect((await engine.runs.get(caller, "r")).header.status).toBe("COMPLETED");
      const other = new TestWorker("w2");
      await other.connect(engine);
      await start(engine, "s");
      await other.next("s");
      expect(other.dispatched.map(({ header }) => header.runId)).toEqual(["s"]);
    });

    test("are not needed to wait, nor to be told of it", async () => {
      const command = startedOf("r", fence, "w", { kind: "signal", wait: { signalName: "go" } });
      await engine.steps.start(by(worker), command);
      await engine.signals.send(caller, {
        runId: "r",
        name: "go",
        signalId: "s1",
        payload: json(1),
        actor: "",
      });
      await worker.until(() => worker.resolved.find(({ key }) => key === "w"));
    });

    test("come back by a reconnection, not by a write that is refused", async () => {
      const wrong = engine.steps.complete(by(worker), completedOf("r", fence, "a", { attempt: 7 }));
      await expect(wrong).rejects.toMatchObject({ reason: "INVALID_ARGUMENT" });
      expect((await engine.runs.get(caller, "r")).header).toMatchObject({
        status: "QUEUED",
        fence,
      });
      const connection = await worker.connect(engine, 100, [{ runId: "r", fence }]);
      expect(connection.survived).toMatchObject([{ runId: "r", fence }]);
    });

    test("are gone after a cancel", async () => {
      await engine.runs.cancel(caller, { runId: "r", reason: "", graceMs: 1_000 });
      const late = engine.steps.complete(by(worker), completedOf("r", fence, "a"));
      await expect(late).rejects.toMatchObject({ reason: "LEASE_LOST" });
    });
  });

  test("end by the time that has passed, not when the server's clock is set forward", async () => {
    const fence = await held("r");
    made.clock.set(20_000);
    // A look at the leases comes every second.
    await new Promise((resolve) => setTimeout(resolve, 2_200));
    await worker.connection?.heartbeat();
    expect((await engine.runs.get(caller, "r")).header).toMatchObject({ status: "RUNNING", fence });
    expect(worker.dispatched).toHaveLength(1);
    await pass(BOUNDS.leaseMs + 5_000);
    await lapsed("r");
  });

  test("of a dispatch that was not acknowledged come back with its acknowledgement", async () => {
    worker.onDispatch = () => undefined;
    const fence = await held("r");
    await pass(BOUNDS.dispatchAckMs + 1);
    // The worker has room, but says nothing, so that it is not given the run once more.
    await lapsed("r");
    worker.connection?.ack("r", fence);
    await eventually(async () =>
      (await engine.runs.get(caller, "r")).header.status === "RUNNING" ? true : undefined,
    );
    await engine.steps.complete(by(worker), completedOf("r", fence, "a"));
    expect(worker.dispatched).toHaveLength(1);
    expect((await engine.runs.get(caller, "r")).header).toMatchObject({ fence, attempt: 1 });
  });

  test("a dispatch that nobody acknowledges goes to another worker under a new fence", async () => {
    worker.onDispatch = () => undefined;
    const fence = await held("r");
    const other = new TestWorker("w2");
    worker.connection?.draining();
    await other.connect(engine);
    await pass(BOUNDS.dispatchAckMs + 1);
    const again = await other.next("r", fence);
    expect(again.header).toMatchObject({ attempt: 2, crashes: 0 });
  });

  test("runs whose workers keep dying: each process gets one at a time, beside any others", async () => {
    worker.connection?.draining();
    const ids = ["a", "b", "c", "d"];
    await Promise.all(ids.map((id) => start(engine, id)));
    let fences = new Map<string, number>();
    for (let deaths = 1; deaths <= 2; deaths += 1) {
      const victim = new TestWorker(`victim${deaths}`);
      await victim.connect(engine);
      const items = await Promise.all(ids.map((id) => victim.next(id, fences.get(id))));
      fences = new Map(items.map(({ header }) => [header.runId, header.fence]));
      expect(items.map(({ careful }) => careful)).toEqual(ids.map(() => deaths > 1));
      for (const id of ids)
        await engine.steps.start(by(victim), startedOf(id, fences.get(id) ?? 0, "s"));
      victim.connection?.closed();
      await Promise.all(ids.map((id) => lapsed(id)));
    }
    const next = new TestWorker("next");
    await next.connect(engine);
    await start(engine, "healthy");
    await next.next("healthy");
    for (let ended = 0; ended < ids.length; ended += 1) {
      const suspects = await next.until(() => {
        const all = next.dispatched.filter(({ header }) => header.runId !== "healthy");
        return all.length > ended ? all : undefined;
      });
      expect(suspects).toHaveLength(ended + 1);
      const { runId, fence } = suspects.at(-1)?.header ?? { runId: "", fence: 0 };
      const { outcome } = await engine.steps.start(by(next), startedOf(runId, fence, "s"));
      expect(outcome).toMatchObject({ kind: "execute", attempt: 3 });
      await engine.steps.complete(by(next), completedOf(runId, fence, "s", { attempt: 3 }));
    }
  });

  test("credits bound what a worker is given", async () => {
    worker.connection?.draining();
    const other = new TestWorker("w2");
    const connection = await other.connect(engine, 2);
    await Promise.all(["a", "b", "c"].map((id) => start(engine, id)));
    await other.until(() => (other.dispatched.length === 2 ? true : undefined));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(other.dispatched).toHaveLength(2);
    connection.credits(1);
    await other.next("c");
  });
});

describe("payloads by reference", () => {
  const unknown = { encoding: "json", ref: { sha256: "0".repeat(64), size: 5 } } as const;

  test("that were never uploaded are NOT_FOUND wherever they come", async () => {
    const fence = await held("r");
    const calls = [
      () => start(engine, "q", { input: unknown }),
      () => engine.steps.complete(caller, completedOf("r", fence, "a", { output: unknown })),
      () =>
        engine.outcomes.complete(caller, { runId: "r", fence, output: unknown, unconsumed: [] }),
      () =>
        engine.signals.send(caller, {
          runId: "r",
          name: "go",
          signalId: "s1",
          payload: unknown,
          actor: "",
        }),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ reason: "NOT_FOUND" });
  });

  test("are the same value as the bytes that they stand for", async () => {
    const fence = await held("r");
    const data = Buffer.alloc(BOUNDS.inlinePayloadBytes + 1, 1);
    const ref = await engine.payloads.put(caller, data);
    const first = await engine.steps.complete(
      caller,
      completedOf("r", fence, "a", { output: { encoding: "bytes", data } }),
    );
    const again = await engine.steps.complete(
      caller,
      completedOf("r", fence, "a", { output: { encoding: "bytes", ref } }),
    );
    expect(again.seq).toBe(first.seq);
    await expect(
      engine.steps.complete(
        caller,
        completedOf("r", fence, "a", { output: { encoding: "json", ref } }),
      ),
    ).rejects.toMatchObject({ reason: "COMMIT_CONFLICT" });
  });
});

describe("timers", () => {
  test("further away than a timer of the platform reaches do not spin", async () => {
    const warned: Error[] = [];
    const onWarning = (warning: Error): void => void warned.push(warning);
    process.on("warning", onWarning);
    const month = 31 * 86_400_000;
    const fence = await held("r");
    const wait = { kind: "sleep", wait: { durationMs: month } } as const;
    for (let i = 0; i < 40; i += 1)
      await engine.steps.start(caller, startedOf("r", fence, `sleep:${i}`, wait));
    await new Promise((resolve) => setTimeout(resolve, 20));
    process.off("warning", onWarning);
    expect(warned.map(({ name }) => name)).not.toContain("TimeoutOverflowWarning");
  });

  test("fire on time, and the worker that holds the run is told", async () => {
    const fence = await held("r");
    const reply = await engine.steps.start(
      caller,
      startedOf("r", fence, "sleep:s", { kind: "sleep", wait: { durationMs: 30 } }),
    );
    expect(reply.outcome).toMatchObject({ kind: "wait", why: "wait" });
    await worker.until(
      () => worker.told.find((what) => what === `resolved r ${fence} sleep:s fired`),
      900,
    );
  });
});
