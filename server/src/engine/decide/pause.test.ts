/** Goal: a pause that is taken back leaves no trace, whatever becomes of the lease meanwhile. */
import { expect, test } from "vitest";
import { started, suspend, TestRun } from "../../../../test/semantics/run-fixture.ts";
import { rebindLease, releaseLease } from "./lease-rules.ts";
import { pauseRun, resumeRun } from "./lifecycle-rules.ts";
import { suspendRun } from "./outcome-rules.ts";
import { stepStarted } from "./step-rules.ts";

const CONNECTION = "replica/worker-1";
const SLEEP = { kind: "sleep", wait: { durationMs: 60_000 } } as const;

test("a worker that takes its run back and stops it for a pause of before does not have it wait", () => {
  const run = new TestRun();
  run.claim();
  run.do((draft) => stepStarted(draft, started(run, "sleep:s", SLEEP)));
  run.do((draft) => pauseRun(draft, ""));
  run.do(resumeRun);
  run.do((draft) => releaseLease(draft, run.fence, CONNECTION, "restarted"));
  const lease = { connectionId: CONNECTION, workerId: "w", until: run.now + 15_000 };
  expect(run.do((draft) => rebindLease(draft, run.fence, lease))).toBe(true);
  // It names no tree: other branches than the one that sleeps may continue.
  run.do((draft) => suspendRun(draft, suspend(run)));
  expect(run.header.status).toBe("QUEUED");
  run.claim();
  run.do((draft) => suspendRun(draft, suspend(run)));
  expect(run.header.status).toBe("WAITING");
});
