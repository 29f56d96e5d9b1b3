/**
 * Goal: an answer counts once, for its question only, and the wait ends exactly when there are enough.
 * Method: decisions on a run without a database; `TestRun` checks rows and timers after each.
 */
import { beforeEach, describe, expect, test } from "vitest";
import {
  dueFired,
  json,
  jsonValue,
  started,
  suspend,
  TestRun,
} from "../../../../test/semantics/run-fixture.ts";
import type { Payload } from "../../model/payload.ts";
import { checkAnswer, type Question } from "../../model/question.ts";
import { type AnswerDecision, answerWait, cancelWait } from "./answer-rules.ts";
import { cancelRun, retryRun } from "./lifecycle-rules.ts";
import { failRunByWorker, suspendRun } from "./outcome-rules.ts";
import { type StartDecision, stepStarted } from "./step-rules.ts";

let run: TestRun;

beforeEach(() => {
  run = new TestRun();
  run.claim();
});

function ask(question: Question, durationMs?: number): StartDecision {
  const wait = { question, ...(durationMs === undefined ? {} : { durationMs }) };
  return run.do((draft) => stepStarted(draft, started(run, "q", { kind: "user", wait })));
}

function answer(
  value: unknown,
  actor = "",
  resolutionId: string = crypto.randomUUID(),
): AnswerDecision {
  const check = (question: Question, payload: Payload): unknown => {
    const given = jsonValue(payload);
    checkAnswer(question, given, () => "");
    return given;
  };
  const payload = value === undefined ? undefined : json(value);
  const command = {
    key: "q",
    resolutionId,
    answer: payload,
    actor,
    comment: "",
    via: "api",
  } as const;
  return run.do((draft) => answerWait(draft, command, check));
}

const text: Question = { prompt: "Q?", type: "text" };
const two: Question = {
  prompt: "OK?",
  type: "approval",
  assignees: ["a", "b", "c"],
  approvalsNeeded: 2,
};

test("one answer resolves a question and wakes the run", () => {
  ask(text);
  run.do((draft) => suspendRun(draft, suspend(run)));
  expect(answer("x")).toEqual({ kind: "recorded" });
  expect(run.types).toEqual([
    "workflow.wait.created",
    "workflow.waiting",
    "workflow.user.answered",
    "workflow.wait.resolved",
  ]);
  expect(run.last.meta).toMatchObject({ outcome: "answered", payloadSeq: run.last.seq - 1 });
  expect(run.header.status).toBe("QUEUED");
  expect(answer("y")).toEqual({ kind: "resolved" });
});

test("the same resolution is found again, before and after the wait's end", () => {
  ask(two);
  answer(true, "a", "ra");
  expect(answer(true, "a", "ra")).toMatchObject({ kind: "duplicate" });
  expect(answer(true, "a", "other")).toMatchObject({ kind: "answered", by: { actor: "a" } });
  answer(true, "b", "rb");
  expect(answer(true, "a", "ra")).toMatchObject({ kind: "duplicate" });
  expect(answer(true, "b", "rb")).toMatchObject({ kind: "duplicate" });
  expect(answer(true, "c", "rc")).toEqual({ kind: "resolved" });
});

describe("an approval", () => {
  test.each([
    ["two of three", [true, true], 2, true],
    ["a rejection first", [false], 1, false],
    ["a rejection after an approval", [true, false], 2, false],
  ])("%s decides it", (_, votes, entries, decided) => {
    ask(two);
    for (const [i, vote] of votes.entries()) answer(vote, ["a", "b"][i]);
    const given = run.journal.filter(({ type }) => type === "workflow.user.answered");
    expect(given).toHaveLength(entries);
    expect(run.last.meta.outcome).toBe("answered");
    expect(jsonValue(given.at(-1)?.payload)).toBe(decided);
  });

  test("a refusal leaves no trace", () => {
    ask(two);
    const before = run.journal.length;
    expect(() => answer(true, "eve")).toThrow(/may not answer/);
    expect(() => answer(true)).toThrow(/say in/);
    expect(() => answer("yes", "a")).toThrow(/Allowed: true/);
    expect(() => answer(undefined, "a")).toThrow(/must not be skipped/);
    expect(run.journal).toHaveLength(before);
  });
});

test("reminders come in order and stop with the answer; an early or repeated one changes nothing", () => {
  ask({ ...text, remindersMs: [1_000, 5_000] });
  const fire = (): void => {
    const row = run.dueRow("remind", "q");
    if (row !== undefined) run.do((draft) => dueFired(draft, row, undefined));
  };
  fire();
  expect(run.types).toEqual(["workflow.wait.created"]);
  run.now += 1_000;
  const first = run.dueRow("remind", "q");
  fire();
  expect(run.last.type).toBe("workflow.wait.reminded");
  // Another server had read the row, too.
  if (first !== undefined) run.do((draft) => dueFired(draft, first, undefined));
  expect(run.types.filter((type) => type === "workflow.wait.reminded")).toHaveLength(1);
  expect(run.dueRow("remind", "q")?.at).toBe(run.now + 4_000);
  answer("x");
  expect(run.dueRow("remind", "q")).toBeUndefined();
});

test("a timeout, a cancel and the end of the run take question, timer and reminder away", () => {
  const ends: (() => void)[] = [
    () => {
      run.now += 9_000;
      const row = run.dueRow("wait", "q");
      if (row !== undefined) run.do((draft) => dueFired(draft, row, undefined));
    },
    () => run.do((draft) => cancelWait(draft, "q", "op", "")),
    () =>
      run.do((draft) => suspendRun(draft, suspend(run))) &&
      run.do((draft) => cancelRun(draft, { reason: "", graceMs: 0 })),
  ];
  for (const end of ends) {
    run = new TestRun();
    run.claim();
    ask({ ...text, remindersMs: [1_000] }, 9_000);
    expect([...run.waits.keys()]).toEqual(["q"]);
    end();
    expect([run.waits.size, run.due.size]).toEqual([0, 0]);
  }
});

test("a retried run has its question, timer and next reminder back", () => {
  ask({ ...text, remindersMs: [1_000, 5_000] }, 9_000);
  run.now += 1_000;
  const row = run.dueRow("remind", "q");
  if (row !== undefined) run.do((draft) => dueFired(draft, row, undefined));
  const failure = { type: "Boom", message: "boom" };
  const fail = { runId: "run-1", fence: run.fence, failure, failedStepKeys: [] };
  run.do((draft) => failRunByWorker(draft, fail));
  expect(() => answer("x")).toThrow(/has ended/);
  run.do(retryRun);
  expect(run.waits.get("q")?.kind).toBe("user");
  expect(run.dueRow("wait", "q")).toBeDefined();
  expect(run.dueRow("remind", "q")?.at).toBe(run.now + 4_000);
  expect(answer("x")).toEqual({ kind: "recorded" });
});

describe("a question that is asked again, of other people", () => {
  const open = { prompt: "Ship?", type: "approval", assignees: ["a", "b", "c"] } as const;

  test("keeps the votes of those who are still asked, and names the others", () => {
    ask({ ...open, approvalsNeeded: 3 });
    answer(true, "a");
    answer(true, "b");
    ask({ ...open, assignees: ["a", "z"], approvalsNeeded: 2 });
    expect(run.last).toMatchObject({
      type: "workflow.wait.changed",
      meta: { question: { assignees: ["a", "z"] }, details: { dropped: '["b"]' } },
    });
    const row = run.waits.get("q");
    expect(row?.assignees).toEqual(["a", "z"]);
    expect(() => answer(true, "b")).toThrow(/may not answer/);
    answer(true, "z");
    const votes = String(run.last.meta.details?.answers);
    expect(votes.match(/"actor":"."/g)).toEqual(['"actor":"a"', '"actor":"z"']);
  });

  test("is decided by the votes that it has, where fewer are needed", () => {
    ask({ ...open, approvalsNeeded: 3 });
    answer(true, "a");
    expect(ask({ ...open, approvalsNeeded: 2 })).toMatchObject({ kind: "wait" });
    expect(ask(open)).toMatchObject({ kind: "replay" });
    expect(run.last.meta).toMatchObject({ outcome: "answered", approved: true, actor: "a" });
    const { length } = run.journal;
    ask(open);
    expect(run.journal).toHaveLength(length);
  });

  test("stays as it was where the new one could not be answered", () => {
    ask({ ...open, approvalsNeeded: 2 });
    expect(() => ask({ ...open, assignees: ["a"], approvalsNeeded: 2 })).toThrow(/assignees/);
  });
});
