/**
 * Goal: a run is started once, ends once, waits for free, and does what its operators ask.
 * Method: clients, raw workers and watchers over gRPC, on both stores.
 */
import {
  EventService,
  RunService,
  RunStatus,
  SignalService,
  StatusReason,
  StepStartedResponse_Stop_Reason as StopReason,
  WaitKind,
  WaitOutcome,
} from "@pawl/proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rpc } from "../harness/protocol.ts";
import {
  BOOM,
  CHILD,
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
  stores,
  transports,
  watch,
} from "./lab.ts";

const { method: run } = RunService;
const key = (value: string) => ({ node: { case: "stepKey" as const, value } });
const group = (needed: number, ...keys: string[]) => ({
  node: { case: "group" as const, value: { needed, members: keys.map(key) } },
});

describe.each(stores)("%s", (store) => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.open(store);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  describe("a start", () => {
    test.concurrent("of a finished run returns its result; with other content it is refused, and says what differs", async () => {
      const { worker, runId, fence, flow } = await lab.held("session");
      await worker.completeRun({ runId, fence, output: json({ sum: 3 }) });
      const again = await lab.start({ workflow: flow, runId });
      expect(again).toMatchObject({ existing: true, run: { status: RunStatus.COMPLETED } });
      expect(jsonOf(again.run?.output)).toEqual({ sum: 3 });
      const other = await lab
        .start({ workflow: flow, runId, input: json(2) })
        .catch((error: unknown) => error);
      expect(other).toMatchObject(refused("RUN_EXISTS", { run_id: runId }));
    });

    test.concurrent("another workflow never takes my run", async () => {
      const { runId, flow } = await lab.held("session");
      const thief = lab.name("thief");
      await lab.worker("session", thief);
      for (const claim of [false, true]) {
        await expect(lab.start({ workflow: thief, runId, claim })).rejects.toMatchObject(
          refused("RUN_EXISTS"),
        );
      }
      expect((await lab.run(runId)).workflow).toBe(flow);
    });

    test.concurrent("with an idempotency key makes one run, the caller and however often", async () => {
      const flow = lab.name("flow");
      await lab.worker("unary", flow);
      const idempotencyKey = lab.name("key");
      const starts = await Promise.all(
        Array.from({ length: 8 }, () => lab.start({ workflow: flow, idempotencyKey })),
      );
      expect(new Set(starts.map((one) => one.run?.runId)).size).toBe(1);
      expect(starts.filter(({ existing }) => !existing)).toHaveLength(1);
      const other = lab.start({ workflow: flow, idempotencyKey, input: json(2) });
      await expect(other).rejects.toMatchObject(refused("IDEMPOTENCY_CONFLICT"));
      const both = lab.start({ workflow: flow, idempotencyKey, runId: lab.name("run") });
      await expect(both).rejects.toMatchObject(refused("INVALID_ARGUMENT"));
    });

    test.concurrent("goes by priority, then by age; delayed ones wait for their time", async () => {
      const flow = lab.name("flow");
      const worker = await lab.worker("unary", flow);
      const ids: Record<string, string> = {};
      const begin = async (label: string, priority: number, delayMs = 0): Promise<void> => {
        const runId = lab.name(label);
        ids[runId] = label;
        await lab.start({
          workflow: flow,
          runId,
          priority,
          ...(delayMs > 0 ? { delay: ms(delayMs) } : {}),
        });
      };
      // Longer than it takes to begin the others, on a busy machine too.
      await begin("later", 9, 2_500);
      const delayed = Object.keys(ids)[0] ?? "";
      expect(await lab.run(delayed)).toMatchObject({
        status: RunStatus.QUEUED,
        statusReason: StatusReason.DELAYED,
      });
      await begin("low", 1);
      await begin("first", 5);
      await begin("second", 5);
      await begin("high", 9);
      for (const runId of Object.keys(ids).filter((id) => id !== delayed)) await worker.next(runId);
      for (const runId of Object.keys(ids)) {
        const item = await worker.next(runId);
        await worker.completeRun({ runId, fence: fenceOf(item), output: json(1) });
      }
      const started = await Promise.all(Object.keys(ids).map((id) => lab.run(id)));
      const byStart = started
        .sort((a, b) => nanos(a.startedAt) - nanos(b.startedAt))
        .map(({ runId }) => ids[runId]);
      expect(byStart).toEqual(["high", "first", "second", "low", "later"]);
    });

    test.concurrent("pinned to a version goes to workers of that version only", async () => {
      const flow = lab.name("flow");
      const old = await lab.versionedWorker(flow, "v1");
      const runId = lab.name("run");
      await lab.start({ workflow: flow, runId, version: "v2" });
      await sleep(150);
      expect(await lab.run(runId)).toMatchObject({
        status: RunStatus.QUEUED,
        statusReason: StatusReason.NO_WORKER,
      });
      const current = await lab.versionedWorker(flow, "v2");
      await current.next(runId);
      expect(old.frames.some((body) => body.case === "dispatch")).toBe(false);
    });
  });

  describe("a timeout", () => {
    test.concurrent("of the run ends it wherever it is, and takes it from its worker", async () => {
      const flow = lab.name("flow");
      const worker = await lab.versionedWorker(flow, "");
      const runId = lab.name("run");
      await lab.start({ workflow: flow, runId, timeouts: { run: ms(300) } });
      const fence = fenceOf(await worker.next(runId));
      const cancel = await worker.until("cancel");
      expect(cancel).toMatchObject({ runId, fence: fence + 1, grace: { seconds: 10n } });
      const late = worker.completeRun({ runId, fence, output: json(1) });
      await expect(late).rejects.toMatchObject(refused("LEASE_LOST"));
      expect(await lab.run(runId)).toMatchObject({
        status: RunStatus.CANCELLING,
        statusReason: StatusReason.RUN_TIMEOUT,
      });
      await worker.completeRun({ runId, fence: cancel.fence, output: json(1) });
      const ended = await lab.run(runId);
      expect(ended).toMatchObject({ status: RunStatus.FAILED, failure: { type: "RunTimeout" } });
    });

    test.concurrent("in the queue counts until a worker takes it", async () => {
      const flow = lab.name("flow");
      const worker = await lab.worker("unary", flow);
      const [taken, waiting] = [lab.name("taken"), lab.name("waiting")];
      await lab.start({ workflow: flow, runId: taken, timeouts: { queue: ms(400) } });
      const fence = fenceOf(await worker.next(taken));
      await lab.start({ workflow: flow, runId: waiting, timeouts: { queue: ms(100) } });
      const ended = await lab.until(waiting, ({ status }) => status === RunStatus.FAILED);
      expect(ended.failure?.type).toBe("QueueTimeout");
      await sleep(400);
      await worker.completeRun({ runId: taken, fence, output: json(1) });
    });
  });

  describe.each(transports)("waiting, over %s", (transport) => {
    test.concurrent("for a signal: kept before the wait, deduplicated, first in first out", async () => {
      const { worker, runId, fence } = await lab.held(transport);
      const send = (signalId: string, name = "go") =>
        rpc(lab.client, SignalService.method.sendSignal, {
          runId,
          name,
          signalId,
          payload: json(signalId),
        });
      expect((await send("s1")).duplicate).toBe(false);
      expect((await send("s1")).duplicate).toBe(true);
      await expect(send("s1", "other")).rejects.toMatchObject(refused("IDEMPOTENCY_CONFLICT"));
      await send("s2");
      const wait = (stepKey: string, held: number) =>
        worker.stepStarted({
          runId,
          fence: held,
          stepKey,
          kind: SIGNAL,
          wait: { signalName: "go" },
        });
      for (const [stepKey, value] of [
        ["signal:go", "s1"],
        ["signal:go#2", "s2"],
      ] as const) {
        const { outcome } = await wait(stepKey, fence);
        expect(outcome).toMatchObject({
          case: "replay",
          value: { outcome: WaitOutcome.SIGNALLED },
        });
        const payload = outcome.case === "replay" ? outcome.value.result.value : undefined;
        expect(payload?.$typeName === "pawl.v1.Payload" ? jsonOf(payload) : undefined).toBe(value);
      }
      expect((await wait("signal:go#3", fence)).outcome.case).toBe("wait");
      expect(await worker.suspendRun({ runId, fence, tree: key("signal:go#3") })).toMatchObject({
        resumed: false,
      });
      expect(await lab.run(runId)).toMatchObject({
        status: RunStatus.WAITING,
        waits: [{ kind: WaitKind.SIGNAL }],
      });
      await send("s3");
      const next = await worker.next(runId, fence);
      const taken = next.journal.find(
        ({ type, stepKey }) => type === "workflow.wait.resolved" && stepKey === "signal:go#3",
      );
      expect(jsonOf(taken?.payload)).toBe("s3");
      await worker.completeRun({ runId, fence: fenceOf(next), output: json(1) });
      await expect(send("s4")).rejects.toMatchObject(refused("RUN_TERMINAL"));
      const unknown = rpc(lab.client, SignalService.method.sendSignal, {
        runId: "unknown",
        name: "go",
      });
      await expect(unknown).rejects.toMatchObject(refused("NOT_FOUND"));
      const { signals } = await rpc(lab.client, SignalService.method.listSignals, { runId });
      expect(signals.map(({ signalId, consumedBy }) => [signalId, consumedBy])).toEqual([
        ["s1", "signal:go"],
        ["s2", "signal:go#2"],
        ["s3", "signal:go#3"],
      ]);
    });

    test.concurrent("for a child: its result, its failure, and its parent's fence", async () => {
      const { worker, runId, fence, flow } = await lab.held(transport);
      const child = (id: string) => ({
        workflow: flow,
        runId: `${runId}~${id}`,
        parent: { runId, stepKey: `child:${id}` },
        parentFence: fence,
      });
      await expect(lab.start({ ...child("good"), parentFence: fence + 1 })).rejects.toMatchObject(
        refused("LEASE_LOST"),
      );
      await lab.start(child("good"));
      await lab.start(child("bad"));
      for (const id of ["good", "bad"]) {
        await worker.stepStarted({
          runId,
          fence,
          stepKey: `child:${id}`,
          kind: CHILD,
          wait: { childRunId: `${runId}~${id}` },
        });
      }
      await worker.suspendRun({ runId, fence, tree: group(2, "child:good", "child:bad") });
      const good = await worker.next(`${runId}~good`);
      expect(good.parent).toMatchObject({ runId, stepKey: "child:good" });
      await worker.completeRun({
        runId: `${runId}~good`,
        fence: fenceOf(good),
        output: json("fine"),
      });
      const bad = await worker.next(`${runId}~bad`);
      await worker.failRun({ runId: `${runId}~bad`, fence: fenceOf(bad), failure: BOOM });
      const next = await worker.next(runId, fence);
      const resolved = next.journal.filter(({ type }) => type === "workflow.wait.resolved");
      expect(Object.fromEntries(resolved.map((entry) => [entry.stepKey, entry.outcome]))).toEqual({
        "child:good": WaitOutcome.COMPLETED,
        "child:bad": WaitOutcome.FAILED,
      });
      expect(jsonOf(resolved.find(({ stepKey }) => stepKey === "child:good")?.payload)).toBe(
        "fine",
      );
      expect(resolved.find(({ stepKey }) => stepKey === "child:bad")?.failure).toMatchObject(BOOM);
      const children = await rpc(lab.client, run.listRuns, { parentRunId: runId });
      expect(children.runs.map((one) => one.runId).sort()).toEqual([
        `${runId}~bad`,
        `${runId}~good`,
      ]);
    });

    test.concurrent("for two of three, with a timeout among them", async () => {
      const { worker, runId, fence } = await lab.held(transport);
      const waits = [
        { stepKey: "sleep:long", kind: SLEEP, wait: { duration: ms(60_000) } },
        { stepKey: "sleep:short", kind: SLEEP, wait: { duration: ms(60) } },
        { stepKey: "signal:go", kind: SIGNAL, wait: { signalName: "go", duration: ms(120) } },
      ];
      const tree = group(2, "sleep:long", "sleep:short", "signal:go");
      expect(await worker.suspendRun({ runId, fence, waits, tree })).toMatchObject({
        resumed: false,
      });
      const next = await worker.next(runId, fence);
      const resolved = next.journal.filter(({ type }) => type === "workflow.wait.resolved");
      expect(resolved.map(({ stepKey, outcome }) => [stepKey, outcome])).toEqual([
        ["sleep:short", WaitOutcome.FIRED],
        ["signal:go", WaitOutcome.TIMED_OUT],
      ]);
    });

    test.concurrent("pause and resume: at the next step boundary, and on from there", async () => {
      const { worker, runId, fence } = await lab.held(transport);
      await worker.stepStarted({ runId, fence, stepKey: "a", kind: STEP });
      expect((await rpc(lab.client, run.pauseRun, { runId })).run).toMatchObject({
        status: RunStatus.RUNNING,
        statusReason: StatusReason.PAUSING,
      });
      const refusedStart = await worker.stepStarted({ runId, fence, stepKey: "b", kind: STEP });
      expect(refusedStart.outcome).toMatchObject({
        case: "stop",
        value: { reason: StopReason.RUN_PAUSED },
      });
      const done = await worker.stepCompleted({
        runId,
        fence,
        stepKey: "a",
        attempt: 1,
        output: json(1),
      });
      expect(done.directive).toBe(3);
      await worker.suspendRun({ runId, fence });
      expect(await lab.run(runId)).toMatchObject({
        status: RunStatus.PAUSED,
        statusReason: StatusReason.PAUSED_BY_OPERATOR,
      });
      await rpc(lab.client, run.resumeRun, { runId });
      const next = await worker.next(runId, fence);
      expect(next.journal.map(({ type }) => type)).toContain("run.resumed");
    });
  });

  test.concurrent("illegal transitions name both statuses", async () => {
    const { worker, runId, fence } = await lab.held("session");
    const remove = rpc(lab.client, run.deleteRun, { runId }).catch((error: unknown) => error);
    expect(await remove).toMatchObject(
      refused("ILLEGAL_TRANSITION", { run_id: runId, from: "RUNNING", to: "deleted" }),
    );
    await worker.completeRun({ runId, fence, output: json(1) });
    const calls = [
      rpc(lab.client, run.cancelRun, { runId }),
      rpc(lab.client, run.pauseRun, { runId }),
      rpc(lab.client, run.resumeRun, { runId }),
      rpc(lab.client, run.retryRun, { runId }),
    ];
    for (const result of await Promise.allSettled(calls)) {
      expect(result).toMatchObject({ status: "rejected", reason: refused("ILLEGAL_TRANSITION") });
    }
  });

  test.concurrent("a deleted run is gone with all that belonged to it, and its id is free again", async () => {
    const { worker, runId, fence, flow } = await lab.held("session");
    await worker.stepCompleted({ runId, fence, stepKey: "a", attempt: 1, output: json("old") });
    await worker.completeRun({ runId, fence, output: json("old") });
    await rpc(lab.client, run.deleteRun, { runId });
    const calls = [
      rpc(lab.client, run.getRun, { runId }),
      rpc(lab.client, run.getJournal, { runId }),
      rpc(lab.client, run.deleteRun, { runId }),
      rpc(lab.client, run.waitRun, { runId }),
    ];
    for (const result of await Promise.allSettled(calls)) {
      expect(result).toMatchObject({ status: "rejected", reason: refused("NOT_FOUND") });
    }
    expect(await lab.start({ workflow: flow, runId, input: json("other") })).toMatchObject({
      existing: false,
    });
    const next = await worker.next(runId);
    expect(next.journal.map(({ type }) => type)).toEqual(["run.started"]);
  });

  test.concurrent("tags are found by, changed, and bounded", async () => {
    const flow = lab.name("flow");
    await lab.worker("unary", flow);
    const team = lab.name("team");
    const [one, two] = [lab.name("run"), lab.name("run")];
    await lab.start({ workflow: flow, runId: one, tags: { team, stage: "a" } });
    await lab.start({ workflow: flow, runId: two, tags: { team, stage: "b" } });
    const find = async (tags: Record<string, string>) =>
      (await rpc(lab.client, run.listRuns, { tags })).runs.map(({ runId }) => runId);
    expect((await find({ team })).sort()).toEqual([one, two].sort());
    expect(await find({ team, stage: "b" })).toEqual([two]);
    await rpc(lab.client, run.updateTags, {
      runId: two,
      set: { stage: "c", extra: "x" },
      remove: ["team"],
    });
    expect(await find({ team })).toEqual([one]);
    expect((await lab.run(two)).tags).toEqual({ stage: "c", extra: "x" });
    const many = Object.fromEntries(Array.from({ length: 63 }, (_, i) => [`k${i}`, "v"]));
    await expect(rpc(lab.client, run.updateTags, { runId: two, set: many })).rejects.toMatchObject(
      refused("INVALID_ARGUMENT"),
    );
  });

  test.concurrent("lists are paged, newest first, and filtered by status", async () => {
    const flow = lab.name("flow");
    const worker = await lab.worker("unary", flow);
    const ids: string[] = [];
    for (let i = 0; i < 7; i += 1) {
      const runId = lab.name(`run-${i}`);
      ids.unshift(runId);
      await lab.start({ workflow: flow, runId });
    }
    const item = await worker.next(ids.at(-1) ?? "");
    await worker.completeRun({ runId: ids.at(-1) ?? "", fence: fenceOf(item), output: json(1) });
    const listed: string[] = [];
    let pageToken = "";
    do {
      const page = await rpc(lab.client, run.listRuns, { workflow: flow, pageSize: 3, pageToken });
      listed.push(...page.runs.map(({ runId }) => runId));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(listed).toEqual(ids);
    const completed = await rpc(lab.client, run.listRuns, {
      workflow: flow,
      statuses: [RunStatus.COMPLETED],
    });
    expect(completed.runs.map(({ runId }) => runId)).toEqual(ids.slice(-1));
  });

  test.concurrent("WaitRun answers when the run ends, or when its time is over", async () => {
    const { worker, runId, fence } = await lab.held("session");
    const early = await rpc(lab.client, run.waitRun, { runId, timeout: ms(50) });
    expect(early.run?.status).toBe(RunStatus.RUNNING);
    const wait = rpc(lab.client, run.waitRun, { runId });
    await worker.completeRun({ runId, fence, output: json("done") });
    expect(jsonOf((await wait).run?.output)).toBe("done");
  });

  test.concurrent("WatchRun: from before the start, in order, the end last and once, and on from any cursor", async () => {
    const flow = lab.name("flow");
    const worker = await lab.worker("session", flow);
    const runId = lab.name("run");
    const early = watch(lab.client, { runId, waitForStart: true });
    await expect(watch(lab.client, { runId })).rejects.toMatchObject({ code: 5 });
    await sleep(50);
    await lab.start({ workflow: flow, runId });
    const fence = fenceOf(await worker.next(runId));
    for (let i = 0; i < 20; i += 1) {
      await worker.stepCompleted({ runId, fence, stepKey: `s${i}`, attempt: 1, output: json(i) });
    }
    const middle = watch(lab.client, { runId });
    await worker.completeRun({ runId, fence, output: json("done") });
    const late = watch(lab.client, { runId });
    const expected = [
      "run.started",
      ...Array.from({ length: 20 }, () => "workflow.step.completed"),
      "run.completed",
    ];
    for (const events of await Promise.all([early, middle, late])) {
      const checkpoints = events.filter(({ entry }) => entry !== undefined);
      expect(checkpoints.map(({ type }) => type)).toEqual(expected);
      expect(checkpoints.map(({ entry }) => entry?.seq)).toEqual(
        expected.map((_, index) => index + 1),
      );
    }
    const all = await late;
    for (const index of [0, 7, 20, 21]) {
      const rest = await watch(lab.client, { runId, afterCursor: all[index]?.cursor ?? "" });
      expect(rest.map(({ entry }) => entry?.seq)).toEqual(
        all.slice(index + 1).map(({ entry }) => entry?.seq),
      );
    }
    const listed = await rpc(lab.client, EventService.method.listEvents, { runId, pageSize: 5 });
    expect(listed.events.map(({ type }) => type)).toEqual(expected.slice(0, 5));
  });
});

function nanos(time: { seconds: bigint; nanos: number } | undefined): number {
  return Number(time?.seconds ?? 0n) * 1e9 + (time?.nanos ?? 0);
}
