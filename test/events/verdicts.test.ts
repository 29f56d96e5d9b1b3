/**
 * Goal: a watcher is told once what became of what an attempt said, no matter who comes and goes: also where
 * a worker continues that was taken for dead, and where a run is cancelled in the middle of a step.
 * Method: raw workers on both stores, so that every frame and number is the test's own.
 */
import { RunService } from "@pawl/proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rpc, SessionWorker } from "../harness/protocol.ts";
import { BOOM, json, Lab, stores } from "../semantics/lab.ts";
import { short, Watcher } from "./stage.ts";

describe.each(stores)("%s", (store) => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.open(store);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  const text = (stepKey: string, said: string) => ({
    ...{ type: "output.delta", stepKey, attempt: 1 },
    payload: json(said),
  });
  const watch = (runId: string) => new Watcher(lab.client, { runId, waitForStart: true });
  const seen = (watcher: Watcher) => watcher.events.map(short);

  async function held() {
    const { worker, ...run } = await lab.held("session");
    if (!(worker instanceof SessionWorker)) throw new Error("A session was asked for.");
    return { worker, ...run };
  }

  test("a worker that was taken for dead continues: its text is whole, and nothing is taken back", async () => {
    const { worker, runId, fence } = await held();
    const live = watch(runId);
    await live.until(({ type }) => type === "run.started");
    await worker.publish(runId, fence, [text("a", "one ")], 1);
    worker.close();
    // Its lease is over; nobody else serves the workflow.
    await live.until(({ type }) => type === "run.recovered");
    const again = await SessionWorker.open(lab.client, { workflows: [lab.name("other")] });
    const more = [text("a", "two "), text("a", "three")];
    expect(await again.publish(runId, fence, more, 2)).toMatchObject({
      accepted: 2,
      acknowledged: 3,
    });
    const late = watch(runId);
    await late.until(({ type }) => type === "output.delta");
    const output = json("one two three");
    await again.stepCompleted({ runId, fence, stepKey: "a", attempt: 1, output, deltas: 3 });
    await again.completeRun({ runId, fence, output: json("done") });
    await Promise.all([live.ended, late.ended]);
    const rest = ["commit:a@1", "step.completed:a@1", "run.completed"];
    expect(seen(live)).toEqual([
      "run.started",
      "a@1=one ",
      "run.recovered",
      "a@1=two ",
      "a@1=three",
      ...rest,
    ]);
    expect(seen(late)).toEqual(["run.started", "a@1=one two three", "run.recovered", ...rest]);
    again.close();
  });

  test("a cancel takes back what is in flight, once; what is sent of it afterwards is not shown", async () => {
    const { worker, runId, fence } = await held();
    const live = watch(runId);
    await live.until(({ type }) => type === "run.started");
    await worker.publish(runId, fence, [text("a", "1"), text("a", "2")], 1);
    await rpc(lab.client, RunService.method.cancelRun, { runId, reason: "enough" });
    const late = watch(runId);
    await late.until(({ type }) => type === "run.cancelling");
    // It continues for a moment before it stops, now under the fence of the clean-up.
    const now = fence + 1;
    await worker.publish(runId, now, [text("a", "3"), text("tidy", "up"), text("a", "4")], 1);
    const failure = BOOM;
    await worker.stepFailed({
      runId,
      fence: now,
      stepKey: "a",
      attempt: 1,
      failure,
      cancelled: true,
    });
    await worker.publish(runId, now, [text("a", "5"), text("tidy", "!")], 4);
    const tidied = { runId, fence: now, stepKey: "tidy", attempt: 1, output: json("up!") };
    await worker.stepCompleted({ ...tidied, deltas: 5 });
    await worker.failRun({ runId, fence: now, failure: { ...BOOM, type: "Cancelled" } });
    await Promise.all([live.ended, late.ended]);
    const rest = [
      "run.cancelling",
      "tidy@1=up",
      "step.cancelled:a@1",
      "tidy@1=!",
      "commit:tidy@1",
      "step.completed:tidy@1",
      "run.cancelled",
    ];
    expect(seen(live)).toEqual(["run.started", "a@1=1", "a@1=2", "rollback:a@1", ...rest]);
    expect(seen(late)).toEqual(["run.started", ...rest]);
  });

  test("a compensation that a cancel meets takes nothing from what the clean-up sends after it", async () => {
    const { worker, runId, fence } = await held();
    const live = watch(runId);
    await live.until(({ type }) => type === "run.started");
    const undo = "compensate:a";
    await worker.publish(runId, fence, [text(undo, "1"), text(undo, "2"), text(undo, "3")], 1);
    await rpc(lab.client, RunService.method.cancelRun, { runId, reason: "enough" });
    const now = fence + 1;
    // It is recorded, with the numbers of the fence that it sent under.
    const undone = { runId, fence: now, stepKey: undo, attempt: 1, output: json("123") };
    await worker.stepCompleted({ ...undone, deltas: 3 });
    await worker.publish(runId, now, [text("b", "x"), text("b", "y")], 1);
    const tidied = { runId, fence: now, stepKey: "b", attempt: 1, output: json("xy") };
    await worker.stepCompleted({ ...tidied, deltas: 2 });
    await worker.failRun({ runId, fence: now, failure: { ...BOOM, type: "Cancelled" } });
    await live.ended;
    const said = [1, 2, 3].map((number) => `${undo}@1=${number}`);
    const rest = ["b@1=x", "b@1=y", "commit:b@1", "step.completed:b@1", "run.cancelled"];
    expect(seen(live)).toEqual([
      ...["run.started", ...said, `rollback:${undo}@1`, "run.cancelling"],
      ...[`step.completed:${undo}@1`, ...rest],
    ]);
  });
});
