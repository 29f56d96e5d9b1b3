import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { JournalEntrySchema, LeaseStatus, StepKind } from "@pawl/proto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type AnyWorkflow, PawlError, silentLogger, Worker, workflow } from "../src/index.ts";
import { agreeable, Peer, reply } from "./support/peer.ts";

let peer: Peer;
let url: string;
let worker: Worker | undefined;

beforeEach(async () => {
  peer = new Peer();
  url = await peer.start();
});

afterEach(async () => {
  await worker?.stop();
  await peer.stop();
  worker = undefined;
});

async function start(...workflows: AnyWorkflow[]): Promise<Worker> {
  worker = new Worker({
    url,
    workflows,
    slots: 2,
    workerId: "w1",
    drainTimeout: 50,
    logger: silentLogger,
  });
  await worker.start();
  return worker;
}

function dispatch(
  workflowName: string,
  over: { runId?: string; fence?: number; more?: boolean; cancelling?: boolean } = {},
) {
  const { runId = "r1", fence = 1 } = over;
  return {
    case: "dispatch" as const,
    value: {
      item: {
        lease: { runId, fence, attempt: 1 },
        workflow: workflowName,
        input: { encoding: "void" },
        journal: [{ seq: 1, type: "run.started" }],
        journalMore: over.more ?? false,
        journalLength: 1,
        cancelling: over.cancelling ?? false,
      },
    },
  };
}

const two = workflow("two", async (ctx) => [
  await ctx.step("a", () => 1),
  await ctx.step("b", async () => 2),
]);

describe("a session", () => {
  test("says who it is, grants its slots, acknowledges, reports, grants again", async () => {
    peer.answer = agreeable();
    await start(two);
    const hello = await peer.next("hello");
    expect(hello.value).toMatchObject({
      protocolVersion: 1,
      worker: {
        workerId: "w1",
        language: "typescript",
        slots: 2,
        queues: ["default"],
        workflows: [{ name: "two" }],
      },
      leases: [],
    });
    expect((await peer.next("credits")).value.count).toBe(2);
    peer.send(dispatch("two"));
    expect((await peer.next("dispatchAck")).value).toMatchObject({ runId: "r1", fence: 1 });
    const first = await peer.next("stepCompleted");
    expect(first.value).toMatchObject({
      runId: "r1",
      fence: 1,
      stepKey: "a",
      attempt: 1,
      kind: StepKind.STEP,
    });
    expect(Buffer.from(first.value.output?.data ?? []).toString()).toBe("1");
    expect((await peer.next("stepCompleted")).value.stepKey).toBe("b");
    const end = await peer.next("completeRun");
    expect(Buffer.from(end.value.output?.data ?? []).toString()).toBe("[1,2]");
    expect((await peer.next("credits")).value.count).toBe(1);
    // Steps that end before their start could leave are no news.
    expect(peer.count("stepStarted")).toBe(0);
  });

  test("a step that takes its time is announced; frames of one turn share a message", async () => {
    const parallel = workflow("parallel", (ctx) =>
      ctx.map("m", [1, 2, 3], (n, c) =>
        c.step("s", () => sleep(30, n), { timeout: "1 min", retry: 2 }),
      ),
    );
    peer.answer = agreeable();
    await start(parallel);
    peer.send(dispatch("parallel"));
    const starts = [
      await peer.next("stepStarted"),
      await peer.next("stepStarted"),
      await peer.next("stepStarted"),
    ];
    expect(new Set(starts.map((frame) => frame.message)).size).toBe(1);
    expect(starts.map((frame) => frame.id)).toEqual([0, 0, 0]);
    expect(starts[0]?.value).toMatchObject({
      retryPolicy: { maxAttempts: 2 },
      timeout: { seconds: 60n },
    });
    await peer.next("completeRun");
  });

  test("a run of a workflow that it does not serve goes back at once", async () => {
    await start(two);
    peer.send(dispatch("other"));
    expect((await peer.next("nack")).value.reason).toContain("other");
  });

  test("the rest of a long journal is fetched before the code starts", async () => {
    peer.answer = agreeable();
    const seen: string[] = [];
    const loop = workflow("loop", async (ctx) => {
      const results: number[] = [];
      for (let i = 0; i < 6; i += 1) {
        const body = (s: { stepKey: string }) => {
          seen.push(s.stepKey);
          return i + 100;
        };
        results.push(await ctx.step("s", body));
      }
      return results;
    });
    peer.journal = [1, 2, 3, 4, 5].map((n) =>
      create(JournalEntrySchema, {
        seq: n + 1,
        type: "workflow.step.completed",
        stepKey: n === 1 ? "s" : `s#${n}`,
        kind: StepKind.STEP,
        attempt: 1,
        payload: { data: Buffer.from(String(n)), encoding: "json" },
      }),
    );
    await start(loop);
    peer.send(dispatch("loop", { more: true }));
    const end = await peer.next("completeRun");
    expect(Buffer.from(end.value.output?.data ?? []).toString()).toBe("[1,2,3,4,5,105]");
    expect(seen).toEqual(["s#6"]);
  });
});

describe("a lost connection", () => {
  test("leases that survive: what was not acknowledged is sent again, the same, and the run goes on", async () => {
    let executions = 0;
    const once = workflow("once", async (ctx) => {
      await ctx.step("a", () => {
        executions += 1;
        return executions;
      });
      return ctx.step("b", () => 2);
    });
    await start(once);
    await peer.next("hello");
    peer.send(dispatch("once", { fence: 7 }));
    const lost = await peer.next("stepCompleted");
    peer.hangUp();
    const again = await peer.next("hello");
    expect(again.value.leases).toMatchObject([{ runId: "r1", fence: 7 }]);
    const resent = await peer.next("stepCompleted");
    expect(resent.stream).toBe(2);
    expect([resent.id, resent.value]).toEqual([lost.id, lost.value]);
    peer.send(reply(resent.id, { case: "stepCompleted", value: { directive: 1, seq: 2 } }));
    expect((await peer.next("stepCompleted")).value.stepKey).toBe("b");
    expect(executions).toBe(1);
  });

  test("a lease that did not survive: the run is dropped, its body aborted, nothing resent", async () => {
    const seen: string[] = [];
    const long = workflow("long", async (ctx) => {
      try {
        await ctx.step("a", async (s) => {
          s.abortSignal.addEventListener("abort", () => seen.push("aborted"));
          await sleep(100);
        });
      } finally {
        seen.push("finally");
      }
    });
    await start(long);
    peer.send(dispatch("long"));
    await peer.next("stepStarted");
    const { welcome } = peer;
    peer.welcome = (hello) => welcome({ ...hello, leases: [] });
    peer.hangUp();
    await peer.next("credits");
    expect((await peer.next("credits")).value.count).toBe(2);
    await sleep(150);
    expect(seen).toEqual(["aborted"]);
    expect(peer.count("stepCompleted")).toBe(0);
    expect(worker?.inFlight).toBe(0);
  });

  test("while it lasts, results wait and no new step starts", async () => {
    const started: string[] = [];
    const steps = workflow("steps", async (ctx) => {
      await ctx.step("a", async (s) => {
        started.push(s.stepKey);
        await sleep(30);
      });
      await ctx.step("b", (s) => void started.push(s.stepKey));
    });
    peer.answer = (frame) => (frame.body.case === "stepCompleted" ? undefined : agreeable()(frame));
    await start(steps);
    peer.send(dispatch("steps"));
    await peer.next("stepStarted");
    const { welcome } = peer;
    const { promise: admitted, resolve: admit } = Promise.withResolvers<void>();
    peer.welcome = (hello) => {
      void admitted.then(() => peer.send(welcome(hello)));
      return { case: "ping", value: { nonce: 1 } };
    };
    peer.hangUp();
    await sleep(100);
    expect(peer.count("stepCompleted")).toBe(0);
    expect(started).toEqual(["a"]);
    peer.answer = agreeable();
    admit();
    await peer.next("completeRun");
    expect(started).toEqual(["a", "b"]);
  });
});

describe("what the server says", () => {
  const waiting = (seen: unknown[]) =>
    workflow("waiting", async (ctx) => {
      try {
        await ctx.step("a", async (s) => {
          s.abortSignal.addEventListener("abort", () => seen.push("aborted"));
          await sleep(10_000, undefined, { signal: s.abortSignal });
        });
      } catch (error) {
        seen.push((error as Error).name);
        await ctx.step("clean up", () => seen.push("cleaned"));
        throw error;
      }
    });

  test("cancel: the signal fires, the clean-up runs under the new fence, the run ends cancelled", async () => {
    const seen: unknown[] = [];
    peer.answer = agreeable();
    await start(waiting(seen));
    peer.send(dispatch("waiting"));
    await peer.next("stepStarted");
    peer.send({ case: "cancel", value: { runId: "r1", fence: 2, reason: "enough" } });
    expect((await peer.next("stepCompleted")).value).toMatchObject({
      fence: 2,
      stepKey: "clean up",
    });
    expect((await peer.next("failRun")).value).toMatchObject({
      fence: 2,
      failure: { type: "Cancelled", message: "enough" },
    });
    expect(seen).toEqual(["aborted", "Cancelled", "cleaned"]);
  });

  test("a heartbeat answered LOST drops the run", async () => {
    const seen: unknown[] = [];
    await start(waiting(seen));
    peer.send(dispatch("waiting"));
    await peer.next("stepStarted");
    peer.send({
      case: "leaseResults",
      value: { results: [{ runId: "r1", status: LeaseStatus.LOST }] },
    });
    await peer.next("credits");
    await peer.next("credits");
    expect(seen).toEqual(["aborted"]);
    expect(peer.count("failRun")).toBe(0);
  });

  test("pause: what is in flight is recorded, then the run is given back", async () => {
    peer.answer = agreeable();
    const steps = workflow("steps", async (ctx) => {
      await ctx.step("a", () => sleep(50));
      await ctx.step("b", () => 1);
    });
    await start(steps);
    peer.send(dispatch("steps"));
    await peer.next("stepStarted");
    peer.send({ case: "pause", value: { runId: "r1", fence: 1 } });
    expect((await peer.next("stepCompleted")).value.stepKey).toBe("a");
    const suspend = await peer.next("suspendRun");
    expect(suspend.value.tree).toBeUndefined();
    peer.send(reply(suspend.id, { case: "suspendRun", value: { resumed: false, directive: 4 } }));
    await peer.next("credits");
    await peer.next("credits");
    expect(peer.count("stepCompleted")).toBe(0);
  });

  test("a wait: registered, held while it is short, resolved by a push", async () => {
    const sleeper = workflow("sleeper", async (ctx) => {
      await ctx.sleep(200);
      return ctx.signal("go");
    });
    peer.answer = agreeable();
    await start(sleeper);
    peer.send(dispatch("sleeper"));
    const timer = await peer.next("stepStarted");
    expect(timer.value).toMatchObject({
      kind: StepKind.SLEEP,
      stepKey: "sleep:sleep",
      wait: { duration: { seconds: 0n, nanos: 200_000_000 } },
    });
    expect(timer.id).not.toBe(0);
    const until = { seconds: BigInt(Math.floor(Date.now() / 1_000)), nanos: 999_000_000 };
    peer.send(
      reply(timer.id, {
        case: "stepStarted",
        value: { outcome: { case: "wait", value: { until } } },
      }),
    );
    const resolved = {
      seq: 3,
      type: "workflow.wait.resolved",
      stepKey: "sleep:sleep",
      kind: StepKind.SLEEP,
      outcome: "fired",
    };
    peer.send({ case: "waitResolved", value: { runId: "r1", fence: 1, entry: resolved } });
    const signal = await peer.next("stepStarted");
    expect(signal.value).toMatchObject({
      kind: StepKind.SIGNAL,
      stepKey: "signal:go",
      wait: { signalName: "go" },
    });
    peer.send(
      reply(signal.id, { case: "stepStarted", value: { outcome: { case: "wait", value: {} } } }),
    );
    // Nothing but the signal is left: the run is given back, and taken again when the server knows better.
    const suspend = await peer.next("suspendRun");
    const entry = {
      seq: 5,
      type: "workflow.wait.resolved",
      stepKey: "signal:go",
      kind: StepKind.SIGNAL,
      outcome: "signalled",
      payload: { data: Buffer.from('""') },
    };
    peer.send(
      reply(suspend.id, {
        case: "suspendRun",
        value: { resumed: true, directive: 1, resolved: [entry] },
      }),
    );
    expect(Buffer.from((await peer.next("completeRun")).value.output?.data ?? []).toString()).toBe(
      '""',
    );
  });

  test("errors: what is worth it is sent again, a lost lease ends the run silently", async () => {
    await start(two);
    peer.send(dispatch("two"));
    const first = await peer.next("stepCompleted");
    peer.send(
      reply(first.id, {
        case: "error",
        value: { reason: "STORE_UNAVAILABLE", code: 14, message: "later" },
      }),
    );
    const again = await peer.next("stepCompleted");
    expect(again.value).toEqual(first.value);
    peer.send(
      reply(again.id, {
        case: "error",
        value: { reason: "LEASE_LOST", code: 10, message: "gone" },
      }),
    );
    await peer.next("credits");
    expect((await peer.next("credits")).value.count).toBe(1);
    expect(peer.count("failRun")).toBe(0);
  });

  test("live output goes out in order, in batches, before the run's end", async () => {
    const talk = workflow("talk", (ctx) =>
      ctx.step("gen", async function* () {
        for (const word of ["a", "b", "c"]) yield word;
      }),
    );
    peer.answer = agreeable();
    await start(talk);
    peer.send(dispatch("talk"));
    await peer.next("completeRun");
    const { value } = await peer.next("publishEvents");
    expect(
      value.events.map((event) => [event.type, event.stepKey, event.attempt, event.sequence]),
    ).toEqual([
      ["output.delta", "gen", 1, 1],
      ["output.delta", "gen", 1, 2],
      ["output.delta", "gen", 1, 3],
    ]);
  });

  test("drain: it connects anew with its leases", async () => {
    const seen: unknown[] = [];
    await start(waiting(seen));
    await peer.next("hello");
    peer.send(dispatch("waiting"));
    await peer.next("stepStarted");
    peer.send({ case: "drain", value: {} });
    const again = await peer.next("hello");
    expect(again.value.leases).toMatchObject([{ runId: "r1" }]);
    expect(seen).toEqual([]);
  });

  test("frames about runs that it does not have, and pings, hurt nobody", async () => {
    peer.answer = agreeable();
    await start(two);
    peer.send(
      { case: "cancel", value: { runId: "nobody", fence: 1 } },
      { case: "waitResolved", value: { runId: "nobody", entry: { seq: 1 } } },
      reply(99, { case: "error", value: { reason: "INVALID_ARGUMENT" } }),
      { case: "ping", value: { nonce: 42 } },
      dispatch("two"),
    );
    expect((await peer.next("pong")).value.nonce).toBe(42);
    await peer.next("completeRun");
  });
});

test("stop: draining is told, runs under way may end, then the stream closes", async () => {
  peer.answer = agreeable();
  const slow = workflow("slow", (ctx) => ctx.step("a", () => sleep(100, "done")));
  worker = new Worker({
    url,
    workflows: [slow],
    slots: 1,
    drainTimeout: "5 s",
    logger: silentLogger,
  });
  await worker.start();
  peer.send(dispatch("slow"));
  await peer.next("stepStarted");
  const stopped = worker.stop();
  await peer.next("draining");
  peer.send(dispatch("slow", { runId: "r2" }));
  expect((await peer.next("nack")).value.runId).toBe("r2");
  await peer.next("completeRun");
  await stopped;
  expect(peer.count("credits")).toBe(1);
});

test("a worker that is refused for good says why", async () => {
  await peer.stop();
  const { Server, ServerCredentials } = await import("@grpc/grpc-js");
  const server = new Server();
  const port = await new Promise<number>((resolve) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (_error, bound) =>
      resolve(bound),
    );
  });
  // A server without our service.
  worker = new Worker({
    url: `127.0.0.1:${port}`,
    workflows: [two],
    logger: silentLogger,
    drainTimeout: 0,
  });
  await expect(worker.run()).rejects.toThrow(PawlError);
  server.forceShutdown();
});
