/**
 * Goal: every command on a run leads from each status to the right one, or is refused by name.
 * Method: a table over statuses and commands, compared with the model's transitions by `TestRun`;
 * then the cases where the path to the status matters.
 */
import { beforeEach, describe, expect, test } from "vitest";
import {
  complete,
  completed,
  dueFired,
  fail,
  failed,
  json,
  startCommand,
  started,
  suspend,
  TestRun,
} from "../../../../test/semantics/run-fixture.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { NO_RETRY } from "../../model/retry.ts";
import type { RunStatus } from "../../model/run.ts";
import { startGrace } from "./clean-up.ts";
import { rebindLease, releaseLease } from "./lease-rules.ts";
import {
  cancelRun,
  deleteRun,
  pauseRun,
  resumeRun,
  retryRun,
  updateTags,
} from "./lifecycle-rules.ts";
import { completeRun, failRunByWorker, suspendRun } from "./outcome-rules.ts";
import { noteChild, startAgain } from "./start-rules.ts";
import { stepCompleted, stepFailed } from "./step-results.ts";
import { stepStarted } from "./step-rules.ts";
import { sendSignal } from "./wait-rules.ts";

const CONNECTION = "replica/worker-1";
const SLEEP = { kind: "sleep", wait: { durationMs: 60_000 } } as const;

let run: TestRun;

beforeEach(() => {
  run = new TestRun();
});

/** A run with each status, which it got as runs do. */
const MAKE: Record<RunStatus, () => TestRun> = {
  QUEUED: () => new TestRun(),
  RUNNING() {
    const made = new TestRun();
    made.claim();
    return made;
  },
  WAITING() {
    const made = MAKE.RUNNING();
    made.do((draft) => stepStarted(draft, started(made, "sleep:s", SLEEP)));
    made.do((draft) => suspendRun(draft, suspend(made)));
    return made;
  },
  PAUSED() {
    const made = new TestRun();
    made.do((draft) => pauseRun(draft, "why"));
    return made;
  },
  CANCELLING() {
    const made = MAKE.RUNNING();
    made.do((draft) => cancelRun(draft, { reason: "enough", graceMs: 10_000 }));
    made.do(startGrace);
    return made;
  },
  COMPLETED() {
    const made = MAKE.RUNNING();
    made.do((draft) => completeRun(draft, complete(made)));
    return made;
  },
  FAILED() {
    const made = MAKE.RUNNING();
    made.do((draft) => failRunByWorker(draft, fail(made)));
    return made;
  },
  CANCELLED() {
    const made = new TestRun();
    made.do((draft) => cancelRun(draft, { reason: "", graceMs: 0 }));
    return made;
  },
};

const COMMANDS = {
  cancel: (it: TestRun) => it.do((draft) => cancelRun(draft, { reason: "", graceMs: 10_000 })),
  pause: (it: TestRun) => it.do((draft) => pauseRun(draft, "")),
  resume: (it: TestRun) => it.do(resumeRun),
  retry: (it: TestRun) => it.do(retryRun),
  remove: (it: TestRun) => it.do(deleteRun),
  complete: (it: TestRun) => it.do((draft) => completeRun(draft, complete(it))),
  fail: (it: TestRun) => it.do((draft) => failRunByWorker(draft, fail(it))),
  suspend: (it: TestRun) => it.do((draft) => suspendRun(draft, suspend(it))),
  "lose the lease": (it: TestRun) =>
    it.do((draft) => releaseLease(draft, it.fence, CONNECTION, "expired")),
  "run timeout": (it: TestRun) =>
    it.do((draft) => dueFired(draft, { kind: "run", key: "", at: it.now, data: "" }, undefined)),
  "queue timeout": (it: TestRun) =>
    it.do((draft) => dueFired(draft, { kind: "queue", key: "", at: it.now, data: "" }, undefined)),
  "grace over": (it: TestRun) => {
    it.now += 10_000;
    it.do((draft) => dueFired(draft, { kind: "grace", key: "", at: it.now, data: "" }, undefined));
  },
};

const ILL = "ILLEGAL_TRANSITION";
const LOST = "LEASE_LOST";
const END = "RUN_TERMINAL";

/** The status afterwards, or the refusal. Outcomes name the run's current fence. */
const TABLE: Record<keyof typeof COMMANDS, Record<RunStatus, string>> = {
  cancel: row("CANCELLED CANCELLING CANCELLING CANCELLED CANCELLING ILL ILL CANCELLED"),
  pause: row("PAUSED RUNNING PAUSED PAUSED ILL ILL ILL ILL"),
  resume: row("QUEUED RUNNING WAITING QUEUED ILL ILL ILL ILL"),
  retry: row("ILL ILL ILL ILL ILL ILL QUEUED ILL"),
  remove: row("ILL ILL ILL ILL ILL gone gone gone"),
  complete: row("LOST COMPLETED LOST PAUSED CANCELLED COMPLETED END END"),
  fail: row("LOST FAILED LOST PAUSED CANCELLED END FAILED END"),
  suspend: row("LOST QUEUED LOST PAUSED CANCELLING END END END"),
  "lose the lease": row("QUEUED QUEUED WAITING PAUSED CANCELLING COMPLETED FAILED CANCELLED"),
  "run timeout": row("FAILED CANCELLING CANCELLING FAILED CANCELLING COMPLETED FAILED CANCELLED"),
  "queue timeout": row("FAILED RUNNING WAITING PAUSED CANCELLING COMPLETED FAILED CANCELLED"),
  "grace over": row("QUEUED RUNNING WAITING PAUSED CANCELLED COMPLETED FAILED CANCELLED"),
};

function row(cells: string): Record<RunStatus, string> {
  const names: Record<string, string> = { ILL, LOST, END };
  const [QUEUED, RUNNING, WAITING, PAUSED, CANCELLING, COMPLETED, FAILED, CANCELLED] = cells
    .split(" ")
    .map((cell) => names[cell] ?? cell);
  const all = { QUEUED, RUNNING, WAITING, PAUSED, CANCELLING, COMPLETED, FAILED, CANCELLED };
  return all as Record<RunStatus, string>;
}

const CASES = Object.entries(TABLE).flatMap(([command, cells]) =>
  Object.entries(cells).map(([state, expected]) => ({ command, state, expected })),
);

test.each(CASES)("$command on $state: $expected", ({ command, state, expected }) => {
  const it = MAKE[state as RunStatus]();
  const act = COMMANDS[command as keyof typeof COMMANDS];
  const entries = it.journal.length;
  if (state === "PAUSED" && ["complete", "fail", "suspend"].includes(command))
    expected = "RUN_PAUSED";
  if (/^[A-Z]+_/.test(expected)) {
    expect(() => act(it)).toThrow(expect.objectContaining({ reason: expected }));
    expect(it.journal.length).toBe(entries);
    expect(it.header.status).toBe(state);
    return;
  }
  act(it);
  expect(it.deleted ? "gone" : it.header.status).toBe(expected);
  // Whatever ends a lease makes its fence useless.
  if (it.header.status === state && it.journal.length === entries) return;
});

describe("idempotence: the same command again gives the same answer and writes nothing", () => {
  const again = (command: () => unknown): void => {
    const first = command();
    const entries = run.journal.length;
    const header = structuredClone(run.header);
    expect(command()).toEqual(first);
    expect(run.journal.length).toBe(entries);
    expect(run.header).toEqual(header);
  };

  test("cancel, pause, resume, retry", () => {
    again(() => COMMANDS.pause(run));
    again(() => COMMANDS.resume(run));
    run.claim();
    again(() => COMMANDS.pause(run));
    again(() => COMMANDS.resume(run));
    COMMANDS.fail(run);
    again(() => COMMANDS.retry(run));
    run.claim();
    again(() => COMMANDS.retry(run));
    again(() => COMMANDS.cancel(run));
  });

  test("retry of a run that was not retried, or has failed again since, is not taken for a repetition", () => {
    expect(() => COMMANDS.retry(run)).toThrow();
    run.claim();
    COMMANDS.fail(run);
    COMMANDS.retry(run);
    run.claim();
    COMMANDS.complete(run);
    expect(() => COMMANDS.retry(run)).toThrow();
  });

  test.each(["complete", "fail"] as const)("%s, also while the run is being cancelled", (name) => {
    const fenced = (): unknown => {
      const fence = run.fence;
      return run.do((draft) =>
        name === "complete"
          ? completeRun(draft, { ...complete(run), fence })
          : failRunByWorker(draft, { ...fail(run), fence }),
      );
    };
    run.claim();
    run.do((draft) => cancelRun(draft, { reason: "", graceMs: 1_000 }));
    const first = fenced();
    expect(run.header.status).toBe("CANCELLED");
    expect(fenced()).toMatchObject({ directive: "yield" });
    expect(first).toMatchObject({ directive: "yield" });
  });

  test("suspend, before and after the run was woken", () => {
    run.claim();
    const command = suspend(run, {
      waits: [{ key: "signal:go", name: "go", kind: "signal", wait: { signalName: "go" } }],
    });
    again(() => run.do((draft) => suspendRun(draft, command)));
    const signal = { runId: "run-1", name: "go", signalId: "s1", payload: json(1), actor: "" };
    run.do((draft) => sendSignal(draft, signal));
    expect(run.header.status).toBe("QUEUED");
    again(() => run.do((draft) => suspendRun(draft, command)));
  });

  test("a start with the same content, whatever has become of the run; a claim by the same call", () => {
    for (const state of Object.keys(MAKE)) {
      const it = MAKE[state as RunStatus]();
      expect(it.do((draft) => startAgain(draft, startCommand()))).toEqual({
        existing: true,
        claimed: false,
      });
    }
    const command = startCommand({ claim: true, workerId: "me" });
    const first = run.do((draft) => startAgain(draft, command));
    expect(first.claimed).toBe(true);
    // The commit was made and its answer lost: the same call finds its own lease.
    expect(run.do((draft) => startAgain(draft, command)).claimed).toBe(true);
    const another = { ...command, claim: { connectionId: "claim/2", workerId: "me", until: 1 } };
    expect(() => run.do((draft) => startAgain(draft, another))).toThrow(
      expect.objectContaining({ reason: "RUN_LEASED" }),
    );
  });

  test.each([
    [startCommand({ workflow: "other" }), "RUN_EXISTS"],
    [startCommand({ version: "2" }), "RUN_EXISTS"],
    [startCommand({}, "other-digest"), "RUN_EXISTS"],
    [startCommand({ parent: { runId: "p", key: "k", fence: 1 } }), "RUN_EXISTS"],
    [startCommand({ idempotencyKey: "k" }, "other-digest"), "IDEMPOTENCY_CONFLICT"],
  ])("a start with other content is refused (%#)", (command, reason) => {
    expect(() => run.do((draft) => startAgain(draft, command))).toThrow(
      expect.objectContaining({ reason }),
    );
  });
});

describe("fences", () => {
  test("rise at every lease, loss, pause, cancel, retry and suspension, and never repeat", () => {
    const seen: number[] = [];
    const lease = (): void => {
      seen.push(run.claim());
    };
    lease();
    run.do((draft) => releaseLease(draft, run.fence, CONNECTION, "refused"));
    lease();
    run.do((draft) =>
      stepStarted(draft, started(run, "sleep:s", { kind: "sleep", wait: { durationMs: 10 } })),
    );
    run.do((draft) => suspendRun(draft, suspend(run)));
    run.now += 10;
    const row = run.dueRow("wait", "sleep:s");
    run.do((draft) =>
      dueFired(draft, row ?? { kind: "wait", key: "", at: 0, data: "" }, undefined),
    );
    lease();
    COMMANDS.pause(run);
    COMMANDS["lose the lease"](run);
    expect(run.header.status).toBe("PAUSED");
    COMMANDS.resume(run);
    lease();
    COMMANDS.fail(run);
    COMMANDS.retry(run);
    lease();
    COMMANDS.cancel(run);
    seen.push(run.fence);
    expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
  });

  test("a child that is made after its parent has ended is cancelled all the same", () => {
    const parent = { runId: "p", key: "spawn:c", fence: 1, close: "cancel" } as const;
    const made = new TestRun({ parent });
    const row = made.dueRow("parent");
    if (row === undefined) throw new Error("Nobody looks after the parent.");
    made.do((draft) => dueFired(draft, row, undefined, undefined));
    expect(made.header.status).toBe("QUEUED");
    made.do((draft) => dueFired(draft, { ...row, key: "again" }, undefined, true));
    expect(made.header.status).toBe("CANCELLED");
  });

  test("a parent tells the children that it made known, each once", () => {
    const made = MAKE.RUNNING();
    made.do((draft) => noteChild(draft, made.fence, "spawn:a", "a"));
    made.do((draft) => noteChild(draft, made.fence, "spawn:a", "a"));
    expect(() => made.do((draft) => noteChild(draft, made.fence - 1, "spawn:b", "b"))).toThrow(
      /no longer valid/,
    );
    COMMANDS.complete(made);
    expect(made.elsewhere).toMatchObject([{ runId: "a", row: { kind: "parent" } }]);
  });

  test("a lease is released only under its own fence and connection", () => {
    run.claim();
    expect(run.do((draft) => releaseLease(draft, run.fence - 1, CONNECTION, "expired"))).toBe(
      false,
    );
    expect(run.do((draft) => releaseLease(draft, run.fence, "replica/other", "expired"))).toBe(
      false,
    );
    expect(run.header.status).toBe("RUNNING");
  });

  test("a worker that comes back keeps its fence, another worker does not get the run", () => {
    run.claim();
    const { fence } = run;
    const lease = { connectionId: "replica-2/worker-1", workerId: "w1", until: 99 };
    expect(run.do((draft) => rebindLease(draft, fence, { ...lease, workerId: "w2" }))).toBe(false);
    expect(run.do((draft) => rebindLease(draft, fence - 1, lease))).toBe(false);
    expect(run.do((draft) => rebindLease(draft, fence, lease))).toBe(true);
    expect(run.header).toMatchObject({ fence, lease });
  });
});

describe("crashes", () => {
  test("in a row without progress pause the run; a refused or undelivered dispatch is none", () => {
    for (let i = 0; i < BOUNDS.crashLoopAttempts; i += 1) {
      run.claim();
      run.do((draft) => releaseLease(draft, run.fence, CONNECTION, "refused"));
      run.claim();
      run.do((draft) => releaseLease(draft, run.fence, CONNECTION, "unacknowledged"));
    }
    expect(run.header).toMatchObject({ status: "QUEUED", crashes: 0 });
    for (let i = 0; i < BOUNDS.crashLoopAttempts; i += 1) {
      expect(run.header.status).toBe("QUEUED");
      run.claim();
      COMMANDS["lose the lease"](run);
    }
    expect(run.header).toMatchObject({ status: "PAUSED", reason: "CRASH_LOOP" });
    COMMANDS.resume(run);
    expect(run.header).toMatchObject({ status: "QUEUED", crashes: 0 });
  });

  test("before the last one that got a step, a failure or a wait recorded do not count", () => {
    const progress = [
      () => run.do((draft) => stepCompleted(draft, completed(run, "a"))),
      () => run.do((draft) => stepFailed(draft, failed(run, "b"))),
      () => {
        run.do((draft) => stepStarted(draft, started(run, "sleep:s", SLEEP)));
        run.do((draft) => suspendRun(draft, suspend(run, { tree: { key: "sleep:s" } })));
      },
    ];
    for (const act of progress) {
      run.claim();
      COMMANDS["lose the lease"](run);
      run.claim();
      act();
      expect(run.header.crashes).toBe(0);
      if (run.header.lease !== null) COMMANDS["lose the lease"](run);
    }
  });

  /** A worker takes the run, starts the step and dies in it. */
  function die(key: string, maxCrashes?: number): number {
    run.claim(CONNECTION, `w${run.fence}`);
    const retryPolicy = maxCrashes === undefined ? undefined : { ...NO_RETRY, maxCrashes };
    const start = run.do((draft) => stepStarted(draft, started(run, key, { retryPolicy })));
    COMMANDS["lose the lease"](run);
    return start.kind === "execute" ? start.attempt : 0;
  }

  test.each([undefined, 2, 5])(
    "in one step pause the run, which names it: max_crashes %s",
    (max) => {
      const attempts: number[] = [];
      while (run.header.status === "QUEUED") attempts.push(die("a", max));
      expect(attempts).toEqual(Array.from({ length: max ?? 3 }, (_, i) => i + 1));
      expect(run.header).toMatchObject({ status: "PAUSED", reason: "CRASH_LOOP" });
      expect(run.last.meta).toMatchObject({
        failedKeys: ["a"],
        details: { step_key: "a", crashes: String(max ?? 3) },
      });
      expect(JSON.parse(run.last.meta.details?.workers ?? "")).toHaveLength(max ?? 3);
      // A retry starts to count anew; a resumption gives it one more try.
      COMMANDS.retry(run);
      expect(die("a", max)).toBe((max ?? 3) + 1);
      expect(run.header.status).toBe("QUEUED");
    },
  );

  test("spare a step that ends in between, and count one that comes back once for a fence", () => {
    die("a");
    die("a");
    run.claim();
    const start = run.do((draft) => stepStarted(draft, started(run, "a")));
    const { fence } = run;
    for (let i = 0; i < 3; i += 1) {
      COMMANDS["lose the lease"](run);
      if (run.header.status === "PAUSED") break;
      const lease = { connectionId: CONNECTION, workerId: "w1", until: run.now };
      run.do((draft) => rebindLease(draft, fence, lease));
    }
    expect(start).toMatchObject({ attempt: 3 });
    expect(run.header).toMatchObject({ status: "PAUSED", reason: "CRASH_LOOP" });
    expect(run.last.meta.details).toMatchObject({ crashes: "3" });
  });

  test("in a row make a run a suspect, which waits in a lane of its own until it ends a step", () => {
    die("a");
    expect(run.ready?.lane).toBe("flow");
    die("a");
    expect(run.ready?.lane).toBe("\nflow");
    run.claim();
    run.do((draft) => stepStarted(draft, started(run, "a")));
    run.do((draft) => stepCompleted(draft, completed(run, "a", { attempt: 3 })));
    COMMANDS["lose the lease"](run);
    expect(run.ready?.lane).toBe("flow");
  });

  test("use up a number of each attempt that may have started unseen, once", () => {
    const attempts: number[] = [];
    for (const reason of ["disconnected", "restarted", "expired"] as const) {
      run.claim();
      run.do((draft) => releaseLease(draft, run.fence, CONNECTION, reason));
    }
    for (let i = 0; i < 2; i += 1) attempts.push(die("b"));
    expect(attempts).toEqual([2, 3]);
  });

  test("put the run back by its age, before what came later", () => {
    run.claim();
    run.now += 5_000;
    COMMANDS["lose the lease"](run);
    expect(run.ready?.readyAt).toBe(run.header.createdAt);
  });
});

describe("pause", () => {
  test("of a held run: no new step, those in flight are recorded, then it is paused", () => {
    run.claim();
    run.do((draft) => stepStarted(draft, started(run, "a")));
    COMMANDS.pause(run);
    expect(run.header).toMatchObject({ status: "RUNNING", intent: "pause" });
    expect(run.do((draft) => stepStarted(draft, started(run, "b")))).toMatchObject({
      reason: "RUN_PAUSED",
    });
    run.do((draft) => stepCompleted(draft, completed(run, "a")));
    run.do((draft) => suspendRun(draft, suspend(run)));
    expect(run.header).toMatchObject({
      status: "PAUSED",
      reason: "PAUSED_BY_OPERATOR",
      intent: "none",
    });
    COMMANDS.resume(run);
    run.claim();
    expect(run.do((draft) => stepStarted(draft, started(run, "b")))).toMatchObject({
      kind: "execute",
    });
  });

  test("and resume do not leave a run waiting for one branch while another could continue", () => {
    run.claim();
    run.do((draft) => stepStarted(draft, started(run, "sleep:s", SLEEP)));
    COMMANDS.pause(run);
    // Its worker stopped before the next step of another branch; it names no tree.
    run.do((draft) => suspendRun(draft, suspend(run)));
    expect(run.header.status).toBe("PAUSED");
    COMMANDS.resume(run);
    expect(run.header.status).toBe("QUEUED");

    run.claim();
    COMMANDS.pause(run);
    COMMANDS.resume(run);
    // The worker was told to pause and stops; that the pause was taken back comes too late for it.
    run.do((draft) => suspendRun(draft, suspend(run)));
    expect(run.header.status).toBe("QUEUED");
    run.claim();
    run.do((draft) => suspendRun(draft, suspend(run)));
    expect(run.header.status).toBe("WAITING");
  });

  test("a suspension with a tree after a pause was taken back waits for that tree", () => {
    run.claim();
    run.do((draft) => stepStarted(draft, started(run, "sleep:s", SLEEP)));
    COMMANDS.pause(run);
    COMMANDS.resume(run);
    run.do((draft) => suspendRun(draft, suspend(run, { tree: { key: "sleep:s" } })));
    expect(run.header.status).toBe("WAITING");
  });

  test("a waiting run waits again after the resume, unless its wait has been resolved", () => {
    run = MAKE.WAITING();
    COMMANDS.pause(run);
    COMMANDS.resume(run);
    expect(run.header.status).toBe("WAITING");
    COMMANDS.pause(run);
    run.now += 60_000;
    const timer = run.dueRow("wait", "sleep:s");
    expect(timer).toBeDefined();
    if (timer !== undefined) run.do((draft) => dueFired(draft, timer, undefined));
    expect(run.header.status).toBe("PAUSED");
    COMMANDS.resume(run);
    expect(run.header.status).toBe("QUEUED");
  });

  test("of a delayed or queue-limited run keeps both limits after the resume", () => {
    run = new TestRun({ delayMs: 5_000, queueTimeoutMs: 1_000 });
    COMMANDS.pause(run);
    COMMANDS.resume(run);
    expect(run.dueRow("start")?.at).toBe(run.now + 5_000);
    COMMANDS.pause(run);
    run.now += 6_000;
    for (const row of [...run.due.values()]) run.do((draft) => dueFired(draft, row, undefined));
    expect(run.header.status).toBe("PAUSED");
    COMMANDS.resume(run);
    expect(run.ready).toBeDefined();
    expect(run.dueRow("queue")?.at).toBe(run.now + 1_000);
  });
});

describe("retry", () => {
  test("keeps the timers and waits that were open when the run failed", () => {
    run.claim();
    run.do((draft) => stepStarted(draft, started(run, "sleep:s", SLEEP)));
    run.do((draft) =>
      stepStarted(draft, started(run, "child:c", { kind: "child", wait: { childRunId: "c1" } })),
    );
    run.do((draft) =>
      dueFired(draft, { kind: "child", key: "child:c", at: 0, data: "c1" }, undefined),
    );
    COMMANDS.fail(run);
    expect(run.due.size).toBe(0);
    // Both come due while the run is not there to see it.
    run.now += 120_000;
    COMMANDS.retry(run);
    run.claim();
    run.do((draft) =>
      suspendRun(
        draft,
        suspend(run, { tree: { needed: 2, members: [{ key: "sleep:s" }, { key: "child:c" }] } }),
      ),
    );
    const outcome = { outcome: "completed", payload: json("c") } as const;
    for (const row of [...run.due.values()]) run.do((draft) => dueFired(draft, row, outcome));
    expect(run.header.status).toBe("QUEUED");
  });

  test("renews the time limit of the run", () => {
    run = new TestRun({ runTimeoutMs: 1_000 });
    run.now += 1_000;
    COMMANDS["run timeout"](run);
    expect(run.header.status).toBe("FAILED");
    COMMANDS.retry(run);
    expect(run.dueRow("run")?.at).toBe(run.now + 1_000);
  });

  test("of a run paused by its operator is refused: resume it", () => {
    run = MAKE.PAUSED();
    expect(() => COMMANDS.retry(run)).toThrow(expect.objectContaining({ reason: ILL }));
  });

  test.each(["NON_DETERMINISM", "RETRIES_EXHAUSTED", "UNKNOWN_OUTCOME"] as const)(
    "of a run paused by %s continues",
    (reason) => {
      run.claim();
      if (reason === "NON_DETERMINISM") {
        const nonDeterminism = {
          stepKey: "a",
          recorded: "x",
          attempted: "y",
          likelyCause: "a deploy",
        };
        run.do((draft) => failRunByWorker(draft, { ...fail(run), nonDeterminism }));
      } else if (reason === "RETRIES_EXHAUSTED") {
        const retryPolicy = { ...NO_RETRY, maxAttempts: 2, onExhausted: "pause" } as const;
        run.do((draft) => stepFailed(draft, failed(run, "a", { retryPolicy })));
        run.do((draft) => stepFailed(draft, failed(run, "a", { attempt: 2, retryPolicy })));
      } else {
        run.do((draft) => stepStarted(draft, started(run, "a", { atMostOnce: true })));
        COMMANDS["lose the lease"](run);
        run.claim();
        run.do((draft) => stepStarted(draft, started(run, "a", { atMostOnce: true })));
      }
      expect(run.header).toMatchObject({ status: "PAUSED", reason });
      COMMANDS.retry(run);
      expect(run.header).toMatchObject({ status: "QUEUED", reason: "" });
    },
  );
});

describe("start", () => {
  test("delayed: in no queue until it is due", () => {
    run = new TestRun({ delayMs: 1_000, queueTimeoutMs: 500 });
    expect(run.ready).toBeUndefined();
    expect(run.dueRow("queue")?.at).toBe(run.now + 1_500);
    run.now += 1_000;
    const row = run.dueRow("start");
    if (row !== undefined) run.do((draft) => dueFired(draft, row, undefined));
    expect(run.ready).toBeDefined();
  });

  test("claimed and delayed: nobody gets it before it is due", () => {
    run = new TestRun({ delayMs: 1_000, claim: true, workerId: "me" });
    expect(run.header).toMatchObject({ status: "QUEUED", lease: null });
    const command = startCommand({ claim: true, workerId: "me" });
    expect(run.do((draft) => startAgain(draft, command)).claimed).toBe(false);
    run.now += 1_000;
    expect(run.do((draft) => startAgain(draft, command)).claimed).toBe(true);
  });

  test("priority and version decide where it queues", () => {
    run = new TestRun({ priority: 9, version: "v2", queue: "gpu" });
    expect(run.ready).toMatchObject({ rank: 0, lane: "flow@v2", queue: "gpu" });
  });

  test("queue timeout counts until the first lease only", () => {
    run = new TestRun({ queueTimeoutMs: 1_000 });
    run.claim();
    COMMANDS["lose the lease"](run);
    run.now += 2_000;
    COMMANDS["queue timeout"](run);
    expect(run.header.status).toBe("QUEUED");
  });
});

test("tags: set, removed, bounded, and written only where they change", () => {
  run.do((draft) => updateTags(draft, { a: "1", b: "2" }, []));
  expect(run.last).toMatchObject({
    type: "run.tags.changed",
    meta: { details: { a: "1", b: "2" } },
  });
  const entries = run.journal.length;
  run.do((draft) => updateTags(draft, { b: "2" }, ["c"]));
  expect(run.journal.length).toBe(entries);
  run.do((draft) => updateTags(draft, {}, ["a"]));
  expect(run.header.tags).toEqual({ b: "2" });
  const many = Object.fromEntries(Array.from({ length: BOUNDS.tags }, (_, i) => [`k${i}`, "v"]));
  expect(() => run.do((draft) => updateTags(draft, many, []))).toThrow(
    expect.objectContaining({ reason: "INVALID_ARGUMENT" }),
  );
});
