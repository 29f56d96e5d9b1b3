/**
 * Goal: people who may answer find what is open, and a timer or any other wait can be seen and ended
 * from outside.
 * Method: raw calls on both stores; each test has runs of a workflow of its own.
 */
import {
  RunStatus,
  SignalService,
  type StepKind,
  type Wait,
  WaitKind,
  WaitOutcome,
  WaitService,
} from "@pawl/proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rpc } from "../harness/protocol.ts";
import { CHILD, Lab, ms, refused, SIGNAL, SLEEP, stores } from "../semantics/lab.ts";
import {
  answer,
  ask,
  asked,
  CALLBACK,
  cancel,
  getWait,
  suspendOn,
  TEXT,
  waits,
} from "./waits-lab.ts";

const keys = (list: readonly Wait[]) => list.map(({ stepKey }) => stepKey);
const HOUR = ms(3_600_000);

describe.each(stores)("%s", (store) => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.open(store);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  /** A run that waits for one thing of each kind. */
  async function everyKind() {
    const held = await lab.held("unary");
    const { worker, runId, fence, flow } = held;
    const childRunId = lab.name("child");
    await lab.start({
      workflow: flow,
      queue: lab.name("nobody"),
      runId: childRunId,
      parent: { runId, stepKey: "child:c" },
      parentFence: fence,
    });
    const step = (stepKey: string, kind: StepKind, wait: object) =>
      worker.stepStarted({ runId, fence, stepKey, kind, wait });
    await step("sleep:long", SLEEP, { duration: HOUR });
    await step("signal:go", SIGNAL, { signalName: "go", duration: HOUR });
    await step("child:c", CHILD, { childRunId });
    await step("callback:cb", CALLBACK, {});
    await ask(held, "q", { prompt: "Q?", type: TEXT });
    await step("sleep:short", SLEEP, { duration: ms(1_500) });
    return { ...held, childRunId };
  }

  test.concurrent("every kind is listed, oldest first, and gone once it is over", async () => {
    const { worker, runId, fence, flow, childRunId } = await everyKind();
    const all = await waits(lab.client, { workflow: flow });
    const by = new Map(all.map((wait) => [wait.stepKey, wait]));
    expect([...by.keys()].toSorted()).toEqual([
      "callback:cb",
      "child:c",
      "signal:go",
      "sleep:long",
      "user:q",
    ]);
    const due = all.filter((wait) => wait.due !== undefined);
    expect(keys(due).toSorted()).toEqual(["signal:go", "sleep:long"]);
    expect(by.get("signal:go")?.signalName).toBe("go");
    expect(by.get("child:c")?.childRunId).toBe(childRunId);
    expect(by.get("user:q")?.question?.prompt).toBe("Q?");
    expect(by.get("sleep:long")).toMatchObject({
      runId,
      workflow: flow,
      name: "sleep:long",
      kind: WaitKind.SLEEP,
    });
    for (const kind of [1, 2, 3, 4, 5] as const)
      expect(await waits(lab.client, { workflow: flow, kinds: [kind] })).toHaveLength(1);
    await rpc(lab.client, SignalService.method.sendSignal, { runId, name: "go" });
    await answer(lab.client, `${runId}#user:q`, "yes");
    expect(keys(await waits(lab.client, { runId })).toSorted()).toEqual([
      "callback:cb",
      "child:c",
      "sleep:long",
    ]);
    await worker.completeRun({ runId, fence, output: { encoding: "void" } });
    expect(await waits(lab.client, { workflow: flow })).toEqual([]);
  });

  test.concurrent("the inbox of one person, with and without what anybody may answer", async () => {
    const held = await asked(lab, "unary", {
      mine: { prompt: "A?", type: TEXT, assignees: ["al", "bo"] },
      ours: { prompt: "B?", type: TEXT },
      theirs: { prompt: "C?", type: TEXT, assignees: ["bo"] },
    });
    const workflow = (await lab.run(held.runId)).workflow;
    const inbox = async (assignee: string, includeUnassigned = false) =>
      keys(await waits(lab.client, { workflow, assignee, includeUnassigned }));
    expect(await inbox("al")).toEqual(["user:mine"]);
    expect(await inbox("bo")).toEqual(["user:mine", "user:theirs"]);
    expect(await inbox("bo", true)).toEqual(["user:mine", "user:ours", "user:theirs"]);
    expect(await inbox("cy")).toEqual([]);
    await answer(lab.client, `${held.runId}#user:mine`, "x", { actor: "al" });
    expect(await inbox("al")).toEqual([]);
    const none = waits(lab.client, { assignee: "al", kinds: [WaitKind.SLEEP] });
    expect(await none).toEqual([]);
    expect(keys(await waits(lab.client, { runId: held.runId, assignee: "bo" }))).toEqual([
      "user:theirs",
    ]);
  });

  test.concurrent("pages in order, none twice, none lost, whatever the kinds", async () => {
    const flow = lab.name("paged");
    const worker = await lab.worker("session", flow);
    const runs = Array.from({ length: 6 }, () => lab.name("run"));
    for (const runId of runs) {
      await lab.start({ workflow: flow, runId });
      const fence = (await worker.next(runId)).lease?.fence ?? 0;
      const held = { worker, runId, fence };
      await ask(held, "q", { prompt: "Q?", type: TEXT, assignees: ["al"] });
      await worker.stepStarted({
        runId,
        fence,
        stepKey: "sleep:s",
        kind: SLEEP,
        wait: { duration: HOUR },
      });
    }
    for (const request of [{}, { kinds: [WaitKind.USER] }, { assignee: "al" }]) {
      const seen: Wait[] = [];
      let pageToken = "";
      do {
        const page = await rpc(lab.client, WaitService.method.listWaits, {
          workflow: flow,
          ...request,
          pageSize: 5,
          pageToken,
        });
        seen.push(...page.waits);
        pageToken = page.nextPageToken;
      } while (pageToken !== "");
      expect(seen).toHaveLength(
        request.kinds === undefined && request.assignee === undefined ? 12 : 6,
      );
      expect(new Set(seen.map(({ waitId }) => waitId)).size).toBe(seen.length);
      const since = seen.map(
        (wait) => Number(wait.since?.seconds) * 1e9 + (wait.since?.nanos ?? 0),
      );
      expect(since).toEqual(since.toSorted((x, y) => x - y));
    }
    await expect(waits(lab.client, { pageToken: "junk" })).rejects.toMatchObject(
      refused("INVALID_ARGUMENT", { field: "page_token" }),
    );
  });

  test.concurrent("any wait can be cancelled, once and again; the run continues with that outcome", async () => {
    const held = await everyKind();
    const { worker, runId, fence } = held;
    await suspendOn(held, ["sleep:long", "signal:go", "child:c", "callback:cb", "user:q"], 5);
    for (const key of ["sleep:long", "signal:go", "child:c", "callback:cb"]) {
      expect((await lab.run(runId)).status).toBe(RunStatus.WAITING);
      await cancel(lab.client, `${runId}#${key}`, "op");
    }
    await answer(lab.client, `${runId}#user:q`, "yes");
    expect((await cancel(lab.client, `${runId}#sleep:long`)).wait?.outcome).toBe(
      WaitOutcome.CANCELLED,
    );
    await expect(cancel(lab.client, `${runId}#user:q`)).rejects.toMatchObject(
      refused("WAIT_ALREADY_RESOLVED", { outcome: "answered" }),
    );
    const next = await worker.next(runId, fence);
    const outcomes = next.journal
      .filter(({ type }) => type === "workflow.wait.resolved")
      .filter(({ stepKey }) => stepKey !== "sleep:short") // It may end first on a slow machine.
      .map(({ stepKey, outcome, details }) => [stepKey, outcome, details.actor ?? ""]);
    expect(outcomes.slice(0, 4)).toEqual([
      ["sleep:long", WaitOutcome.CANCELLED, "op"],
      ["signal:go", WaitOutcome.CANCELLED, "op"],
      ["child:c", WaitOutcome.CANCELLED, "op"],
      ["callback:cb", WaitOutcome.CANCELLED, "op"],
    ]);
    await expect(cancel(lab.client, `${runId}#sleep:none`)).rejects.toMatchObject(
      refused("NOT_FOUND"),
    );
  });

  test.concurrent("waits of other kinds are not answered, and are told how to end them", async () => {
    const { runId } = await everyKind();
    for (const [key, instead] of [
      ["sleep:long", "CancelWait"],
      ["signal:go", "SendSignal"],
    ]) {
      const error = await answer(lab.client, `${runId}#${key}`, 1).catch((e: unknown) => e);
      expect(error).toMatchObject(refused("INVALID_ARGUMENT", { field: "wait_id" }));
      expect(String(error)).toContain(instead);
    }
  });

  test.concurrent("a sleep by a cron expression is due at its next time in its zone", async () => {
    const held = await lab.held("session");
    const { worker, runId, fence } = held;
    const sleepBy = (stepKey: string, wait: object) =>
      worker.stepStarted({ runId, fence, stepKey, kind: SLEEP, wait });
    await sleepBy("sleep:noon", { cron: "0 12 * * *", timeZone: "Asia/Kolkata" });
    const { wait } = await getWait(lab.client, `${runId}#sleep:noon`);
    expect(wait).toMatchObject({ cron: "0 12 * * *", timeZone: "Asia/Kolkata" });
    const due = new Date(Number(wait?.due?.seconds) * 1_000);
    // Half past six in UTC, on this day or the next, all year round.
    expect(due.toISOString()).toMatch(/T06:30:00.000Z$/);
    expect(due.getTime() - Date.now()).toBeLessThanOrEqual(86_400_000);
    // Asked again, it is the same moment.
    const again = await sleepBy("sleep:noon", { cron: "0 12 * * *", timeZone: "Asia/Kolkata" });
    expect(again.outcome).toMatchObject({ case: "wait", value: { until: wait?.due } });
    await sleepBy("sleep:second", { cron: "* * * * * *" });
    await suspendOn(held, ["sleep:second"]);
    const next = await worker.next(runId, fence);
    // What comes after it depends on which came first, the second or the suspension.
    expect(next.journal).toContainEqual(
      expect.objectContaining({ stepKey: "sleep:second", outcome: WaitOutcome.FIRED }),
    );
  });

  test.concurrent.each([
    ["no expression", { cron: "every day" }, "wait.cron"],
    ["no zone", { cron: "0 0 * * *", timeZone: "Mars/Olympus" }, "wait.time_zone"],
    ["never", { cron: "0 0 30 2 *" }, "wait.cron"],
    ["two moments", { cron: "0 0 * * *", duration: HOUR }, "wait.until"],
    ["a zone without a cron", { duration: HOUR, timeZone: "UTC" }, "wait.time_zone"],
  ])("a sleep by %s is refused", async (_, wait, field) => {
    const { worker, runId, fence } = await lab.held("unary");
    const request = worker.stepStarted({ runId, fence, stepKey: "sleep:x", kind: SLEEP, wait });
    await expect(request).rejects.toMatchObject(refused("INVALID_ARGUMENT", { field }));
  });
});
