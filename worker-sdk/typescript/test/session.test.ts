import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { JournalEntrySchema, StepKind, WaitOutcome } from "@pawl/proto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type AnyWorkflow, RequestError, silentLogger, Worker, workflow } from "../src/index.ts";
import { agreeable, dispatch, Peer, reply } from "./support/peer.ts";

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
    // Its slot is free as soon as its code has ended: the credit rides with the outcome.
    const credit = await peer.next("credits");
    expect([credit.value.count, credit.message]).toEqual([1, end.message]);
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

  test("an acknowledgement leaves with what the same answers bring up, and its run begins then", async () => {
    await start(two);
    peer.send(dispatch("two"));
    await peer.next("dispatchAck");
    const first = await peer.next("stepCompleted");
    const recorded = reply(first.id, { case: "stepCompleted", value: { directive: 1, seq: 2 } });
    peer.send(recorded, dispatch("two", { runId: "r2" }));
    const acknowledged = await peer.next("dispatchAck");
    const second = await peer.next("stepCompleted");
    expect([second.value.runId, second.message]).toEqual(["r1", acknowledged.message]);
    // The answer that is due does not come, so what the other run begins with goes alone.
    const other = await peer.next("stepCompleted");
    expect([other.value.runId, other.value.stepKey]).toEqual(["r2", "a"]);
    expect(other.message).toBeGreaterThan(acknowledged.message);
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
  test("leases that survive: what was not acknowledged is sent again, the same, and the run continues", async () => {
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

  test("waits are asked about again: what was resolved meanwhile was told to nobody", async () => {
    const sleeper = workflow("sleeper", (ctx) => ctx.sleep(500));
    peer.answer = agreeable();
    await start(sleeper);
    await peer.next("hello");
    peer.send(dispatch("sleeper"));
    const asked = await peer.next("stepStarted");
    const until = { seconds: BigInt(Math.floor(Date.now() / 1_000) + 1), nanos: 0 };
    const wait = { outcome: { case: "wait" as const, value: { until } } };
    peer.send(reply(asked.id, { case: "stepStarted", value: wait }));
    // Whatever was sent before this was answered has been read.
    peer.send({ case: "ping", value: { nonce: 1 } });
    await peer.next("pong");
    peer.hangUp();
    await peer.next("hello");
    const again = await peer.next("stepStarted");
    expect(again.value).toMatchObject({ kind: StepKind.SLEEP, stepKey: "sleep:sleep" });
    const fired = { outcome: { case: "replay" as const, value: { outcome: WaitOutcome.FIRED } } };
    peer.send(reply(again.id, { case: "stepStarted", value: fired }));
    await peer.next("completeRun");
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

test("a run whose failure the server refuses to take is given back", async () => {
  peer.answer = ({ id, body }) =>
    body.case === "failRun"
      ? reply(id, { case: "error", value: { reason: "INVALID_ARGUMENT", code: 3, message: "no" } })
      : undefined;
  await start(
    workflow("broken", () => {
      throw new Error("broken");
    }),
  );
  peer.send(dispatch("broken", { fence: 7 }));
  expect((await peer.next("nack")).value).toMatchObject({ runId: "r1", fence: 7 });
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
  await expect(worker.run()).rejects.toThrow(RequestError);
  server.forceShutdown();
});
