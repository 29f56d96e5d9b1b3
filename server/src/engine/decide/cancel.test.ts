/**
 * Goal: a cancelled run is cleaned up by its holder, in the time that it was given.
 * Method: decisions on a run in memory, with the invariants checked after each.
 */
import { beforeEach, expect, test } from "vitest";
import {
  complete,
  completed,
  dueFired,
  failed,
  started,
  suspend,
  TestRun,
} from "../../../../test/semantics/run-fixture.ts";
import { NO_RETRY } from "../../model/retry.ts";
import { Draft } from "../draft.ts";
import { startGrace } from "./clean-up.ts";
import { releaseLease } from "./lease-rules.ts";
import { cancelRun, pauseRun } from "./lifecycle-rules.ts";
import { completeRun, suspendRun } from "./outcome-rules.ts";
import { stepCompleted, stepFailed } from "./step-results.ts";
import { stepStarted } from "./step-rules.ts";

const SLEEP = { kind: "sleep", wait: { durationMs: 60_000 } } as const;

let run: TestRun;

beforeEach(() => {
  run = new TestRun();
});

const cancel = () => run.do((draft) => cancelRun(draft, { reason: "", graceMs: 10_000 }));

test("gives the holder a new fence and a limited time to clean up", () => {
  run.claim();
  const old = run.fence;
  run.do((draft) => cancelRun(draft, { reason: "enough", graceMs: 7_000 }));
  expect(run.last).toMatchObject({
    type: "run.cancelling",
    meta: { reason: "enough", details: { grace_ms: "7000" } },
  });
  expect(() =>
    run.do((draft) => stepCompleted(draft, completed(run, "a", { fence: old })), old),
  ).toThrow(expect.objectContaining({ reason: "LEASE_LOST" }));
  // It may hang, and not have heard of it yet.
  expect(run.dueRow("grace")).toBeUndefined();
  run.now += 2_000;
  run.do((draft) => stepCompleted(draft, completed(run, "cleanup")), run.fence);
  expect(run.dueRow("grace")?.at).toBe(run.now + 7_000);
  run.do((draft) => completeRun(draft, complete(run)));
  expect(run.header.status).toBe("CANCELLED");
  expect(run.last.type).toBe("run.cancelled");
});

test("a sleep of the clean-up takes the place of a longer one that the cancel has ended", () => {
  run.claim();
  run.do((draft) => stepStarted(draft, started(run, "sleep:s", SLEEP)));
  expect([...run.waits.keys()]).toEqual(["sleep:s"]);
  run.batch(() => {
    cancel();
    const short = { ...SLEEP, wait: { durationMs: 50 } };
    run.do((draft) => stepStarted(draft, started(run, "sleep:s", short)));
  });
  expect([...run.waits.keys()]).toEqual([]);
});

test("a server that has not seen the grace begin cannot take its end for nothing", () => {
  run.claim();
  cancel();
  const old = structuredClone(run.state);
  run.do(startGrace);
  const row = run.dueRow("grace");
  if (row === undefined) throw new Error("The clean-up has no end.");
  const draft = new Draft(old, { now: row.at, random: 0 }, false);
  dueFired(draft, row, undefined);
  const { expect: version, patch } = draft.toWrite(undefined);
  // Otherwise the row would be gone, and the clean-up could last for ever.
  expect(patch).toBeDefined();
  expect(version?.intent).not.toBe(run.header.intent);
});

test("a grace that is read late, when its worker has gone, ends nothing", () => {
  run.claim();
  run.do((draft) => stepStarted(draft, started(run, "sleep:s", SLEEP)));
  run.do((draft) => suspendRun(draft, suspend(run)));
  cancel();
  run.claim();
  const row = run.dueRow("grace");
  if (row === undefined) throw new Error("The clean-up has no end.");
  run.now += 1_000;
  run.do((draft) => releaseLease(draft, run.fence, "replica/worker-1", "expired"));
  run.now = row.at;
  run.do((draft) => dueFired(draft, row, undefined));
  expect(run.header.status).toBe("CANCELLING");
  run.claim();
  expect(run.dueRow("grace")?.at).toBe(row.at + 9_000);
});

test("of a pausing run, and of one whose holder suspends instead", () => {
  run.claim();
  run.do((draft) => pauseRun(draft, ""));
  cancel();
  const reply = run.do((draft) => suspendRun(draft, suspend(run)));
  expect(reply).toMatchObject({ resumed: true, directive: "cancel" });
});

test("is not undone by a step that would pause the run", () => {
  const retryPolicy = { ...NO_RETRY, maxAttempts: 2, onExhausted: "pause" } as const;
  run.claim();
  run.do((draft) => stepStarted(draft, started(run, "pay", { atMostOnce: true })));
  run.do((draft) => stepFailed(draft, failed(run, "a", { retryPolicy })));
  cancel();
  const pay = run.do((draft) => stepStarted(draft, started(run, "pay", { atMostOnce: true })));
  expect(pay.kind).toBe("unknown_outcome");
  const last = run.do((draft) => stepFailed(draft, failed(run, "a", { attempt: 2, retryPolicy })));
  expect(last.next).toEqual({ kind: "final", action: "throw" });
  expect(run.header.status).toBe("CANCELLING");
});

test("of a child tells its parent", () => {
  run = new TestRun({ parent: { runId: "parent", key: "child:c", fence: 3 } });
  cancel();
  expect(run.elsewhere).toMatchObject([{ runId: "parent", row: { kind: "child", data: "run-1" } }]);
});
