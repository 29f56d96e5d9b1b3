/**
 * Goal: a run whose time is up undoes what it did before it fails, wherever it is, and is retried
 * only as far as that makes sense.
 * Method: decisions on a run in memory, with the invariants checked after each.
 */
import { expect, test } from "vitest";
import {
  BOOM,
  complete,
  completed,
  dueFired,
  fail,
  failed,
  started,
  suspend,
  TestRun,
} from "../../../../test/semantics/run-fixture.ts";
import { NO_RETRY } from "../../model/retry.ts";
import { cancelRun, retryRun } from "./lifecycle-rules.ts";
import { completeRun, failRunByWorker, suspendRun } from "./outcome-rules.ts";
import { stepCompleted, stepFailed } from "./step-results.ts";
import { stepStarted } from "./step-rules.ts";

const TIMEOUT = {
  type: "RunTimeout",
  message: "The run did not end within 1000 ms of its start.",
};
const queued = () => new TestRun({ runTimeoutMs: 1_000 });

function running(): TestRun {
  const run = queued();
  run.claim();
  return run;
}

function waiting(): TestRun {
  const run = running();
  const sleep = { kind: "sleep", wait: { durationMs: 60_000 } } as const;
  run.do((draft) => stepStarted(draft, started(run, "sleep:s", sleep)));
  run.do((draft) => suspendRun(draft, suspend(run)));
  return run;
}

function timeOut(run: TestRun): TestRun {
  const row = { kind: "run", key: "", at: run.now, data: "" } as const;
  run.do((draft) => dueFired(draft, row, undefined));
  return run;
}

const undo = (run: TestRun, key: string, attempt: number) =>
  run.do((draft) => stepCompleted(draft, completed(run, `compensate:${key}`, { attempt })));
const failToUndo = (run: TestRun, key: string) =>
  run.do((draft) => stepFailed(draft, failed(run, `compensate:${key}`, { retryPolicy: NO_RETRY })));
const report = (run: TestRun, failure = BOOM) =>
  run.do((draft) => failRunByWorker(draft, { ...fail(run), failure }));

test.each([
  ["held", running],
  ["waiting", waiting],
])("%s: it is cleaned up like a cancelled one, and has failed then", (_, make) => {
  const run = timeOut(make());
  expect(run.header).toMatchObject({ status: "CANCELLING", reason: "RUN_TIMEOUT" });
  if (make === waiting) run.claim();
  run.do((draft) => stepCompleted(draft, completed(run, "clean")));
  // Somebody cancels it as well: it stays what it was.
  run.do((draft) => cancelRun(draft, { reason: "", graceMs: 10_000 }));
  report(run);
  expect(run.header).toMatchObject({ status: "FAILED", reason: "" });
  expect(run.last).toMatchObject({
    type: "run.failed",
    meta: { failure: { ...TIMEOUT, cause: BOOM } },
  });
});

test("a clean-up that does not end in time, or says nothing more, leaves the timeout as it is", () => {
  const late = timeOut(waiting());
  late.claim();
  const grace = late.dueRow("grace");
  if (grace === undefined) throw new Error("The clean-up has no end.");
  late.now = grace.at;
  late.do((draft) => dueFired(draft, grace, undefined));
  const plain = timeOut(running());
  report(plain, { ...BOOM, message: TIMEOUT.message });
  for (const run of [late, plain]) {
    expect(run.header.status).toBe("FAILED");
    expect(run.last.meta.failure).toEqual(TIMEOUT);
  }
});

test("a result that is reported all the same, also twice, does not count", () => {
  const run = timeOut(running());
  const command = complete(run);
  for (let i = 0; i < 2; i += 1) run.do((draft) => completeRun(draft, command));
  expect(run.header.status).toBe("FAILED");
});

test("it fails at once where there is nothing to clean up", () => {
  expect(timeOut(queued()).header.status).toBe("FAILED");
});

test("a retry continues from the beginning where nothing was undone", () => {
  const run = timeOut(running());
  report(run);
  run.do(retryRun);
  expect(run.header.status).toBe("QUEUED");
  expect(run.dueRow("run")?.at).toBe(run.now + 1_000);
});

test("a retry continues with what was not undone, and with nothing else", () => {
  const run = timeOut(running());
  undo(run, "c", 1);
  failToUndo(run, "b");
  report(run);
  run.do(retryRun);
  expect(run.header).toMatchObject({ status: "CANCELLING", reason: "RUN_TIMEOUT", endedAt: 0 });
  run.claim();
  undo(run, "b", 2);
  report(run, { ...BOOM, message: TIMEOUT.message });
  expect(run.last.meta.failure).toEqual(TIMEOUT);
  expect(() => run.do(retryRun)).toThrow(/undone/);
});
