/**
 * Goal: a server and a worker that disagree about which runs the worker holds agree again after two
 * heartbeats, whatever made them disagree.
 * Method: raw sessions whose heartbeats name what they like.
 */
import { LeaseStatus, RunService, RunStatus } from "@pawl/proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rpc, SessionWorker } from "../harness/protocol.ts";
import { fenceOf, json, Lab, ms, refused, stores } from "./lab.ts";

interface Named {
  readonly runId: string;
  readonly fence: number;
}

/** A heartbeat that names these runs, and what it is answered about them. */
async function beat(worker: SessionWorker, leases: Named[]) {
  const before = worker.frames.length;
  worker.send({ case: "heartbeat", value: { inFlight: leases.length, held: { leases } } });
  const isAnswer = () =>
    worker.frames
      .slice(before)
      .some((frame) => frame.case === "leaseResults" && !frame.value.notice);
  await worker.until("leaseResults", isAnswer);
  return worker.frames
    .slice(before)
    .flatMap((frame) => (frame.case === "leaseResults" ? frame.value.results : []));
}

describe.each(stores)("%s", (store) => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.open(store);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  /** A session that has acknowledged a run, and has no room for another one. */
  async function held() {
    const flow = lab.name("flow");
    const names = { workflows: [flow] };
    const worker = await SessionWorker.open(lab.client, names, [], 1);
    const runId = lab.name("run");
    await lab.start({ workflow: flow, runId });
    return { worker, runId, fence: fenceOf(await worker.next(runId)), flow };
  }

  test.concurrent("a run that its worker has left without a word goes to another one", async () => {
    const { worker, runId, fence, flow } = await held();
    await worker.stepCompleted({ runId, fence, stepKey: "a", attempt: 1, output: json("a") });
    await beat(worker, []);
    expect((await lab.run(runId)).status).toBe(RunStatus.RUNNING);
    await beat(worker, []);
    const other = await lab.worker("session", flow);
    const next = fenceOf(await other.next(runId, fence));
    expect((await lab.untilEntry(runId, "run.recovered")).details.reason).toBe("forgotten");
    const late = worker.completeRun({ runId, fence, output: json("late") });
    await expect(late).rejects.toMatchObject(refused("LEASE_LOST"));
    await other.completeRun({ runId, fence: next, output: json("done") });
    worker.close();
  });

  test.concurrent("a run that is named again, or was never acknowledged, stays", async () => {
    const { worker, runId, fence, flow } = await held();
    for (const leases of [[], [{ runId, fence }], [], [{ runId, fence }]])
      expect(await beat(worker, leases)).toEqual([]);
    worker.acknowledges = false;
    const second = lab.name("run");
    await lab.start({ workflow: flow, runId: second });
    worker.send({ case: "credits", value: { count: 1 } });
    const at = fenceOf(await worker.next(second));
    for (let beats = 0; beats < 2; beats += 1) await beat(worker, [{ runId, fence }]);
    worker.send({ case: "dispatchAck", value: { runId: second, fence: at } });
    await worker.completeRun({ runId: second, fence: at, output: json("done") });
    await worker.completeRun({ runId, fence, output: json("done") });
    const types = (await lab.journal(runId)).map(({ type }) => type);
    expect(types).toEqual(["run.started", "run.completed"]);
    worker.close();
  });

  test.concurrent("a worker that has not heard of a cancel is told again", async () => {
    const { worker, runId, fence } = await held();
    await rpc(lab.client, RunService.method.cancelRun, { runId, grace: ms(60_000) });
    const { fence: next } = await worker.until("cancel");
    await beat(worker, [{ runId, fence }]);
    const told = await beat(worker, [{ runId, fence }]);
    expect(told).toMatchObject([{ runId, status: LeaseStatus.CANCEL, fence: next }]);
    await worker.failRun({ runId, fence: next, failure: { type: "Cancelled", message: "" } });
    expect((await lab.run(runId)).status).toBe(RunStatus.CANCELLED);
    worker.close();
  });

  test.concurrent("a worker that names a run of somebody else is told that it is lost", async () => {
    const { worker, runId, fence, flow } = await held();
    await worker.giveBack(runId, fence);
    const other = await lab.worker("session", flow);
    const next = fenceOf(await other.next(runId, fence));
    expect(await beat(worker, [{ runId, fence }])).toEqual([]);
    const told = await beat(worker, [{ runId, fence }]);
    expect(told).toMatchObject([{ runId, status: LeaseStatus.LOST, fence: next }]);
    await other.completeRun({ runId, fence: next, output: json("done") });
    worker.close();
  });
});
