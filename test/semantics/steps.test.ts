/**
 * Goal: a step is recorded once and replayed for ever, the caller and however often.
 * Method: raw messages over a session and over plain calls, on both stores.
 */
import {
  StepFailedResponse_Final_Action as Action,
  RunService,
  RunStatus,
  StatusReason,
  StepService,
  WaitKind,
  WaitOutcome,
  StepStartedResponse_Wait_Why as Why,
  WorkerService,
} from "@pawl/proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rpc, SessionWorker } from "../harness/protocol.ts";
import {
  BOOM,
  fenceOf,
  json,
  jsonOf,
  Lab,
  ms,
  refused,
  SLEEP,
  STEP,
  stores,
  transports,
  VALUE,
} from "./lab.ts";

describe.each(stores)("%s", (store) => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.open(store);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  describe.each(transports)("%s", (transport) => {
    test.concurrent("acknowledgement lost, then resent: the same answer, one entry; another result is a conflict", async () => {
      const { worker, runId, fence } = await lab.held(transport);
      const message = { runId, fence, stepKey: "a", attempt: 1, output: json("result") };
      const first = await worker.stepCompleted(message);
      const again = await worker.stepCompleted(message);
      expect(again.seq).toBe(first.seq);
      const other = worker.stepCompleted({ ...message, output: json("another") });
      const error = await other.catch((refusal: unknown) => refusal);
      expect(error).toMatchObject(
        refused("COMMIT_CONFLICT", { step_key: "a", recorded_seq: String(first.seq) }),
      );
      const completed = (await lab.journal(runId)).filter(
        ({ type }) => type === "workflow.step.completed",
      );
      expect(completed).toHaveLength(1);
      // The lease was lost with the answer: the worker that continues finds the result.
      await worker.giveBack(runId, fence);
      const next = await worker.next(runId, fence);
      expect(next.journal.map(({ stepKey }) => stepKey)).toContain("a");
      const reply = await worker.stepStarted({
        runId,
        fence: fenceOf(next),
        stepKey: "a",
        kind: STEP,
      });
      expect(reply.outcome).toMatchObject({ case: "replay" });
    });

    test.concurrent("two workers racing one step: one executes, the first result stays", async () => {
      const { worker, runId, fence, flow } = await lab.held(transport);
      const twin = await lab.worker(transport, flow);
      const ask = (requestId: string, by: typeof worker) =>
        by.stepStarted({ runId, fence, stepKey: "a", kind: STEP, requestId });
      const [one, two] = await Promise.all([ask("r1", worker), ask("r2", twin)]);
      expect([one.outcome.case, two.outcome.case].sort()).toEqual(["execute", "wait"]);
      const again = await (one.outcome.case === "execute" ? ask("r1", worker) : ask("r2", twin));
      expect(again.outcome.case).toBe("execute");
      const results = await Promise.allSettled(
        [worker, twin].map((by, index) =>
          by.stepCompleted({ runId, fence, stepKey: "a", attempt: 1, output: json(index) }),
        ),
      );
      expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
      expect(results.find(({ status }) => status === "rejected")).toMatchObject({
        reason: { reason: "COMMIT_CONFLICT" },
      });
    });

    test.concurrent("changed input: a conflict with both sides, and the result of it is refused", async () => {
      const { worker, runId, fence } = await lab.held(transport);
      const recorded = {
        name: "charge",
        kind: STEP,
        inputDigest: "aaaa",
        input: json({ amount: 1 }),
      };
      const attempted = {
        name: "charge",
        kind: STEP,
        inputDigest: "bbbb",
        input: json({ amount: 2 }),
      };
      await worker.stepCompleted({
        runId,
        fence,
        stepKey: "charge",
        attempt: 1,
        output: json("ok"),
        ...recorded,
      });
      const reply = await worker.stepStarted({ runId, fence, stepKey: "charge", ...attempted });
      expect(reply.outcome).toMatchObject({
        case: "conflict",
        value: {
          recorded: { name: "charge", inputDigest: "aaaa" },
          attempted: { name: "charge", inputDigest: "bbbb" },
        },
      });
      if (reply.outcome.case === "conflict") {
        expect(jsonOf(reply.outcome.value.recorded?.input)).toEqual({ amount: 1 });
        expect(jsonOf(reply.outcome.value.attempted?.input)).toEqual({ amount: 2 });
      }
      const late = worker.stepCompleted({
        runId,
        fence,
        stepKey: "charge",
        attempt: 1,
        output: json("ok"),
        ...attempted,
      });
      await expect(late).rejects.toMatchObject(refused("STEP_INPUT_MISMATCH"));
    });

    test.concurrent.each([
      ["null", json(null)],
      ["false", json(false)],
      ["0", json(0)],
      ['""', json("")],
      ["[]", json([])],
      ["{}", json({})],
      ["undefined", { data: new Uint8Array(0), encoding: "void" }],
      ["zero-length bytes", { data: new Uint8Array(0), encoding: "bytes" }],
    ])("%s is a result: replayed as it was, and not as absent", async (_, output) => {
      const { worker, runId, fence } = await lab.held(transport);
      await worker.stepCompleted({ runId, fence, stepKey: "a", attempt: 1, output });
      const reply = await worker.stepStarted({ runId, fence, stepKey: "a", kind: STEP });
      expect(reply.outcome).toMatchObject({
        case: "replay",
        value: { result: { case: "output" } },
      });
      const replayed =
        reply.outcome.case === "replay" ? reply.outcome.value.result.value : undefined;
      expect(replayed).toMatchObject({ encoding: output.encoding });
      expect([...(replayed && "data" in replayed ? replayed.data : [1])]).toEqual([...output.data]);
      await worker.completeRun({ runId, fence, output });
      const { run } = await rpc(lab.client, RunService.method.waitRun, { runId });
      expect(run?.output).toMatchObject({ encoding: output.encoding });
      const missing = worker.stepCompleted({ runId, fence, stepKey: "b", attempt: 1 });
      await expect(missing).rejects.toMatchObject(refused("INVALID_ARGUMENT"));
    });

    test.concurrent("a caught final failure replays as that failure, to the worker that continues", async () => {
      const { worker, runId, fence } = await lab.held(transport);
      const failure = {
        ...BOOM,
        stack: "at line 1",
        cause: { type: "Inner", message: "deeper" },
        details: json({ code: 7 }),
      };
      const failed = await worker.stepFailed({ runId, fence, stepKey: "a", attempt: 1, failure });
      expect(failed.next).toMatchObject({ case: "final", value: { action: Action.THROW } });
      await worker.stepCompleted({
        runId,
        fence,
        stepKey: "fallback",
        attempt: 1,
        output: json("ok"),
      });
      await worker.giveBack(runId, fence);
      const next = fenceOf(await worker.next(runId, fence));
      const reply = await worker.stepStarted({ runId, fence: next, stepKey: "a", kind: STEP });
      expect(reply.outcome).toMatchObject({
        case: "replay",
        value: { result: { case: "failure" } },
      });
      const value = reply.outcome.case === "replay" ? reply.outcome.value.result.value : undefined;
      expect(value).toMatchObject({ type: "Boom", stack: "at line 1", cause: { type: "Inner" } });
    });

    test.concurrent("retries are counted and timed by the server, over workers", async () => {
      const { worker, runId, fence } = await lab.held(transport);
      const retryPolicy = {
        maxAttempts: 3,
        initialInterval: ms(2_000),
        backoff: 1,
        coefficient: 2,
      };
      const first = await worker.stepFailed({
        runId,
        fence,
        stepKey: "a",
        attempt: 1,
        failure: BOOM,
        retryPolicy,
      });
      expect(first.next).toMatchObject({ case: "retry", value: { attempt: 2, delay: ms(2_000) } });
      const early = await worker.stepStarted({ runId, fence, stepKey: "a", kind: STEP });
      expect(early.outcome).toMatchObject({
        case: "wait",
        value: { why: Why.BACKOFF, attempt: 2 },
      });
      await worker.giveBack(runId, fence);
      const next = fenceOf(await worker.next(runId, fence));
      const second = await worker.stepFailed({
        runId,
        fence: next,
        stepKey: "a",
        attempt: 2,
        failure: BOOM,
        retryPolicy,
      });
      expect(second.next).toMatchObject({ case: "retry", value: { attempt: 3, delay: ms(4_000) } });
      const last = await worker.stepFailed({
        runId,
        fence: next,
        stepKey: "a",
        attempt: 3,
        failure: BOOM,
        retryPolicy,
      });
      expect(last.next.case).toBe("final");
    });

    test.concurrent("on_exhausted pause: the run waits for a person, who gives it new attempts", async () => {
      const { worker, runId, fence } = await lab.held(transport);
      const retryPolicy = { maxAttempts: 2, onExhausted: 2 };
      await worker.stepFailed({
        runId,
        fence,
        stepKey: "a",
        attempt: 1,
        failure: BOOM,
        retryPolicy,
      });
      const last = await worker.stepFailed({
        runId,
        fence,
        stepKey: "a",
        attempt: 2,
        failure: BOOM,
        retryPolicy,
      });
      expect(last.next).toMatchObject({ case: "final", value: { action: Action.PAUSE } });
      expect(await lab.run(runId)).toMatchObject({
        status: RunStatus.PAUSED,
        statusReason: StatusReason.RETRIES_EXHAUSTED,
        failure: BOOM,
      });
      await rpc(lab.client, RunService.method.retryRun, { runId });
      const next = fenceOf(await worker.next(runId, fence));
      const reply = await worker.stepStarted({ runId, fence: next, stepKey: "a", kind: STEP });
      expect(reply.outcome).toMatchObject({
        case: "execute",
        value: { attempt: 3, idempotencyKey: `${(await lab.run(runId)).runUid}/a` },
      });
    });

    test.concurrent("at_most_once: its start is recorded before it runs; a crash in between is for a person", async () => {
      const { worker, runId, fence } = await lab.held(transport);
      const start = { runId, stepKey: "pay", kind: STEP, recovery: 2 };
      const first = await worker.stepStarted({ ...start, fence });
      expect(first.outcome.case).toBe("execute");
      expect((await lab.step(runId, "pay"))?.type).toBe("workflow.step.started");
      await worker.giveBack(runId, fence);
      const second = fenceOf(await worker.next(runId, fence));
      const unknown = await worker.stepStarted({ ...start, fence: second });
      expect(unknown.outcome).toMatchObject({ case: "unknownOutcome", value: { attempt: 1 } });
      expect(await lab.run(runId)).toMatchObject({
        status: RunStatus.PAUSED,
        statusReason: StatusReason.UNKNOWN_OUTCOME,
      });
      await rpc(lab.client, RunService.method.retryRun, { runId });
      const third = fenceOf(await worker.next(runId, second));
      const again = await worker.stepStarted({ ...start, fence: third });
      expect(again.outcome).toMatchObject({ case: "execute", value: { attempt: 2 } });
    });

    test.concurrent("a failed run is retried from its failed step: results stay, attempts continue", async () => {
      const { worker, runId, fence } = await lab.held(transport);
      await worker.stepCompleted({ runId, fence, stepKey: "ok", attempt: 1, output: json("kept") });
      await worker.stepFailed({ runId, fence, stepKey: "caught", attempt: 1, failure: BOOM });
      await worker.stepFailed({ runId, fence, stepKey: "fatal", attempt: 1, failure: BOOM });
      const outcome = { runId, fence, failure: BOOM, failedStepKeys: ["fatal"] };
      await worker.failRun(outcome);
      await worker.failRun(outcome);
      expect(await lab.run(runId)).toMatchObject({ status: RunStatus.FAILED, failure: BOOM });
      await rpc(lab.client, RunService.method.retryRun, { runId });
      await rpc(lab.client, RunService.method.retryRun, { runId });
      const next = fenceOf(await worker.next(runId, fence));
      const ask = async (stepKey: string) =>
        (await worker.stepStarted({ runId, fence: next, stepKey, kind: STEP })).outcome;
      expect((await ask("ok")).case).toBe("replay");
      expect((await ask("caught")).case).toBe("replay");
      expect(await ask("fatal")).toMatchObject({ case: "execute", value: { attempt: 2 } });
      await worker.stepCompleted({
        runId,
        fence: next,
        stepKey: "fatal",
        attempt: 2,
        output: json(1),
      });
      await worker.completeRun({ runId, fence: next, output: json("done") });
      expect((await lab.run(runId)).status).toBe(RunStatus.COMPLETED);
    });

    test.concurrent("kind, name and digests may be said by the start alone", async () => {
      const { worker, runId, fence } = await lab.held(transport);
      await worker.stepStarted({
        runId,
        fence,
        stepKey: "value:now",
        name: "now",
        kind: VALUE,
        inputDigest: "aaaa",
      });
      await worker.stepCompleted({
        runId,
        fence,
        stepKey: "value:now",
        attempt: 1,
        output: json(1),
      });
      const other = await worker.stepStarted({
        runId,
        fence,
        stepKey: "value:now",
        kind: VALUE,
        inputDigest: "bbbb",
      });
      expect(other.outcome.case).toBe("conflict");
      const asStep = await worker.stepStarted({ runId, fence, stepKey: "value:now", kind: STEP });
      expect(asStep.outcome).toMatchObject({
        case: "conflict",
        value: { recorded: { kind: VALUE }, attempted: { kind: STEP } },
      });
    });

    test.concurrent("a result larger than a row, and one larger than a message, are replayed whole", async () => {
      const { worker, runId, fence } = await lab.held(transport);
      const large = Buffer.alloc(200 * 1024, "x");
      await worker.stepCompleted({
        runId,
        fence,
        stepKey: "large",
        attempt: 1,
        output: { data: large, encoding: "bytes" },
      });
      const huge = Buffer.alloc(5 * 1024 * 1024, "y");
      const ref = await lab.upload(huge);
      await worker.stepCompleted({
        runId,
        fence,
        stepKey: "huge",
        attempt: 1,
        output: { encoding: "bytes", ref },
      });
      for (const [stepKey, data] of [
        ["large", large],
        ["huge", huge],
      ] as const) {
        const { outcome } = await worker.stepStarted({ runId, fence, stepKey, kind: STEP });
        const value = outcome.case === "replay" ? outcome.value.result.value : undefined;
        if (value?.$typeName !== "pawl.v1.Payload") throw new Error("No payload was replayed.");
        const whole = value.ref === undefined ? value.data : await lab.download(value.ref);
        expect(Buffer.compare(whole, data)).toBe(0);
      }
    });

    test.concurrent("a step's timeout is enforced for a worker that says nothing", async () => {
      const { worker, runId, fence } = await lab.held(transport);
      const retryPolicy = { maxAttempts: 2 };
      await worker.stepStarted({
        runId,
        fence,
        stepKey: "a",
        kind: STEP,
        timeout: ms(10),
        retryPolicy,
      });
      const entry = await lab.untilEntry(runId, "workflow.step.retrying");
      expect(entry.failure?.type).toBe("StepTimeout");
      const late = worker.stepCompleted({
        runId,
        fence,
        stepKey: "a",
        attempt: 1,
        output: json("late"),
      });
      await expect(late).rejects.toMatchObject(refused("COMMIT_CONFLICT"));
    });

    test.concurrent.each(["failed", "done in time"])(
      "a report that comes after the server's verdict on its attempt counts: it was %s",
      async (how) => {
        const { worker, runId, fence } = await lab.held(transport);
        const step = { runId, fence, stepKey: "a", attempt: 1 };
        const retryPolicy = { maxAttempts: 2, initialInterval: ms(60_000) };
        const start = { runId, fence, stepKey: "a", kind: STEP, timeout: ms(10), retryPolicy };
        await worker.stepStarted(start);
        await lab.untilEntry(runId, "workflow.step.retrying");
        if (how === "failed") {
          const failure = { type: "StepTimeout", message: "the worker's own words" };
          const { next } = await worker.stepFailed({ ...step, failure });
          expect(next).toMatchObject({ case: "retry", value: { attempt: 2 } });
        } else {
          await worker.stepCompleted({ ...step, output: json("done"), latencyMs: 9 });
          const { outcome } = await worker.stepStarted(start);
          expect(outcome.case).toBe("replay");
        }
      },
    );

    test.concurrent("waits: a timer frees the worker and wakes the run; its outcome is replayed", async () => {
      const { worker, runId, fence } = await lab.held(transport);
      const wait = {
        runId,
        fence,
        stepKey: "sleep:nap",
        name: "nap",
        kind: SLEEP,
        // Longer than the two calls that follow may take.
        wait: { duration: ms(2_000) },
      };
      expect((await worker.stepStarted(wait)).outcome).toMatchObject({
        case: "wait",
        value: { why: Why.WAIT },
      });
      const tree = { node: { case: "stepKey" as const, value: "sleep:nap" } };
      expect(await worker.suspendRun({ runId, fence, tree })).toMatchObject({ resumed: false });
      expect(await lab.run(runId)).toMatchObject({
        workerId: "",
        waits: [{ stepKey: "sleep:nap", kind: WaitKind.SLEEP }],
      });
      const next = await worker.next(runId, fence);
      const replay = await worker.stepStarted({ ...wait, fence: fenceOf(next) });
      expect(replay.outcome).toMatchObject({
        case: "replay",
        value: { outcome: WaitOutcome.FIRED },
      });
    });
  });

  test.concurrent("a session's start that rides ahead is written once the step has run for a while", async () => {
    const { worker, runId, fence } = await lab.held("session");
    if (!(worker instanceof SessionWorker)) throw new Error("Not a session.");
    worker.send({ case: "stepStarted", value: { runId, fence, stepKey: "long", kind: STEP } });
    worker.send({ case: "stepStarted", value: { runId, fence, stepKey: "short", kind: STEP } });
    await worker.stepCompleted({ runId, fence, stepKey: "short", attempt: 1, output: json(1) });
    await lab.untilEntry(runId, "workflow.step.started");
    await worker.stepCompleted({ runId, fence, stepKey: "long", attempt: 1, output: json(1) });
    const types = (await lab.journal(runId)).map(({ type, stepKey }) =>
      `${type} ${stepKey}`.trim(),
    );
    expect(types).toEqual([
      "run.started",
      "workflow.step.completed short",
      "workflow.step.started long",
      "workflow.step.completed long",
    ]);
  });

  test.concurrent("reading a step needs no lease; of an unknown run it is NOT_FOUND", async () => {
    const { runId } = await lab.held("unary");
    expect(await lab.step(runId, "never")).toBeUndefined();
    const unknown = rpc(lab.client, StepService.method.getStep, { runId: "unknown", stepKey: "a" });
    await expect(unknown).rejects.toMatchObject(refused("NOT_FOUND"));
    const workers = await rpc(lab.client, WorkerService.method.listWorkers, {});
    expect(workers.workers.length).toBeGreaterThan(0);
  });
});
