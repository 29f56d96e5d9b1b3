/**
 * Goal: a worker that lost a run can write nothing, a fence is never given twice, and no run is lost by
 * a worker, a connection or a server that goes away.
 * Method: raw workers that hang up, come back, and continue under old fences.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  EventService,
  LeaseStatus,
  RunService,
  RunStatus,
  StepStartedResponse_Stop_Reason as StopReason,
  WorkerService,
} from "@pawl/proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createDatabase } from "../harness/database.ts";
import { connect, type RawWorker, rpc, SessionWorker, UnaryWorker } from "../harness/protocol.ts";
import { startServer } from "../harness/server.ts";
import {
  BOOM,
  fenceOf,
  json,
  Lab,
  ms,
  refused,
  SLEEP,
  STEP,
  sleep,
  stores,
  transports,
} from "./lab.ts";

/** Every write that a worker can try, with what it answers. */
async function tryAll(
  worker: RawWorker,
  lab: Lab,
  runId: string,
  fence: number,
): Promise<Record<string, string>> {
  const at = { runId, fence };
  const started = await worker.stepStarted({ ...at, stepKey: "z", kind: STEP });
  const reason = (call: Promise<unknown>): Promise<string> =>
    call.then(
      () => "done",
      (error: { reason?: string }) => error.reason ?? String(error),
    );
  const child = {
    workflow: lab.name("flow"),
    runId: `${runId}~z`,
    claim: true,
    parent: { runId, stepKey: "child:z" },
    parentFence: fence,
  };
  return {
    stepStarted:
      started.outcome.case === "stop"
        ? StopReason[started.outcome.value.reason]
        : String(started.outcome.case),
    wait: await worker
      .stepStarted({ ...at, stepKey: "sleep:z", kind: SLEEP, wait: { duration: ms(5) } })
      .then(({ outcome }) =>
        outcome.case === "stop" ? StopReason[outcome.value.reason] : String(outcome.case),
      ),
    stepCompleted: await reason(
      worker.stepCompleted({ ...at, stepKey: "z", attempt: 1, output: json("zombie") }),
    ),
    stepFailed: await reason(worker.stepFailed({ ...at, stepKey: "z", attempt: 1, failure: BOOM })),
    suspendRun: await reason(worker.suspendRun(at)),
    completeRun: await reason(worker.completeRun({ ...at, output: json("zombie") })),
    failRun: await reason(worker.failRun({ ...at, failure: BOOM })),
    child: await reason(lab.start(child)),
  };
}

const ALL_LOST = {
  stepStarted: "LEASE_LOST",
  wait: "LEASE_LOST",
  stepCompleted: "LEASE_LOST",
  stepFailed: "LEASE_LOST",
  suspendRun: "LEASE_LOST",
  completeRun: "LEASE_LOST",
  failRun: "LEASE_LOST",
  child: "LEASE_LOST",
};

describe.each(stores)("%s", (store) => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.open(store);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  describe.each(transports)("%s", (transport) => {
    test.concurrent("after its lease was taken, every write of a worker is refused, and nothing is written", async () => {
      const { worker, runId, fence } = await lab.held(transport);
      await worker.giveBack(runId, fence);
      const next = fenceOf(await worker.next(runId, fence));
      const before = (await lab.journal(runId)).length;
      for (const stale of [fence, next + 1])
        expect(await tryAll(worker, lab, runId, stale)).toEqual(ALL_LOST);
      expect(await lab.journal(runId)).toHaveLength(before);
      await worker.stepCompleted({
        runId,
        fence: next,
        stepKey: "z",
        attempt: 1,
        output: json("mine"),
      });
      await worker.completeRun({ runId, fence: next, output: json("mine") });
      expect((await lab.run(runId)).status).toBe(RunStatus.COMPLETED);
    });

    test.concurrent("who still executes a deleted run writes nothing into the next one of its id", async () => {
      const { worker, runId, fence, flow, item } = await lab.held(transport);
      const key = async (at: number) => {
        const { outcome } = await worker.stepStarted({
          runId,
          fence: at,
          stepKey: "a",
          kind: STEP,
        });
        return outcome.case === "execute" ? outcome.value.idempotencyKey : outcome.case;
      };
      const formerKey = await key(fence);
      await rpc(lab.client, RunService.method.cancelRun, { runId, force: true, grace: ms(0) });
      await lab.until(runId, ({ status }) => status === RunStatus.CANCELLED);
      await rpc(lab.client, RunService.method.deleteRun, { runId });
      await lab.start({ workflow: flow, runId });
      const next = await worker.next(runId, 0, item);
      expect(next.runUid).not.toBe(item.runUid);
      expect((await lab.run(runId)).runUid).toBe(next.runUid);
      const before = (await lab.journal(runId)).length;
      for (const stale of [fence, fence + 1])
        expect(await tryAll(worker, lab, runId, stale)).toEqual(ALL_LOST);
      expect(await lab.journal(runId)).toHaveLength(before);
      // Nor does a reconnection give it the run.
      const names = { workflows: [flow], workerId: worker.workerId };
      const zombie = await SessionWorker.open(lab.client, names, item.lease ? [item.lease] : [], 0);
      expect((await zombie.until("welcome")).leases).toEqual([]);
      zombie.close();
      if (transport === "session") return;
      expect([formerKey, await key(fenceOf(next))]).toEqual([
        `${item.runUid}/a`,
        `${next.runUid}/a`,
      ]);
    });

    test.concurrent("a missing fence is refused as such", async () => {
      const { worker, runId } = await lab.held(transport);
      const call = worker.stepCompleted({ runId, stepKey: "a", attempt: 1, output: json(1) });
      await expect(call).rejects.toMatchObject(refused("INVALID_ARGUMENT"));
    });

    test.concurrent("fences never repeat, across give-backs, retries, pauses and a cancel", async () => {
      const { worker, runId, fence } = await lab.held(transport);
      const fences = [fence];
      const lease = async (): Promise<number> => {
        const next = fenceOf(await worker.next(runId, fences.at(-1)));
        fences.push(next);
        return next;
      };
      await worker.giveBack(runId, fence);
      await worker.failRun({ runId, fence: await lease(), failure: BOOM });
      await rpc(lab.client, RunService.method.retryRun, { runId });
      const third = await lease();
      await rpc(lab.client, RunService.method.pauseRun, { runId });
      await worker.suspendRun({ runId, fence: third });
      await rpc(lab.client, RunService.method.resumeRun, { runId });
      const fourth = await lease();
      await rpc(lab.client, RunService.method.cancelRun, { runId });
      const stop = await worker.stepStarted({ runId, fence: fourth, stepKey: "a", kind: STEP });
      expect(stop.outcome).toMatchObject({
        case: "stop",
        value: { reason: StopReason.RUN_CANCELLED },
      });
      fences.push(stop.outcome.case === "stop" ? stop.outcome.value.fence : 0);
      expect(fences).toEqual([...new Set(fences)].sort((a, b) => a - b));
      const cancelled = fences.at(-1) ?? 0;
      await worker.failRun({
        runId,
        fence: cancelled,
        failure: { type: "Cancelled", message: "cleaned up" },
      });
      expect((await lab.run(runId)).status).toBe(RunStatus.CANCELLED);
    });

    test.concurrent("heartbeats renew, and tell of a pause, a cancel and a loss", async () => {
      const { worker, runId, fence } = await lab.held(transport);
      const beat = async (held: number) => (await worker.heartbeat([{ runId, fence: held }]))[0];
      const until = (await lab.run(runId)).leaseExpiresAt;
      await sleep(30);
      expect((await beat(fence))?.status ?? LeaseStatus.RENEWED).toBe(LeaseStatus.RENEWED);
      const renewed = (await lab.run(runId)).leaseExpiresAt;
      expect(Number(renewed?.seconds) * 1e9 + Number(renewed?.nanos)).toBeGreaterThan(
        Number(until?.seconds) * 1e9 + Number(until?.nanos),
      );
      await rpc(lab.client, RunService.method.pauseRun, { runId });
      if (worker instanceof SessionWorker)
        await worker.until("pause", (pause) => pause.runId === runId);
      else expect((await beat(fence))?.status).toBe(LeaseStatus.PAUSE);
      await rpc(lab.client, RunService.method.cancelRun, {
        runId,
        reason: "enough",
        grace: ms(5_000),
      });
      let cleanup = 0;
      if (worker instanceof SessionWorker) {
        const cancel = await worker.until("cancel", (one) => one.runId === runId);
        expect(cancel).toMatchObject({ reason: "enough", grace: ms(5_000) });
        cleanup = cancel.fence;
      } else {
        const told = await beat(fence);
        expect(told?.status).toBe(LeaseStatus.CANCEL);
        cleanup = told?.fence ?? 0;
      }
      expect(cleanup).toBeGreaterThan(fence);
      await worker.completeRun({ runId, fence: cleanup, output: json("too late") });
      expect((await lab.run(runId)).status).toBe(RunStatus.CANCELLED);
      if (transport === "unary") expect((await beat(cleanup))?.status).toBe(LeaseStatus.LOST);
    });

    test.concurrent("a clean-up that takes too long is ended", async () => {
      const { worker, runId, fence } = await lab.held(transport);
      await rpc(lab.client, RunService.method.cancelRun, { runId, grace: ms(50) });
      // The grace starts when the holder is known to have heard of the cancel.
      await worker.heartbeat([{ runId, fence }]);
      await lab.until(runId, ({ status }) => status === RunStatus.CANCELLED);
      expect((await tryAll(worker, lab, runId, fence + 1)).stepCompleted).toBe("LEASE_LOST");
    });
  });

  test.concurrent("a worker that dies gives its runs to another within a second", async () => {
    const { worker, runId, fence, flow } = await lab.held("session");
    const other = await lab.worker("session", flow);
    const died = performance.now();
    worker.close();
    const next = await other.next(runId, fence);
    expect(next.lease?.attempt).toBe(2);
    // 0.5 s of grace, and what a busy machine adds; without a stream it would be the lease, 15 s.
    expect(performance.now() - died).toBeLessThan(12_000);
    await expect(
      other.stepCompleted({ runId, fence, stepKey: "a", attempt: 1, output: json(1) }),
    ).rejects.toMatchObject(refused("LEASE_LOST"));
  });

  /** A worker of a run that has recorded a step, on a new connection; in time, as far as is known here. */
  async function reconnected() {
    for (let tries = 0; ; tries += 1) {
      const { worker, runId, fence, flow, item } = await lab.held("session");
      const message = { runId, fence, stepKey: "a", attempt: 1, output: json("result") };
      await worker.stepCompleted(message);
      const names = { workflows: [flow], workerId: worker.workerId };
      const lost = { runId: "unknown", fence: 3 };
      const leases = [item.lease, lost].flatMap((lease) =>
        lease ? [{ ...lease, $typeName: "pawl.v1.Lease" as const, attempt: 1 }] : [],
      );
      const closed = performance.now();
      worker.close();
      const back = await SessionWorker.open(lab.client, names, leases);
      const welcome = await back.until("welcome");
      // On a busy machine it comes back after its grace of half a second.
      const isLate = performance.now() - closed > 400;
      if (welcome.leases.length > 0 || !isLate || tries > 5)
        return { back, welcome, message, runId, fence };
      back.close();
    }
  }

  test.concurrent("a worker that reconnects keeps its runs, and what it had not heard of is sent again", async () => {
    const { back, welcome, message, runId, fence } = await reconnected();
    expect(welcome.leases).toMatchObject([{ runId, fence }]);
    await sleep(700);
    await back.stepCompleted(message);
    await back.completeRun({ runId, fence, output: json("done") });
    expect((await lab.journal(runId)).map(({ type }) => type)).toEqual([
      "run.started",
      "workflow.step.completed",
      "run.completed",
    ]);
    back.close();
  });

  test.concurrent("a newer connection of the same worker replaces the older one", async () => {
    const { worker, runId, fence, flow, item } = await lab.held("session");
    if (!(worker instanceof SessionWorker) || item.lease === undefined)
      throw new Error("Not a session.");
    const names = { workflows: [flow], workerId: worker.workerId };
    const newer = await SessionWorker.open(lab.client, names, [item.lease]);
    await worker.ended;
    await newer.stepCompleted({ runId, fence, stepKey: "a", attempt: 1, output: json(1) });
    newer.close();
  });

  test.concurrent("a dispatch that is not acknowledged goes to another worker under a new fence", async () => {
    const flow = lab.name("flow");
    const worker = new SessionWorker(lab.client, { workflows: [flow] });
    worker.acknowledges = false;
    worker.send({
      case: "hello",
      value: {
        protocolVersion: 1,
        worker: {
          workerId: worker.workerId,
          instanceId: worker.instanceId,
          workflows: [{ name: flow }],
        },
      },
    });
    worker.send({ case: "credits", value: { count: 1 } });
    await worker.until("welcome");
    const runId = lab.name("run");
    await lab.start({ workflow: flow, runId });
    const first = await worker.next(runId);
    const other = await lab.worker("session", flow);
    const second = await other.next(runId, fenceOf(first));
    await other.completeRun({ runId, fence: fenceOf(second), output: json(1) });
    await expect(
      worker.completeRun({ runId, fence: fenceOf(first), output: json(2) }),
    ).rejects.toMatchObject(refused("LEASE_LOST"));
    worker.close();
  });

  test.concurrent("a bad frame, or one too large, gets an error, and the session continues", async () => {
    const { worker, runId, fence } = await lab.held("session");
    if (!(worker instanceof SessionWorker)) throw new Error("Not a session.");
    worker.sendBytes(Buffer.from("this is not a message"));
    await worker.until("reply", (reply) => reply.id === 0 && reply.result.case === "error");
    await expect(
      worker.stepCompleted({ runId, fence, stepKey: "x".repeat(600), attempt: 1, output: json(1) }),
    ).rejects.toMatchObject(refused("INVALID_ARGUMENT"));
    const output = { encoding: "bytes", data: Buffer.alloc(4 * 1024 * 1024 + 1) };
    worker.send(
      { case: "stepCompleted", value: { runId, fence, stepKey: "huge", attempt: 1, output } },
      77,
    );
    await worker.until(
      "reply",
      ({ result }) => result.case === "error" && result.value.reason === "PAYLOAD_TOO_LARGE",
    );
    await worker.stepCompleted({ runId, fence, stepKey: "fine", attempt: 1, output: json(1) });
  });

  test.concurrent("a draining worker is given nothing more", async () => {
    const { worker, runId, fence, flow } = await lab.held("session");
    if (!(worker instanceof SessionWorker)) throw new Error("Not a session.");
    worker.send({ case: "draining", value: {} });
    await worker.completeRun({ runId, fence, output: json(1) });
    const next = lab.name("run");
    await lab.start({ workflow: flow, runId: next });
    await sleep(200);
    expect(worker.frames.filter(({ case: kind }) => kind === "dispatch")).toHaveLength(1);
    const other = await lab.worker("unary", flow);
    await other.next(next);
  });

  test.concurrent("StartRun{claim}: the caller is the executor; others hear who is and until when", async () => {
    const workflow = lab.name("script");
    const runId = lab.name("run");
    const claim = { workflow, runId, claim: true, workerId: "script-1" };
    const first = await lab.start(claim);
    const fence = first.claimed?.lease?.fence ?? 0;
    expect(first).toMatchObject({ existing: false, claimed: { journalLength: 1 } });
    const worker = new UnaryWorker(lab.client, { workflows: [workflow] });
    await worker.stepCompleted({ runId, fence, stepKey: "a", attempt: 1, output: json("a") });
    const refusal = await lab.start(claim).catch((error: unknown) => error);
    expect(refusal).toMatchObject(refused("RUN_LEASED"));
    const { holder, expires_at } = (refusal as { metadata: Record<string, string> }).metadata;
    expect(holder).toBe("script-1");
    expect(Date.parse(expires_at ?? "")).toBeGreaterThan(Date.now());
    // It gives up its lease, and continues with what was recorded.
    await worker.giveBack(runId, fence);
    const again = await lab.untilClaimed(claim);
    expect(again.claimed?.journal.map(({ stepKey }) => stepKey)).toContain("a");
    const next = again.claimed?.lease?.fence ?? 0;
    expect(next).toBeGreaterThan(fence);
    await worker.completeRun({ runId, fence: next, output: json("done") });
    const ended = await lab.start(claim);
    expect(ended).toMatchObject({ existing: true, run: { status: RunStatus.COMPLETED } });
    expect(ended.claimed).toBeUndefined();
  });

  test.concurrent("deltas of a stale fence are dropped", async () => {
    const { worker, runId, fence } = await lab.held("session");
    if (!(worker instanceof SessionWorker)) throw new Error("Not a session.");
    const event = {
      type: "output.delta",
      stepKey: "a",
      attempt: 1,
      sequence: 1,
      payload: json("x"),
    };
    expect((await worker.publish(runId, fence, [event, event])).accepted).toBe(2);
    expect((await worker.publish(runId, fence - 1, [event])).accepted).toBe(0);
    const listed = await rpc(lab.client, EventService.method.listEvents, { runId });
    const types = listed.events.map(({ type }) => type);
    expect(types).toEqual(["run.started", "output.delta", "output.delta"]);
  });
});

describe.each(stores)("a server that is killed and started again, on %s", (store) => {
  test("keeps the leases of workers that come back, releases the others, and repeats no fence", async () => {
    const url = store === "postgres" ? await createDatabase("restart") : undefined;
    const folder = await mkdtemp(join(tmpdir(), "pawl-restart-"));
    const database = url ?? join(folder, "pawl.db");
    const args = store === "postgres" ? ["--replica", "one"] : [];
    let server = await startServer({ store: database, args });
    const { grpcAddress: grpc, httpAddress: http } = server;
    let client = connect(grpc);
    const names = (workerId: string) => ({ workflows: ["flow"], workerId });
    const start = (runId: string) =>
      rpc(client, RunService.method.startRun, { workflow: "flow", runId, input: json(1) });
    const faithful = await SessionWorker.open(client, names("faithful"), [], 1);
    await start("kept");
    const kept = await faithful.next("kept");
    const gone = await SessionWorker.open(client, names("gone"), [], 1);
    await start("lost");
    const lost = await gone.next("lost");
    const poller = new UnaryWorker(client, names("poller"));
    await start("polled");
    const polled = await poller.next("polled");
    await faithful.stepCompleted({
      runId: "kept",
      fence: fenceOf(kept),
      stepKey: "a",
      attempt: 1,
      output: json("a"),
    });

    await server.kill();
    client.close();
    server = await startServer({ store: database, grpc, http, args });
    client = connect(grpc);
    try {
      if (kept.lease === undefined) throw new Error("No lease.");
      const back = await SessionWorker.open(client, names("faithful"), [kept.lease]);
      expect((await back.until("welcome")).leases).toMatchObject([
        { runId: "kept", fence: fenceOf(kept) },
      ]);
      // The acknowledgement might have been lost with the server: the same again.
      await back.stepCompleted({
        runId: "kept",
        fence: fenceOf(kept),
        stepKey: "a",
        attempt: 1,
        output: json("a"),
      });
      const again = new UnaryWorker(client, names("poller"));
      await again.stepCompleted({
        runId: "polled",
        fence: fenceOf(polled),
        stepKey: "a",
        attempt: 1,
        output: json("a"),
      });
      const taken = await back.next("lost", fenceOf(lost));
      expect(fenceOf(taken)).toBeGreaterThan(fenceOf(lost));
      for (const [runId, fence] of [
        ["kept", fenceOf(kept)],
        ["polled", fenceOf(polled)],
        ["lost", fenceOf(taken)],
      ] as const) {
        await again.completeRun({ runId, fence, output: json("done") });
      }
      const types = await rpc(client, RunService.method.getJournal, { runId: "kept" });
      // A worker that takes longer to come back than the server waits has a lapsed lease, and continues.
      const written = types.entries.filter(({ type }) => type !== "run.recovered");
      expect(written.map(({ type }) => type)).toEqual([
        "run.started",
        "workflow.step.completed",
        "run.completed",
      ]);
      back.close();
      const { workers } = await rpc(client, WorkerService.method.listWorkers, {});
      expect(workers.map(({ info }) => info?.workerId)).toContain("faithful");
    } finally {
      client.close();
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
