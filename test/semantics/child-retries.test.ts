/**
 * Goal: a child waits for its workflow to be deployed, and a retried parent takes what becomes of its
 * children; no completed effect of a child is repeated.
 * Method: raw messages on both stores; each worker does a parent's or a child's steps by hand.
 */
import { RunService, RunStatus, StatusReason, WaitOutcome } from "@pawl/proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RawWorker, rpc } from "../harness/protocol.ts";
import { BOOM, CHILD, fenceOf, json, Lab, refused, stores } from "./lab.ts";

const { COMPLETED, FAILED } = RunStatus;
const WAIT_KEY = "child:kid";

interface Family {
  readonly parent: RawWorker;
  readonly kid: RawWorker;
  readonly kidFlow: string;
  readonly runId: string;
  readonly childId: string;
}

const startChild = (
  lab: Lab,
  runId: string,
  parentFence: number,
  childId: string,
  workflow: string,
) =>
  rpc(lab.client, RunService.method.startRun, {
    workflow,
    runId: childId,
    parent: { runId, stepKey: WAIT_KEY },
    parentFence,
  });

/** What the parent's code does about its child, under a new lease. */
async function joinChild(lab: Lab, family: Family, fence: number) {
  const { parent, runId, childId, kidFlow } = family;
  await startChild(lab, runId, fence, childId, kidFlow);
  const wait = { childRunId: childId };
  await parent.stepStarted({ runId, fence, stepKey: WAIT_KEY, kind: CHILD, wait });
  const tree = { node: { case: "stepKey" as const, value: WAIT_KEY } };
  return parent.suspendRun({ runId, fence, tree });
}

/** A parent that has failed through its child, whose first step is done and whose second has failed. */
async function failedFamily(lab: Lab): Promise<Family & { parentFence: number; kidFence: number }> {
  const { worker: parent, runId, fence } = await lab.held("session");
  const kidFlow = lab.name("kid");
  const kid = await lab.worker("session", kidFlow);
  const childId = `${runId}~kid`;
  const family = { parent, kid, kidFlow, runId, childId };
  await joinChild(lab, family, fence);
  const kidFence = fenceOf(await kid.next(childId));
  const at = { runId: childId, fence: kidFence };
  await kid.stepCompleted({ ...at, stepKey: "one", attempt: 1, output: json("paid") });
  await kid.stepFailed({ ...at, stepKey: "two", attempt: 1, failure: BOOM });
  await kid.failRun({ ...at, failure: BOOM, failedStepKeys: ["two"] });
  const parentFence = fenceOf(await parent.next(runId, fence));
  // It does not say through which step: the server takes the one with that failure.
  await parent.failRun({ runId, fence: parentFence, failure: BOOM });
  return { ...family, parentFence, kidFence };
}

/** The child's second attempt at its failed step. */
async function finishChild(family: Family, after: number): Promise<void> {
  const { kid, childId } = family;
  const item = await kid.next(childId, after);
  const done = item.journal.filter(({ type }) => type === "workflow.step.completed");
  expect(done.map(({ stepKey }) => stepKey)).toEqual(["one"]);
  const at = { runId: childId, fence: fenceOf(item) };
  await kid.stepCompleted({ ...at, stepKey: "two", attempt: 2, output: json("sent") });
  await kid.completeRun({ ...at, output: json("well") });
}

describe.each(stores)("%s", (store) => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.open(store);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  test.concurrent("a retried parent lets its failed child continue from its failed step", async () => {
    const family = await failedFamily(lab);
    const { parent, runId, parentFence, kidFence } = family;
    await lab.retry(runId);
    const item = await parent.next(runId, parentFence);
    const asked = joinChild(lab, family, fenceOf(item));
    await finishChild(family, kidFence);
    const { resumed } = await asked;
    const last = resumed ? item : await parent.next(runId, fenceOf(item));
    await parent.completeRun({ runId, fence: fenceOf(last), output: json("all") });
    expect((await lab.run(runId)).status).toBe(COMPLETED);
  });

  test.concurrent("a child that was repaired before is taken as it is", async () => {
    const family = await failedFamily(lab);
    const { parent, runId, childId, parentFence, kidFence } = family;
    await lab.retry(childId);
    await finishChild(family, kidFence);
    await lab.retry(runId);
    const fence = fenceOf(await parent.next(runId, parentFence));
    const { resumed } = await joinChild(lab, family, fence);
    const last = resumed ? fence : fenceOf(await parent.next(runId, fence));
    const resolved = (await lab.journal(runId)).findLast(
      ({ type }) => type === "workflow.wait.resolved",
    );
    expect(resolved).toMatchObject({ stepKey: WAIT_KEY, outcome: WaitOutcome.COMPLETED });
    await parent.completeRun({ runId, fence: last, output: json("all") });
    const { attempt } = await lab.run(childId);
    expect(attempt).toBe(2);
  });

  test.concurrent("a child whose compensations have run stays as it is", async () => {
    const family = await failedFamily(lab);
    const { parent, kid, runId, childId, parentFence, kidFence } = family;
    await lab.retry(childId);
    const fence = fenceOf(await kid.next(childId, kidFence));
    const at = { runId: childId, fence };
    await kid.stepCompleted({ ...at, stepKey: "compensate:one", attempt: 1, output: {} });
    await kid.stepFailed({ ...at, stepKey: "two", attempt: 2, failure: BOOM });
    await kid.failRun({ ...at, failure: BOOM, failedStepKeys: ["two"] });
    await lab.retry(runId);
    const again = fenceOf(await parent.next(runId, parentFence));
    await joinChild(lab, family, again);
    expect((await lab.run(childId)).status).toBe(FAILED);
  });

  test.concurrent("one whose workflow is not registered waits, and both say so", async () => {
    const { worker, runId, fence } = await lab.held("session");
    const known = lab.name("shipping");
    await lab.worker("session", known);
    const meant = `${known.slice(0, -1)}_`;
    const childId = `${runId}~kid`;
    await startChild(lab, runId, fence, childId, meant);
    const wait = { stepKey: WAIT_KEY, kind: CHILD, wait: { childRunId: childId } };
    await worker.suspendRun({ runId, fence, waits: [wait] });
    const child = await lab.run(childId);
    expect(child).toMatchObject({ statusReason: StatusReason.NO_WORKER });
    expect(child.statusDetail).toContain(`did you mean "${known}"?`);
    expect((await lab.run(runId)).statusDetail).toContain(`did you mean "${known}"?`);
    const late = await lab.worker("session", meant);
    const at = { runId: childId, fence: fenceOf(await late.next(childId)) };
    await late.completeRun({ ...at, output: json("shipped") });
    await worker.next(runId, fence);
  });

  test.concurrent("an id that a foreign run has is a refusal that names its parent", async () => {
    const { runId, fence, flow } = await lab.held("session");
    const childId = lab.name("taken");
    await lab.start({ workflow: flow, runId: childId });
    await expect(startChild(lab, runId, fence, childId, flow)).rejects.toMatchObject(
      refused("RUN_EXISTS", { recorded_parent_run_id: "", recorded_parent_step_key: "" }),
    );
  });

  test.concurrent("the tags of a start stay those of the run's code", async () => {
    const workflow = lab.name("flow");
    const worker = await lab.worker("session", workflow);
    const runId = lab.name("run");
    await lab.start({ workflow, runId, tags: { team: "x" } });
    const first = await worker.next(runId);
    await rpc(lab.client, RunService.method.updateTags, { runId, set: { team: "z", more: "1" } });
    await worker.giveBack(runId, fenceOf(first));
    const second = await worker.next(runId, fenceOf(first));
    expect([first.tags, second.tags]).toEqual([{ team: "x" }, { team: "x" }]);
    expect((await lab.run(runId)).tags).toEqual({ team: "z", more: "1" });
    const plain = lab.name("run");
    await lab.start({ workflow, runId: plain });
    const third = await worker.next(plain);
    await rpc(lab.client, RunService.method.updateTags, { runId: plain, set: { team: "z" } });
    await worker.giveBack(plain, fenceOf(third));
    expect((await worker.next(plain, fenceOf(third))).tags).toEqual({});
  });

  test.concurrent("what a run waits for is told while another branch executes", async () => {
    const { worker, runId, fence } = await lab.held("session");
    const wait = { duration: { seconds: 60n, nanos: 0 } };
    await worker.stepStarted({ runId, fence, stepKey: "sleep:nap", name: "nap", kind: 2, wait });
    expect((await lab.run(runId)).waits).toMatchObject([{ stepKey: "sleep:nap", name: "nap" }]);
  });
});
