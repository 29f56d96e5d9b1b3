/**
 * Goal: what a step may do next is right in every state of it.
 * Method: tables of decisions on a run in memory; `TestRun` checks the run after every write.
 */
import { beforeEach, describe, expect, test } from "vitest";
import {
  BOOM,
  completed,
  failed,
  json,
  started,
  suspend,
  TestRun,
} from "../../../../test/semantics/run-fixture.ts";
import { delayAfter, NO_RETRY, type RetryPolicy } from "../../model/retry.ts";
import type { StepFailedReply } from "../steps/step-types.ts";
import { releaseLease } from "./lease-rules.ts";
import { cancelRun, pauseRun, resumeRun, retryRun } from "./lifecycle-rules.ts";
import { completeRun, failRunByWorker, suspendRun } from "./outcome-rules.ts";
import { attemptTimedOut, stepCompleted, stepFailed } from "./step-results.ts";
import { recordLiveStart, stepStarted } from "./step-rules.ts";

const TWICE: RetryPolicy = { ...NO_RETRY, maxAttempts: 2, initialMs: 5_000 };

let run: TestRun;

beforeEach(() => {
  run = new TestRun();
  run.claim();
});

function lose(reason: "disconnected" | "expired" = "disconnected"): void {
  run.do((draft) => releaseLease(draft, run.fence, "replica/worker-1", reason));
}

function delayOf(reply: StepFailedReply): number {
  return reply.next.kind === "retry" ? reply.next.delayMs : -1;
}

describe("a start answers", () => {
  test("execute, with the attempt and a key that is stable over attempts", () => {
    const first = run.do((draft) => stepStarted(draft, started(run, "a")));
    expect(first).toEqual({ kind: "execute", attempt: 1, idempotencyKey: "uid-1/a" });
    lose();
    run.claim();
    const second = run.do((draft) => stepStarted(draft, started(run, "a")));
    expect(second).toEqual({ kind: "execute", attempt: 2, idempotencyKey: "uid-1/a" });
  });

  test("replay of a result, a final failure and a resolved wait, also while the run is pausing", () => {
    run.do((draft) => stepCompleted(draft, completed(run, "ok")));
    run.do((draft) => stepFailed(draft, failed(run, "bad")));
    run.do((draft) =>
      stepStarted(draft, started(run, "sleep:s", { kind: "sleep", wait: { durationMs: 0 } })),
    );
    run.do((draft) => pauseRun(draft, ""));
    const replays = ["ok", "bad"].map((key) =>
      run.do((draft) => stepStarted(draft, started(run, key))),
    );
    expect(replays).toEqual([
      { kind: "replay", seq: 2 },
      { kind: "replay", seq: 3 },
    ]);
    const slept = run.do((draft) =>
      stepStarted(draft, started(run, "sleep:s", { kind: "sleep", wait: { durationMs: 0 } })),
    );
    expect(slept).toEqual({ kind: "replay", seq: 5 });
    // What is in flight cannot end without the steps inside.
    const inside = ["outer/new", "map:m/1/outer#2/all:a/new", "compensate:undo/new"];
    const kinds = ["new", "all:a/new", "cleanup:c/map:m/1/new", ...inside].map(
      (key) => run.do((draft) => stepStarted(draft, started(run, key))).kind,
    );
    expect(kinds).toEqual(["stop", "stop", "stop", "execute", "execute", "execute"]);
  });

  test("wait while another runs the step under the same lease, but execute to the same request again", () => {
    run.do((draft) => stepStarted(draft, started(run, "a", { requestId: "r1" })));
    const until = run.header.lease?.until;
    expect(run.do((draft) => stepStarted(draft, started(run, "a", { requestId: "r2" })))).toEqual({
      kind: "wait",
      why: "in_progress",
      attempt: 1,
      until,
    });
    const again = run.do((draft) => stepStarted(draft, started(run, "a", { requestId: "r1" })));
    expect(again).toMatchObject({ kind: "execute", attempt: 1 });
    expect(run.types).toEqual(["workflow.step.started"]);
  });

  test("wait while it backs off, then execute of the next attempt", () => {
    run.do((draft) => stepFailed(draft, failed(run, "a", { retryPolicy: TWICE })));
    const until = run.now + 5_000;
    expect(run.do((draft) => stepStarted(draft, started(run, "a")))).toEqual({
      kind: "wait",
      why: "backoff",
      attempt: 2,
      until,
    });
    run.now = until;
    expect(run.do((draft) => stepStarted(draft, started(run, "a")))).toMatchObject({
      kind: "execute",
      attempt: 2,
    });
  });

  test("wait for an open wait, with its due time, however often it is asked", () => {
    const wait = { kind: "sleep", wait: { durationMs: 7_000 } } as const;
    const until = run.now + 7_000;
    for (let i = 0; i < 2; i += 1) {
      const reply = run.do((draft) => stepStarted(draft, started(run, "sleep:s", wait)));
      expect(reply).toEqual({ kind: "wait", why: "wait", attempt: 1, until });
      run.now += 100;
    }
    expect(run.types).toEqual(["workflow.wait.created"]);
  });

  test.each([
    ["another input", { inputDigest: "x" }, { inputDigest: "y" }],
    ["another definition", { definitionDigest: "x" }, { definitionDigest: "y" }],
    ["another kind", {}, { kind: "value" }],
  ] as const)("conflict for %s, with both sides and no entry", (_, recorded, attempted) => {
    run.do((draft) => stepCompleted(draft, completed(run, "a", recorded)));
    const before = run.journal.length;
    const reply = run.do((draft) => stepStarted(draft, started(run, "a", attempted)));
    expect(reply).toMatchObject({ kind: "conflict", recorded, attempted });
    expect(run.journal.length).toBe(before);
  });

  test("no conflict where one side has no digest", () => {
    run.do((draft) => stepCompleted(draft, completed(run, "a", { inputDigest: "x" })));
    expect(run.do((draft) => stepStarted(draft, started(run, "a")))).toMatchObject({
      kind: "replay",
    });
  });

  test("unknown_outcome for an at-most-once step that a crash left open; RetryRun runs it again", () => {
    run.do((draft) => stepStarted(draft, started(run, "pay", { atMostOnce: true })));
    const startedAt = run.now;
    lose();
    run.claim();
    run.now += 500;
    const fence = run.fence;
    const reply = run.do((draft) => stepStarted(draft, started(run, "pay", { atMostOnce: true })));
    expect(reply).toEqual({ kind: "unknown_outcome", attempt: 1, startedAt });
    expect(run.header).toMatchObject({ status: "PAUSED", reason: "UNKNOWN_OUTCOME", lease: null });
    expect(run.fence).toBeGreaterThan(fence);
    run.do(retryRun);
    run.claim();
    const next = run.do((draft) => stepStarted(draft, started(run, "pay", { atMostOnce: true })));
    expect(next).toMatchObject({ kind: "execute", attempt: 2 });
  });

  test("unknown_outcome again where the run was resumed and nobody decided", () => {
    run.do((draft) => stepStarted(draft, started(run, "pay", { atMostOnce: true })));
    lose();
    run.claim();
    run.do((draft) => stepStarted(draft, started(run, "pay", { atMostOnce: true })));
    run.do(resumeRun);
    run.claim();
    const reply = run.do((draft) => stepStarted(draft, started(run, "pay", { atMostOnce: true })));
    expect(reply).toMatchObject({ kind: "unknown_outcome", attempt: 1 });
  });

  describe("stop", () => {
    test("LEASE_LOST to a stale fence, no matter who has the run now", () => {
      const stale = started(run, "a");
      lose();
      expect(run.do((draft) => stepStarted(draft, stale))).toMatchObject({
        kind: "stop",
        reason: "LEASE_LOST",
      });
      run.claim("replica/worker-2", "w2");
      expect(run.do((draft) => stepStarted(draft, stale))).toMatchObject({
        kind: "stop",
        reason: "LEASE_LOST",
      });
    });

    test("RUN_CANCELLED with the fence to clean up under, to the holder only", () => {
      const zombie = started(run, "a");
      lose();
      run.claim("replica/worker-2", "w2");
      const holder = started(run, "a");
      run.do((draft) => cancelRun(draft, { reason: "", graceMs: 1_000 }));
      expect(run.do((draft) => stepStarted(draft, holder))).toEqual({
        kind: "stop",
        reason: "RUN_CANCELLED",
        fence: run.fence,
      });
      expect(run.do((draft) => stepStarted(draft, zombie))).toMatchObject({
        kind: "stop",
        reason: "LEASE_LOST",
      });
    });

    test("RUN_PAUSED where the run was paused under the worker, RUN_TERMINAL where it ended", () => {
      const stale = started(run, "a");
      run.do((draft) =>
        stepFailed(
          draft,
          failed(run, "b", { retryPolicy: { ...TWICE, maxAttempts: 2, onExhausted: "pause" } }),
        ),
      );
      run.now += 10_000;
      run.do((draft) =>
        stepFailed(
          draft,
          failed(run, "b", { attempt: 2, retryPolicy: { ...TWICE, onExhausted: "pause" } }),
        ),
      );
      expect(run.do((draft) => stepStarted(draft, stale))).toMatchObject({
        kind: "stop",
        reason: "RUN_PAUSED",
      });
      run.do((draft) => cancelRun(draft, { reason: "", graceMs: 0 }));
      expect(run.do((draft) => stepStarted(draft, stale))).toMatchObject({
        kind: "stop",
        reason: "RUN_CANCELLED",
      });

      run = new TestRun();
      run.claim();
      const late = started(run, "a");
      run.do((draft) => completeRun(draft, { ...late, output: json(1), unconsumed: [] }));
      expect(run.do((draft) => stepStarted(draft, late))).toMatchObject({
        kind: "stop",
        reason: "RUN_TERMINAL",
      });
    });
  });
});

describe("a completion", () => {
  test("needs no start, and is answered alike when it comes again", () => {
    const command = completed(run, "a");
    expect(run.do((draft) => stepCompleted(draft, command))).toEqual({
      seq: 2,
      duplicateOf: undefined,
    });
    expect(run.do((draft) => stepCompleted(draft, command))).toEqual({ seq: 2, duplicateOf: 2 });
    expect(run.types).toEqual(["workflow.step.completed"]);
  });

  test("comes again after the run has ended under the same lease", () => {
    const command = completed(run, "a");
    run.do((draft) => stepCompleted(draft, command));
    run.do((draft) => completeRun(draft, { ...command, output: json(1), unconsumed: [] }));
    expect(run.do((draft) => stepCompleted(draft, command))).toMatchObject({ duplicateOf: 2 });
    expect(() => run.do((draft) => stepCompleted(draft, completed(run, "b")))).toThrow(
      expect.objectContaining({ reason: "RUN_TERMINAL" }),
    );
  });

  test.each([
    [
      "for a step that failed",
      (): unknown => run.do((draft) => stepFailed(draft, failed(run, "a"))),
      1,
      "COMMIT_CONFLICT",
    ],
    [
      "for an attempt that failed",
      (): unknown => run.do((draft) => stepFailed(draft, failed(run, "a", { retryPolicy: TWICE }))),
      1,
      "COMMIT_CONFLICT",
    ],
    [
      "of another attempt than the recorded one",
      (): unknown => run.do((draft) => stepCompleted(draft, completed(run, "a"))),
      2,
      "COMMIT_CONFLICT",
    ],
    ["of an attempt that is not due", (): unknown => undefined, 2, "INVALID_ARGUMENT"],
    ["of attempt 0", (): unknown => undefined, 0, "INVALID_ARGUMENT"],
    [
      "of an earlier attempt than the running one",
      (): unknown => {
        run.do((draft) => stepFailed(draft, failed(run, "a", { retryPolicy: TWICE })));
        run.now += 5_000;
        return run.do((draft) => stepStarted(draft, started(run, "a")));
      },
      1,
      "INVALID_ARGUMENT",
    ],
  ] as const)("%s is refused", (_, before, attempt, reason) => {
    before();
    const entries = run.journal.length;
    expect(() => run.do((draft) => stepCompleted(draft, completed(run, "a", { attempt })))).toThrow(
      expect.objectContaining({ reason }),
    );
    expect(run.journal.length).toBe(entries);
  });

  test("with another input than the recorded one is STEP_INPUT_MISMATCH", () => {
    run.do((draft) => stepStarted(draft, started(run, "a", { inputDigest: "x" })));
    const other = completed(run, "a", { inputDigest: "y" });
    expect(() => run.do((draft) => stepCompleted(draft, other))).toThrow(
      expect.objectContaining({ reason: "STEP_INPUT_MISMATCH" }),
    );
  });

  test.each(["sleep", "signal", "child"] as const)(
    "of a %s is refused: waits end by themselves",
    (kind) => {
      const wait = { durationMs: 9_000, signalName: "go", childRunId: "child-1" };
      const before = { kind, wait: kind === "sleep" ? { durationMs: 9_000 } : wait };
      run.do((draft) => stepStarted(draft, started(run, "w", before)));
      for (const attempt of [1, 2]) {
        const refused = { reason: "INVALID_ARGUMENT" };
        expect(() =>
          run.do((draft) => stepCompleted(draft, completed(run, "w", { kind, attempt }))),
        ).toThrow(expect.objectContaining(refused));
        expect(() =>
          run.do((draft) => stepFailed(draft, failed(run, "w", { kind, attempt }))),
        ).toThrow(expect.objectContaining(refused));
      }
    },
  );

  test.each([
    ["LEASE_LOST", () => lose()],
    [
      "LEASE_LOST",
      () => {
        lose();
        run.claim("replica/worker-2", "w2");
      },
    ],
    ["LEASE_LOST", () => run.do((draft) => cancelRun(draft, { reason: "", graceMs: 1_000 }))],
    ["LEASE_LOST", () => run.do((draft) => suspendRun(draft, suspend(run)))],
  ] as const)("under a stale fence is %s, and nothing is written", (reason, before) => {
    const command = completed(run, "a");
    before();
    const entries = run.journal.length;
    expect(() => run.do((draft) => stepCompleted(draft, command))).toThrow(
      expect.objectContaining({ reason }),
    );
    expect(() =>
      run.do((draft) => stepFailed(draft, failed(run, "a", { fence: command.fence }))),
    ).toThrow(expect.objectContaining({ reason }));
    expect(run.journal.length).toBe(entries);
  });

  test("takes the attempt's timeout away, and ends a series of crashes", () => {
    lose();
    run.claim();
    expect(run.header.crashes).toBe(1);
    run.do((draft) => stepStarted(draft, started(run, "a", { timeoutMs: 1_000 })));
    expect(run.dueRow("attempt", "a")).toBeDefined();
    // The worker that died may have started it without a word.
    run.do((draft) => stepCompleted(draft, completed(run, "a", { attempt: 2 })));
    expect(run.dueRow("attempt", "a")).toBeUndefined();
    expect(run.header.crashes).toBe(0);
  });
});

describe("a failure", () => {
  test.each([
    [
      "exponential(base 2, max 60)",
      { backoff: "exponential", initialMs: 2_000, coefficient: 2, maxMs: 60_000 },
      [2, 4, 8, 16, 32, 60, 60],
    ],
    [
      "linear(start 2, step 3)",
      { backoff: "linear", initialMs: 2_000, incrementMs: 3_000 },
      [2, 5, 8, 11],
    ],
    ["constant(5)", { backoff: "constant", initialMs: 5_000 }, [5, 5, 5]],
    ["explicit delays", { delaysMs: [1_000, 3_000] }, [1, 3, 3]],
  ] as const)("waits %s", (_, shape, seconds) => {
    const policy: RetryPolicy = { ...NO_RETRY, ...shape, maxAttempts: seconds.length + 1 };
    for (const [index, expected] of seconds.entries()) {
      expect(delayAfter(policy, index + 1)).toBe(expected * 1_000);
      const reply = run.do((draft) =>
        stepFailed(draft, failed(run, "a", { attempt: index + 1, retryPolicy: policy })),
      );
      expect(reply.next).toEqual({
        kind: "retry",
        at: run.now + expected * 1_000,
        attempt: index + 2,
        delayMs: expected * 1_000,
      });
      run.now += expected * 1_000;
    }
    const last = run.do((draft) =>
      stepFailed(draft, failed(run, "a", { attempt: seconds.length + 1, retryPolicy: policy })),
    );
    expect(last.next).toEqual({ kind: "final", action: "throw" });
    expect(run.last.type).toBe("workflow.step.failed");
  });

  test("is retried under the policy of its start, also by another worker after a crash", () => {
    run.do((draft) =>
      stepStarted(draft, started(run, "a", { retryPolicy: { ...TWICE, maxAttempts: 3 } })),
    );
    run.do((draft) => stepFailed(draft, failed(run, "a")));
    lose();
    run.claim();
    run.now += 5_000;
    run.do((draft) => stepStarted(draft, started(run, "a")));
    expect(delayOf(run.do((draft) => stepFailed(draft, failed(run, "a", { attempt: 3 }))))).toBe(
      5_000,
    );
  });

  test("counts failures only: a crashed attempt takes a number, but none of the attempts", () => {
    run.do((draft) => stepStarted(draft, started(run, "a", { retryPolicy: TWICE })));
    lose();
    run.claim();
    run.do((draft) => stepStarted(draft, started(run, "a", { retryPolicy: TWICE })));
    const reply = run.do((draft) =>
      stepFailed(draft, failed(run, "a", { attempt: 2, retryPolicy: TWICE })),
    );
    expect(reply.next).toMatchObject({ kind: "retry", attempt: 3 });
  });

  test("again is answered alike, with what is left of the delay; another one is a conflict", () => {
    const command = failed(run, "a", { retryPolicy: TWICE });
    const first = run.do((draft) => stepFailed(draft, command));
    run.now += 2_000;
    const again = run.do((draft) => stepFailed(draft, command));
    expect(again).toEqual({
      ...first,
      next: { kind: "retry", at: run.now + 3_000, attempt: 2, delayMs: 3_000 },
    });
    const other = { ...command, failure: { type: "Boom", message: "otherwise" } };
    expect(() => run.do((draft) => stepFailed(draft, other))).toThrow(
      expect.objectContaining({ reason: "COMMIT_CONFLICT" }),
    );
    run.now += 3_000;
    const last = failed(run, "a", { attempt: 2, retryPolicy: TWICE });
    const final = run.do((draft) => stepFailed(draft, last));
    expect(run.do((draft) => stepFailed(draft, last))).toEqual(final);
  });

  test("of a completed step is a conflict", () => {
    run.do((draft) => stepCompleted(draft, completed(run, "a")));
    expect(() => run.do((draft) => stepFailed(draft, failed(run, "a")))).toThrow(
      expect.objectContaining({ reason: "COMMIT_CONFLICT" }),
    );
  });

  test.each([
    ["non-retryable by itself", { ...BOOM, nonRetryable: true }, TWICE],
    ["non-retryable by its type", BOOM, { ...TWICE, nonRetryableTypes: ["Boom"] }],
    ["without a policy", BOOM, undefined],
    [
      "non-retryable, where exhaustion would pause",
      { ...BOOM, nonRetryable: true },
      { ...TWICE, onExhausted: "pause" },
    ],
  ] as const)("%s is final", (_, failure, retryPolicy) => {
    const reply = run.do((draft) => stepFailed(draft, failed(run, "a", { failure, retryPolicy })));
    expect(reply.next).toEqual({ kind: "final", action: "throw" });
  });

  test("names its own delay; jitter takes from the policy's; no attempt starts after max_elapsed", () => {
    const own = { ...BOOM, retryAfterMs: 1_234 };
    expect(
      delayOf(
        run.do((draft) =>
          stepFailed(draft, failed(run, "own", { failure: own, retryPolicy: TWICE })),
        ),
      ),
    ).toBe(1_234);
    run.random = 0.5;
    const jitter = { ...TWICE, jitter: 0.4 };
    expect(
      delayOf(run.do((draft) => stepFailed(draft, failed(run, "jitter", { retryPolicy: jitter })))),
    ).toBe(4_000);
    const elapsed = { ...TWICE, maxElapsedMs: 4_900 };
    expect(
      run.do((draft) => stepFailed(draft, failed(run, "late", { retryPolicy: elapsed }))).next.kind,
    ).toBe("final");
  });

  test("that uses up the attempts pauses the run where the policy says so; RetryRun gives new ones", () => {
    const policy: RetryPolicy = { ...TWICE, onExhausted: "pause", maxElapsedMs: 60_000 };
    run.do((draft) => stepFailed(draft, failed(run, "a", { retryPolicy: policy })));
    run.now += 5_000;
    const reply = run.do((draft) =>
      stepFailed(draft, failed(run, "a", { attempt: 2, retryPolicy: policy })),
    );
    expect(reply).toMatchObject({ next: { kind: "final", action: "pause" }, directive: "yield" });
    expect(run.header).toMatchObject({ status: "PAUSED", reason: "RETRIES_EXHAUSTED" });
    run.now += 3_600_000;
    run.do(retryRun);
    run.claim();
    expect(
      run.do((draft) => stepStarted(draft, started(run, "a", { retryPolicy: policy }))),
    ).toMatchObject({ kind: "execute", attempt: 3 });
    const next = run.do((draft) =>
      stepFailed(draft, failed(run, "a", { attempt: 3, retryPolicy: policy })),
    );
    expect(next.next).toMatchObject({ kind: "retry", attempt: 4, delayMs: 5_000 });
  });

  test("caught by the code stays the step's result; the run continues", () => {
    run.do((draft) => stepFailed(draft, failed(run, "a")));
    run.do((draft) => stepCompleted(draft, completed(run, "b")));
    lose();
    run.claim();
    expect(run.do((draft) => stepStarted(draft, started(run, "a")))).toEqual({
      kind: "replay",
      seq: 2,
    });
  });

  test("that ended the run is superseded by RetryRun, and no other step is", () => {
    run.do((draft) => stepFailed(draft, failed(run, "caught")));
    run.do((draft) => stepCompleted(draft, completed(run, "ok")));
    run.do((draft) => stepFailed(draft, failed(run, "fatal")));
    run.do((draft) =>
      failRunByWorker(draft, {
        runId: "run-1",
        fence: run.fence,
        failure: BOOM,
        failedStepKeys: ["fatal", "ok", "unknown"],
      }),
    );
    run.do(retryRun);
    expect(run.last.meta.superseded).toEqual(["fatal"]);
    run.claim();
    const answers = ["caught", "ok", "fatal"].map(
      (key) => run.do((draft) => stepStarted(draft, started(run, key))).kind,
    );
    expect(answers).toEqual(["replay", "replay", "execute"]);
  });
});

describe("a timeout", () => {
  test("of an attempt whose worker said nothing counts as its failure", () => {
    run.do((draft) =>
      stepStarted(draft, started(run, "a", { timeoutMs: 1_000, retryPolicy: TWICE })),
    );
    run.now += 3_000;
    run.do((draft) => attemptTimedOut(draft, "a", 1));
    const meta = { failure: { type: "StepTimeout" } };
    expect(run.last).toMatchObject({ type: "workflow.step.retrying", attempt: 1, meta });
    const late = { ...completed(run, "a"), latencyMs: 1_001 };
    expect(() => run.do((draft) => stepCompleted(draft, late))).toThrow(
      expect.objectContaining({ reason: "COMMIT_CONFLICT" }),
    );
    // Reported late, since the server was away, and done in time.
    run.do((draft) => stepCompleted(draft, { ...late, latencyMs: 1_000 }));
    expect(run.last).toMatchObject({ type: "workflow.step.completed", attempt: 1 });
  });

  test("says nothing about an attempt that ended, or whose worker is gone", () => {
    run.do((draft) => stepStarted(draft, started(run, "a", { timeoutMs: 1_000 })));
    run.do((draft) => stepStarted(draft, started(run, "b", { timeoutMs: 1_000 })));
    run.do((draft) => stepCompleted(draft, completed(run, "a")));
    run.do((draft) => attemptTimedOut(draft, "a", 1));
    lose();
    const entries = run.journal.length;
    run.now += 3_000;
    run.do((draft) => attemptTimedOut(draft, "b", 1));
    run.claim();
    run.do((draft) => attemptTimedOut(draft, "b", 1));
    expect(run.journal.length).toBe(entries);
    expect(run.do((draft) => stepStarted(draft, started(run, "b")))).toMatchObject({
      kind: "execute",
      attempt: 2,
    });
  });
});

describe("a start that rode ahead", () => {
  test("is written once the step has run for a while, and only if it still runs under that lease", () => {
    const command = started(run, "a");
    run.do((draft) => recordLiveStart(draft, command));
    run.do((draft) => recordLiveStart(draft, command));
    expect(run.types).toEqual(["workflow.step.started"]);
    run.do((draft) => stepCompleted(draft, completed(run, "a")));
    run.do((draft) => recordLiveStart(draft, command));
    const late = started(run, "b");
    lose();
    run.do((draft) => recordLiveStart(draft, late));
    run.claim();
    run.do((draft) => recordLiveStart(draft, late));
    expect(run.types).toEqual([
      "workflow.step.started",
      "workflow.step.completed",
      "run.recovered",
    ]);
  });

  test("of a retry is written under the next attempt", () => {
    run.do((draft) => stepFailed(draft, failed(run, "a", { retryPolicy: TWICE })));
    run.now += 5_000;
    run.do((draft) => recordLiveStart(draft, started(run, "a")));
    expect(run.last).toMatchObject({ type: "workflow.step.started", attempt: 2 });
    run.do((draft) => stepCompleted(draft, completed(run, "a", { attempt: 2 })));
  });
});

describe("a step that is in flight when its run is cancelled", () => {
  test("is not recorded under the new fence, but for its having been stopped", () => {
    run = new TestRun();
    run.claim();
    run.do((draft) => stepStarted(draft, started(run, "work", { timeoutMs: 1_000 })));
    run.do((draft) => cancelRun(draft, { reason: "", graceMs: 10_000 }));
    expect(() => run.do((draft) => stepCompleted(draft, completed(run, "work")))).toThrow(
      expect.objectContaining({ reason: "INVALID_ARGUMENT" }),
    );
    expect(() => run.do((draft) => stepFailed(draft, failed(run, "work")))).toThrow(
      expect.objectContaining({ reason: "INVALID_ARGUMENT" }),
    );
    const stopped = failed(run, "work", { cancelled: true });
    expect(run.do((draft) => stepFailed(draft, stopped)).next).toMatchObject({ kind: "final" });
    expect(run.types.slice(-2)).toEqual(["run.cancelling", "workflow.step.cancelled"]);
    expect(run.due.size).toBe(0);
    // The clean-up may execute it anew.
    const again = run.do((draft) => stepStarted(draft, started(run, "work")));
    expect(again).toMatchObject({ kind: "execute", attempt: 2 });
  });

  test("and must happen once at most is for a person to decide, not executed again", () => {
    run = new TestRun();
    run.claim();
    const pay = () => started(run, "pay", { atMostOnce: true });
    run.do((draft) => stepStarted(draft, pay()));
    run.do((draft) => stepFailed(draft, failed(run, "pay", { cancelled: true })));
    expect(run.do((draft) => stepStarted(draft, pay())).kind).toBe("unknown_outcome");
    expect(run.header).toMatchObject({ status: "PAUSED", reason: "UNKNOWN_OUTCOME" });
  });

  test.each(["compensate:refund", "a/cleanup:unlock/free"])(
    "is recorded if it cleans up: %s",
    (key) => {
      run = new TestRun();
      run.claim();
      run.do((draft) => stepStarted(draft, started(run, key)));
      run.do((draft) => cancelRun(draft, { reason: "", graceMs: 10_000 }));
      run.do((draft) => stepCompleted(draft, completed(run, key)));
      expect(run.last).toMatchObject({ type: "workflow.step.completed", key, attempt: 1 });
    },
  );

  test("has no say where it had ended before", () => {
    run = new TestRun();
    run.claim();
    run.do((draft) => stepCompleted(draft, completed(run, "work")));
    const { length } = run.journal;
    run.do((draft) => stepFailed(draft, failed(run, "work", { cancelled: true })));
    expect(run.journal.length).toBe(length);
  });
});
