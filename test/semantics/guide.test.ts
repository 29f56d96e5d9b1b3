/**
 * Goal: what docs/protocol.md tells somebody who writes a worker from it alone is so.
 * Method: raw messages, each test one statement of the guide that a reader once had to guess.
 */
import {
  Directive,
  LeaseStatus,
  RunService,
  RunStatus,
  SignalService,
  StepStartedResponse_Stop_Reason as StopReason,
  WaitOutcome,
  StepStartedResponse_Wait_Why as Why,
  WorkerService,
} from "@pawl/proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Refusal, rpc, SessionWorker } from "../harness/protocol.ts";
import {
  BOOM,
  fenceOf,
  json,
  jsonOf,
  Lab,
  ms,
  refused,
  SIGNAL,
  SLEEP,
  STEP,
  sleep,
  transports,
  VALUE,
} from "./lab.ts";

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open("sqlite");
});
afterAll(() => lab[Symbol.asyncDispose]());

function millis(moment: { seconds: bigint; nanos: number } | undefined): number {
  return Number(moment?.seconds ?? 0n) * 1_000 + (moment?.nanos ?? 0) / 1e6;
}

describe.each(transports)("%s", (transport) => {
  test.concurrent("a retry executes the steps anew that failed_step_keys named", async () => {
    const { worker, runId, fence } = await lab.held(transport);
    const policy = { retryPolicy: { maxAttempts: 1 }, failure: BOOM, attempt: 1 };
    await worker.stepFailed({ runId, fence, stepKey: "outer/inner", ...policy });
    await worker.stepFailed({ runId, fence, stepKey: "outer", ...policy });
    const failedStepKeys = ["outer/inner", "outer"];
    await worker.failRun({
      runId,
      fence,
      failure: { type: "Own", message: "why" },
      failedStepKeys,
    });
    await lab.retry(runId);
    const item = await worker.next(runId, fence);
    const retried = item.journal.find(({ type }) => type === "run.retried");
    expect(JSON.parse(retried?.details.superseded ?? "")).toEqual(failedStepKeys);
    const ask = { runId, fence: fenceOf(item), kind: STEP };
    for (const stepKey of failedStepKeys) {
      const { outcome } = await worker.stepStarted({ ...ask, stepKey });
      expect(outcome).toMatchObject({ case: "execute", value: { attempt: 2 } });
    }
  });

  test.concurrent("the idempotency key is RUN_UID/STEP_KEY, whatever is in the key", async () => {
    const { worker, runId, fence, item } = await lab.held(transport);
    for (const stepKey of ["a", "all:x/a#2", "map:f/b%2Fc/a[d]", "Größe 😀"]) {
      const { outcome } = await worker.stepStarted({ runId, fence, stepKey, kind: STEP });
      const idempotencyKey = `${item.runUid}/${stepKey}`;
      expect(outcome).toMatchObject({ case: "execute", value: { idempotencyKey } });
    }
  });

  test.concurrent("a wait that is asked for again stays as it was registered", async () => {
    const { worker, runId, fence } = await lab.held(transport);
    const ask = { runId, fence, stepKey: "sleep:nap", kind: SLEEP };
    const first = await worker.stepStarted({ ...ask, wait: { duration: ms(60_000) } });
    const again = await worker.stepStarted({ ...ask, wait: { duration: ms(1) } });
    if (first.outcome.case !== "wait") throw new Error("It does not wait.");
    expect(again.outcome).toMatchObject({ case: "wait", value: { why: Why.WAIT } });
    expect(again.outcome.value).toMatchObject({ until: first.outcome.value.until });
    await expect(worker.stepStarted(ask)).rejects.toMatchObject(refused("INVALID_ARGUMENT"));
    const other = { ...ask, kind: SIGNAL, wait: { signalName: "nap" } };
    expect((await worker.stepStarted(other)).outcome.case).toBe("conflict");
    expect(await lab.step(runId, "sleep:nap")).toMatchObject({ type: "workflow.wait.created" });
  });

  test.concurrent("a delay says when to try again, and the lease what the server's clock says", async () => {
    const before = Date.now();
    const { worker, runId, fence, item } = await lab.held(transport);
    // A claim is dated when it is made, which may be before the run is started that it takes.
    const serverNow = millis(item.lease?.expiresAt) - 15_000;
    expect(serverNow).toBeGreaterThanOrEqual(before);
    expect(serverNow).toBeLessThanOrEqual(Date.now());
    const retryPolicy = { maxAttempts: 2, initialInterval: ms(30_000) };
    const report = { runId, fence, stepKey: "a", attempt: 1, failure: BOOM, retryPolicy };
    const { next, seq } = await worker.stepFailed(report);
    if (next.case !== "retry") throw new Error("It is not tried again.");
    const entry = (await lab.journal(runId)).find((one) => one.seq === seq);
    expect(millis(next.value.delay)).toBe(30_000);
    expect(millis(next.value.at)).toBe(millis(entry?.until));
    const { outcome } = await worker.stepStarted({ runId, fence, stepKey: "a", kind: STEP });
    expect(outcome).toMatchObject({
      case: "wait",
      value: { why: Why.BACKOFF, attempt: 2, until: next.value.at },
    });
  });

  test.concurrent("a value is recorded by its completion alone", async () => {
    const { worker, runId, fence } = await lab.held(transport);
    const value = { runId, fence, kind: VALUE, attempt: 1 };
    await worker.stepCompleted({ ...value, stepKey: "value:now", name: "now", output: json(17) });
    await worker.stepCompleted({
      ...value,
      stepKey: "value:input",
      name: "input",
      output: json({}),
    });
    expect(
      (await lab.journal(runId)).map(({ type, stepKey, kind }) => [type, stepKey, kind]),
    ).toEqual([
      ["run.started", "", 0],
      ["workflow.step.completed", "value:now", VALUE],
      ["workflow.step.completed", "value:input", VALUE],
    ]);
    expect(jsonOf((await lab.step(runId, "value:now"))?.payload)).toBe(17);
  });

  test.concurrent("the same start again needs a request id; without one it is in progress", async () => {
    const { worker, runId, fence } = await lab.held(transport);
    const ask = { runId, fence, stepKey: "a", kind: STEP };
    const first = await worker.stepStarted({ ...ask, requestId: "mine" });
    expect((await worker.stepStarted({ ...ask, requestId: "mine" })).outcome).toEqual(
      first.outcome,
    );
    const { outcome } = await worker.stepStarted(ask);
    expect(outcome).toMatchObject({ case: "wait", value: { why: Why.IN_PROGRESS, attempt: 1 } });
  });

  test.concurrent("without a tree any open wait wakes the run, and without a wait it is given back", async () => {
    const { worker, runId, fence } = await lab.held(transport);
    for (const signalName of ["one", "two"]) {
      const ask = { runId, fence, stepKey: `signal:${signalName}`, kind: SIGNAL };
      await worker.stepStarted({ ...ask, wait: { signalName } });
    }
    expect(await worker.suspendRun({ runId, fence })).toMatchObject({ resumed: false });
    const signal = { runId, name: "two", payload: json(1) };
    await rpc(lab.client, SignalService.method.sendSignal, signal);
    const woken = await worker.next(runId, fence);
    expect(woken.journal.at(-1)).toMatchObject({
      stepKey: "signal:two",
      outcome: WaitOutcome.SIGNALLED,
    });

    const other = await lab.held(transport);
    await other.worker.suspendRun({ runId: other.runId, fence: other.fence });
    const given = await other.worker.next(other.runId, other.fence);
    expect(fenceOf(given)).toBeGreaterThan(other.fence);
  });

  test.concurrent("a pause is told by each answer, and takes effect with a suspension", async () => {
    const { worker, runId, fence } = await lab.held(transport);
    await worker.stepStarted({ runId, fence, stepKey: "a", kind: STEP });
    await rpc(lab.client, RunService.method.pauseRun, { runId });
    const report = { runId, fence, stepKey: "a", attempt: 1, output: json(1) };
    expect(await worker.stepCompleted(report)).toMatchObject({ directive: Directive.PAUSE });
    const { outcome } = await worker.stepStarted({ runId, fence, stepKey: "b", kind: STEP });
    expect(outcome).toMatchObject({ case: "stop", value: { reason: StopReason.RUN_PAUSED } });
    const { directive } = await worker.suspendRun({ runId, fence });
    expect(directive).toBe(Directive.YIELD);
    expect((await lab.run(runId)).status).toBe(RunStatus.PAUSED);
  });
});

async function session(flow: string, instanceId: string, credits: number): Promise<SessionWorker> {
  const names = { workflows: [flow], workerId: instanceId, instanceId };
  return SessionWorker.open(lab.client, names, [], credits);
}

test.concurrent("credits end with their stream", async () => {
  const flow = lab.name("flow");
  const first = await session(flow, flow, 5);
  first.close();
  await first.ended;
  const back = await session(flow, flow, 0);
  const runs = [lab.name("run"), lab.name("run")];
  for (const runId of runs) await lab.start({ workflow: flow, runId });
  await sleep(300);
  expect(back.frames.filter((body) => body.case === "dispatch")).toHaveLength(0);
  back.send({ case: "credits", value: { count: 1 } });
  await back.until("dispatch");
  await sleep(300);
  expect(back.frames.filter((body) => body.case === "dispatch")).toHaveLength(1);
  back.close();
});

test.concurrent("a frame may be sent again under its old id or a new one", async () => {
  const { worker, runId, fence, flow, item } = await lab.held("session");
  if (item.lease === undefined) throw new Error("It is not leased.");
  const report = { runId, fence, stepKey: "a", attempt: 1, output: json(1) };
  const { seq } = await worker.stepCompleted(report);
  worker.close();
  const names = { workflows: [flow], workerId: worker.workerId };
  const back = await SessionWorker.open(lab.client, names, [item.lease]);
  for (const id of [1, 99]) {
    back.send({ case: "stepCompleted", value: report }, id);
    const { result } = await back.until("reply", (reply) => reply.id === id);
    expect(result).toMatchObject({ case: "stepCompleted", value: { seq } });
  }
  back.close();
});

test.concurrent("a stream that another of its instance replaces says so", async () => {
  const flow = lab.name("flow");
  const older = await session(flow, flow, 1);
  const newer = await session(flow, flow, 1);
  const end = await older.ended;
  expect(end).toMatchObject({ code: 10 });
  expect(String(end)).toContain(`instance_id "${flow}"`);
  newer.close();
});

test.concurrent("a drained worker closes its half of the stream, and the server ends it in order", async () => {
  const { worker, runId, fence, flow } = await lab.held("session");
  if (!(worker instanceof SessionWorker)) throw new Error("Not a session.");
  const before = worker.frames.length;
  worker.send({ case: "draining", value: {} }, 7);
  await lab.start({ workflow: flow, runId: lab.name("run") });
  await worker.completeRun({ runId, fence, output: json(1) });
  worker.finish();
  expect(await worker.ended).toBeUndefined();
  expect(worker.frames.slice(before)).toEqual([]);
});

test.concurrent("the run of a poller that has died is given to another one when its lease has ended", async () => {
  const { runId, fence, flow, item } = await lab.held("unary");
  const serverNow = millis(item.lease?.expiresAt) - 15_000;
  const other = await lab.worker("unary", flow);
  const next = await other.next(runId, fence);
  const late = (await lab.journal(runId)).find(({ type }) => type === "run.recovered");
  expect(millis(late?.recordedAt) - serverNow).toBeGreaterThanOrEqual(15_000);
  // The last holder hears that from a heartbeat.
  const { results } = await rpc(lab.client, WorkerService.method.heartbeatLeases, {
    leases: [{ runId, fence }],
  });
  expect(results).toMatchObject([{ status: LeaseStatus.LOST, fence: fenceOf(next) }]);
});

test.concurrent("a bad fence is refused as such, before anything else is looked at", async () => {
  const { worker, runId } = await lab.held("session");
  const report = { runId, fence: 0, stepKey: "a", attempt: 1, output: json(1) };
  const refusal = await worker.stepCompleted(report).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(Refusal);
  expect(refusal).toMatchObject(refused("INVALID_ARGUMENT", { field: "fence" }));
});
