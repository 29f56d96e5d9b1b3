/**
 * Goal: a suspended run wakes exactly when its tree is satisfied, and is never forgotten.
 * Method: trees over waits of every kind, resolved one by one; `TestRun` refuses a run that waits
 * for what has arrived, or for what nothing will bring.
 */
import { beforeEach, describe, expect, test } from "vitest";
import {
  BOOM,
  completed,
  dueFired,
  failed,
  json,
  started,
  suspend,
  TestRun,
} from "../../../../test/semantics/run-fixture.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { NO_RETRY } from "../../model/retry.ts";
import type { WaitTree } from "../../model/run.ts";
import type { NewWait } from "../outcomes/outcome-types.ts";
import { pauseRun, resumeRun } from "./lifecycle-rules.ts";
import { completeRun, suspendRun } from "./outcome-rules.ts";
import { stepCompleted, stepFailed } from "./step-results.ts";
import { stepStarted } from "./step-rules.ts";
import { sendSignal } from "./wait-rules.ts";

let run: TestRun;

beforeEach(() => {
  run = new TestRun();
  run.claim();
});

const sleep = (key: string, durationMs: number): NewWait => ({
  key,
  name: key,
  kind: "sleep",
  wait: { durationMs },
});
const signal = (key: string, signalName: string, durationMs?: number): NewWait => ({
  key,
  name: key,
  kind: "signal",
  wait: { signalName, ...(durationMs === undefined ? {} : { durationMs }) },
});
const child = (key: string, childRunId: string): NewWait => ({
  key,
  name: key,
  kind: "child",
  wait: { childRunId },
});
const key = (name: string): WaitTree => ({ key: name });
const group = (needed: number, ...members: WaitTree[]): WaitTree => ({ needed, members });

/** Lets time pass and fires what is due then, as the due loop does. */
function pass(ms: number): void {
  run.now += ms;
  for (const row of [...run.due.values()]) {
    if (row.at <= run.now) run.do((draft) => dueFired(draft, row, undefined));
  }
}

function send(
  name: string,
  signalId: string,
  value: unknown = signalId,
): { duplicateOf: number | undefined } {
  return run.do((draft) =>
    sendSignal(draft, { runId: "run-1", name, signalId, payload: json(value), actor: "" }),
  );
}

function endChild(childRunId: string, outcome: "completed" | "failed" | "cancelled"): void {
  const result = outcome === "completed" ? { payload: json(childRunId) } : { failure: BOOM };
  const row = { kind: "child", key: childRunId, at: run.now, data: childRunId } as const;
  run.do((draft) => dueFired(draft, row, { outcome, ...result }));
}

/** The keys of a step's resolved waits with how they ended. */
function outcomes(): Record<string, string | undefined> {
  const ended = run.journal.filter((entry) => entry.type === "workflow.wait.resolved");
  return Object.fromEntries(ended.map((entry) => [entry.key, entry.meta.outcome]));
}

describe("a tree", () => {
  const waits = [sleep("a", 1_000), sleep("b", 2_000), sleep("c", 3_000), sleep("d", 4_000)];
  test.each([
    ["one key", key("b"), 2_000],
    ["any", group(1, key("b"), key("c")), 2_000],
    ["all", group(2, key("a"), key("c")), 3_000],
    ["two of three", group(2, key("a"), key("c"), key("d")), 3_000],
    [
      "all of (any, any)",
      group(2, group(1, key("a"), key("d")), group(1, key("c"), key("d"))),
      3_000,
    ],
    [
      "any of (all, all)",
      group(1, group(2, key("a"), key("d")), group(2, key("b"), key("c"))),
      3_000,
    ],
    ["no tree: any open wait", undefined, 1_000],
  ] as const)("of %s wakes the run when it is satisfied, not before", (_, tree, wakesAt) => {
    const command = suspend(run, { waits, tree });
    expect(run.do((draft) => suspendRun(draft, command))).toEqual({
      resumed: false,
      directive: "yield",
      resolvedSeqs: [],
    });
    for (let at = 1_000; at < wakesAt; at += 1_000) {
      pass(1_000);
      expect(run.header.status).toBe("WAITING");
    }
    pass(1_000);
    expect(run.header.status).toBe("QUEUED");
    expect(run.header.waiting).toBeNull();
  });

  test("satisfied already: the run stays with its worker, and is told what is resolved", () => {
    const soon = run.do((draft) =>
      suspendRun(
        draft,
        suspend(run, {
          waits: [sleep("now", 0), sleep("later", 9_000)],
          tree: group(1, key("now"), key("later")),
        }),
      ),
    );
    expect(soon.resumed).toBe(true);
    expect(soon.resolvedSeqs.map((seq) => run.journal[seq - 1]?.key)).toEqual(["now"]);
    expect(run.header.status).toBe("RUNNING");
  });

  test("over a step that backs off, beside a wait", () => {
    const retryPolicy = { ...NO_RETRY, maxAttempts: 3, initialMs: 5_000 };
    run.do((draft) => stepFailed(draft, failed(run, "a", { retryPolicy })));
    run.do((draft) =>
      suspendRun(
        draft,
        suspend(run, { waits: [sleep("s", 60_000)], tree: group(1, key("s"), key("a")) }),
      ),
    );
    expect(run.header.waiting?.waits).toMatchObject([
      { key: "a", kind: "retry", due: run.now + 5_000 },
      { key: "s", kind: "sleep", due: run.now + 60_000 },
    ]);
    pass(4_999);
    expect(run.header.status).toBe("WAITING");
    pass(1);
    expect(run.header.status).toBe("QUEUED");
    run.claim();
    expect(run.do((draft) => stepStarted(draft, started(run, "a")))).toMatchObject({
      kind: "execute",
      attempt: 2,
    });
  });

  test("over a step that ended, or a key that nobody knows, is satisfied: nothing would wake it", () => {
    run.do((draft) => stepCompleted(draft, completed(run, "done")));
    for (const name of ["done", "unknown"]) {
      expect(run.do((draft) => suspendRun(draft, suspend(run, { tree: key(name) })))).toMatchObject(
        { resumed: true },
      );
    }
  });

  test.each([
    ["an empty group", group(0)],
    ["more needed than there are", group(2, key("a"))],
    ["too deep", Array.from({ length: 40 }).reduce<WaitTree>((tree) => group(1, tree), key("a"))],
  ] as const)("with %s is refused, and no wait is registered", (_, tree) => {
    const command = suspend(run, { waits: [sleep("a", 1_000)], tree });
    expect(() => run.do((draft) => suspendRun(draft, command))).toThrow(
      expect.objectContaining({ reason: "INVALID_ARGUMENT" }),
    );
    expect(run.types).toEqual([]);
  });
});

describe("a suspension", () => {
  test("without anything to wait for gives the run back at once", () => {
    run.do((draft) => suspendRun(draft, suspend(run)));
    expect(run.header).toMatchObject({ status: "QUEUED", lease: null });
    expect(run.ready?.readyAt).toBe(run.header.createdAt);
  });

  test("of a worker that stops gives the run back, whatever one branch waits for", () => {
    run.do((draft) =>
      stepStarted(draft, started(run, "s", { kind: "sleep", wait: { durationMs: 60_000 } })),
    );
    run.do((draft) => suspendRun(draft, suspend(run), { stopping: true }));
    expect(run.header.status).toBe("QUEUED");
    run.claim();
    run.do((draft) => suspendRun(draft, suspend(run, { tree: key("s") }), { stopping: true }));
    expect(run.header.status).toBe("WAITING");
  });

  test("registers a wait once, whether StepStarted did before or not", () => {
    run.do((draft) =>
      stepStarted(draft, started(run, "s", { kind: "sleep", wait: { durationMs: 5_000 } })),
    );
    run.now += 1_000;
    run.do((draft) => suspendRun(draft, suspend(run, { waits: [sleep("s", 5_000)] })));
    expect(run.types).toEqual(["workflow.wait.created", "workflow.waiting"]);
    pass(4_000);
    expect(run.header.status).toBe("QUEUED");
  });

  test("with more waits than a run may have is refused as a whole", () => {
    const many = Array.from({ length: BOUNDS.openWaitsPerRun + 1 }, (_, i) =>
      sleep(`s${i}`, 1_000),
    );
    expect(() => run.do((draft) => suspendRun(draft, suspend(run, { waits: many })))).toThrow(
      expect.objectContaining({ reason: "INVALID_ARGUMENT" }),
    );
    expect(run.types).toEqual([]);
  });

  test.each([
    [{ key: "x", name: "x", kind: "step", wait: {} }],
    [{ key: "x", name: "x", kind: "sleep", wait: {} }],
    [{ key: "x", name: "x", kind: "signal", wait: {} }],
    [{ key: "x", name: "x", kind: "child", wait: {} }],
  ] as const)("with an incomplete wait is refused (%#)", (wait) => {
    expect(() => run.do((draft) => suspendRun(draft, suspend(run, { waits: [wait] })))).toThrow(
      expect.objectContaining({ reason: "INVALID_ARGUMENT" }),
    );
  });

  test("of a pausing run with a tree: paused, and after the resume it waits for that tree", () => {
    run.do((draft) => pauseRun(draft, ""));
    run.do((draft) =>
      suspendRun(draft, suspend(run, { waits: [sleep("s", 5_000)], tree: key("s") })),
    );
    expect(run.header.status).toBe("PAUSED");
    run.do(resumeRun);
    expect(run.header.status).toBe("WAITING");
    pass(5_000);
    expect(run.header.status).toBe("QUEUED");
  });
});

describe("a timer", () => {
  test("is due at the time that the server fixed when it first saw it, or at the moment asked", () => {
    run.do((draft) =>
      stepStarted(draft, started(run, "for", { kind: "sleep", wait: { durationMs: 1_000 } })),
    );
    run.do((draft) =>
      stepStarted(draft, started(run, "at", { kind: "sleep", wait: { until: run.now + 500 } })),
    );
    run.do((draft) =>
      stepStarted(draft, started(run, "past", { kind: "sleep", wait: { until: 1 } })),
    );
    expect(outcomes()).toEqual({ past: "fired" });
    pass(500);
    expect(outcomes()).toEqual({ past: "fired", at: "fired" });
    pass(500);
    expect(outcomes()).toEqual({ past: "fired", at: "fired", for: "fired" });
    expect(run.due.size).toBe(0);
  });

  test("that fires early, twice, or for an unknown key does nothing", () => {
    run.do((draft) =>
      stepStarted(draft, started(run, "s", { kind: "sleep", wait: { durationMs: 1_000 } })),
    );
    const row = run.dueRow("wait", "s") ?? { kind: "wait", key: "s", at: 0, data: "" };
    pass(1_000);
    const entries = run.journal.length;
    run.do((draft) => dueFired(draft, row, undefined));
    run.do((draft) => dueFired(draft, { ...row, key: "unknown" }, undefined));
    expect(run.journal.length).toBe(entries);
  });
});

describe("a signal", () => {
  test("that came before the wait is kept; first in, first out per name", () => {
    send("go", "s1");
    send("other", "s2");
    send("go", "s3");
    for (const wait of ["w1", "w2"]) {
      expect(
        run.do((draft) =>
          stepStarted(draft, started(run, wait, { kind: "signal", wait: { signalName: "go" } })),
        ),
      ).toMatchObject({ kind: "replay" });
    }
    const taken = run.journal.filter((entry) => entry.type === "workflow.wait.resolved");
    expect(taken.map((entry) => [entry.key, entry.meta.signalId])).toEqual([
      ["w1", "s1"],
      ["w2", "s3"],
    ]);
    expect(run.state.inbox.map((one) => one.signalId)).toEqual(["s2"]);
  });

  test("goes to the wait of its name that was opened first, and wakes the run", () => {
    run.do((draft) =>
      suspendRun(
        draft,
        suspend(run, { waits: [signal("w1", "go"), signal("w2", "go"), signal("w3", "stop")] }),
      ),
    );
    send("go", "s1");
    expect(outcomes()).toEqual({ w1: "signalled" });
    expect(run.header.status).toBe("QUEUED");
    send("go", "s2");
    send("stop", "s3");
    expect(outcomes()).toEqual({ w1: "signalled", w2: "signalled", w3: "signalled" });
  });

  test("is deduplicated by its id, also after it was taken", () => {
    send("go", "s1");
    expect(send("go", "s1")).toEqual({ duplicateOf: 2 });
    run.do((draft) =>
      stepStarted(draft, started(run, "w", { kind: "signal", wait: { signalName: "go" } })),
    );
    expect(send("go", "s1")).toEqual({ duplicateOf: 2 });
    expect(run.state.inbox).toEqual([]);
  });

  test("too late finds the wait timed out; the signal stays for the next wait", () => {
    run.do((draft) => suspendRun(draft, suspend(run, { waits: [signal("w", "go", 1_000)] })));
    pass(1_000);
    expect(outcomes()).toEqual({ w: "timed_out" });
    send("go", "s1");
    expect(run.state.inbox).toHaveLength(1);
  });

  test("to a run that has ended is RUN_TERMINAL, unless it had come before", () => {
    send("go", "s1");
    run.do((draft) =>
      completeRun(draft, { runId: "run-1", fence: run.fence, output: json(1), unconsumed: [] }),
    );
    expect(send("go", "s1")).toEqual({ duplicateOf: 2 });
    expect(() => send("go", "s2")).toThrow(expect.objectContaining({ reason: "RUN_TERMINAL" }));
  });
});

describe("a child", () => {
  test.each(["completed", "failed", "cancelled"] as const)(
    "that %s resolves the wait, with its outcome",
    (outcome) => {
      run.do((draft) => suspendRun(draft, suspend(run, { waits: [child("c", "child-1")] })));
      expect(run.dueRow("child", "c")).toMatchObject({ data: "child-1" });
      endChild("child-1", outcome);
      expect(outcomes()).toEqual({ c: outcome });
      expect(run.header.status).toBe("QUEUED");
      const resolved = run.journal.find((entry) => entry.type === "workflow.wait.resolved");
      if (outcome === "completed") expect(resolved?.payload).toEqual(json("child-1"));
      else expect(resolved?.meta.failure).toEqual(BOOM);
    },
  );

  test("that continues takes its row away and leaves the wait open", () => {
    run.do((draft) => suspendRun(draft, suspend(run, { waits: [child("c", "child-1")] })));
    pass(0);
    expect(run.header.status).toBe("WAITING");
    expect(run.due.size).toBe(0);
  });

  test("of an earlier attempt does not hide the end of the current one", () => {
    run.do((draft) => suspendRun(draft, suspend(run, { waits: [child("c", "child-1~2")] })));
    const parent = { runId: "run-1", key: "c", fence: 1 };
    for (const id of ["child-1~2", "child-1"]) {
      const ending = new TestRun({ runId: id, parent });
      ending.claim();
      ending.do((draft) =>
        completeRun(draft, { runId: id, fence: ending.fence, output: json(id), unconsumed: [] }),
      );
      for (const { row } of ending.elsewhere) run.due.set(`${row.kind}:${row.key}`, row);
    }
    for (const row of [...run.due.values()]) {
      run.do((draft) => dueFired(draft, row, { outcome: "completed", payload: json(row.data) }));
    }
    expect(outcomes()).toEqual({ c: "completed" });
  });

  test("waited for twice resolves both waits", () => {
    run.do((draft) =>
      suspendRun(
        draft,
        suspend(run, {
          waits: [child("c", "child-1"), child("d", "child-1")],
          tree: group(2, key("c"), key("d")),
        }),
      ),
    );
    endChild("child-1", "completed");
    expect(outcomes()).toEqual({ c: "completed", d: "completed" });
    expect(run.header.status).toBe("QUEUED");
  });
});

describe("a clock that is set back between the read and the decision", () => {
  test("loses no timer", () => {
    run.do((draft) => suspendRun(draft, suspend(run, { waits: [sleep("a", 1_000)] })));
    const row = run.dueRow("wait", "a");
    if (row === undefined) throw new Error("There is no timer.");
    run.now += 999;
    run.do((draft) => dueFired(draft, row, undefined));
    expect(run.dueRow("wait", "a")).toEqual(row);
    pass(1);
    expect(outcomes()).toEqual({ a: "fired" });
  });

  test.each([false, true])("loses no retry (paused meanwhile: %s)", (isPaused) => {
    const retryPolicy = { ...NO_RETRY, maxAttempts: 2, initialMs: 5_000 };
    run.do((draft) => stepFailed(draft, failed(run, "s", { retryPolicy })));
    run.do((draft) => suspendRun(draft, suspend(run)));
    const row = run.dueRow("retry", "s");
    if (row === undefined) throw new Error("There is no retry.");
    run.now = row.at - 1;
    if (isPaused) run.do((draft) => pauseRun(draft, ""));
    run.do((draft) => dueFired(draft, row, undefined));
    if (isPaused) run.do(resumeRun);
    expect(run.dueRow("retry", "s")).toEqual(row);
    pass(1);
    expect(run.header.status).toBe("QUEUED");
  });

  test("loses no retry that has fired while the run was paused", () => {
    const retryPolicy = { ...NO_RETRY, maxAttempts: 2, initialMs: 5_000 };
    run.do((draft) => stepFailed(draft, failed(run, "s", { retryPolicy })));
    run.do((draft) => suspendRun(draft, suspend(run)));
    const row = run.dueRow("retry", "s");
    if (row === undefined) throw new Error("There is no retry.");
    run.do((draft) => pauseRun(draft, ""));
    run.now = row.at;
    run.do((draft) => dueFired(draft, row, undefined));
    run.now -= 1_000;
    run.do(resumeRun);
    expect(run.header.status).toBe("WAITING");
    expect(run.dueRow("retry", "s")).toEqual(row);
    pass(1_000);
    expect(run.header.status).toBe("QUEUED");
  });
});

test("a row that was read and then put anew is not removed with what was read", () => {
  run.do((draft) => suspendRun(draft, suspend(run, { waits: [sleep("a", 1_000)] })));
  const stale = { kind: "wait", key: "a", at: run.now, data: "" } as const;
  run.do((draft) => dueFired(draft, stale, undefined));
  expect(run.dueRow("wait", "a")?.at).toBe(run.now + 1_000);
});
