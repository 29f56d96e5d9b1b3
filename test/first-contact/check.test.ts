/**
 * Goal: what `pnpm start` says it checked, it would have found wrong.
 * Method: the evidence of a good run, spoilt in one way at a time.
 */
import type { Execution } from "@pawl/examples/digest/audit.ts";
import { checkRun, type Evidence } from "@pawl/examples/start/check.ts";
import { type Entry, readHistory } from "@pawl/examples/start/history.ts";
import { expect, test } from "vitest";

const [killed, survivor] = [11, 22];

function entry(seq: number, type: string, stepKey = "", workerId = ""): Entry {
  const latencyMs = stepKey === "" ? 0 : 5;
  return { seq, type, stepKey, attempt: 1, workerId, atMs: seq * 10, latencyMs, value: undefined };
}

function execution(stepKey: string, pid: number): Execution {
  return { runId: "r", stepKey, attempt: 1, pid };
}

const entries = [
  entry(1, "run.started"),
  entry(2, "workflow.step.completed", "list", "worker-1"),
  entry(3, "workflow.step.started", "map:file/a/rank", "worker-1"),
  entry(4, "run.recovered", "", "worker-1"),
  entry(5, "workflow.step.completed", "map:file/a/rank", "worker-2"),
  entry(6, "workflow.step.completed", "write", "worker-2"),
  entry(7, "run.completed", "", "worker-2"),
];
const executions = [
  execution("list", killed),
  execution("map:file/a/rank", killed),
  execution("map:file/a/rank", survivor),
  execution("write", survivor),
];

function check(change: Partial<Evidence> & { entries?: readonly Entry[] } = {}): boolean[] {
  return checkRun({
    history: readHistory(change.entries ?? entries),
    executions,
    killed: { name: "worker-1", pid: killed },
    report: "same",
    plainReport: "same",
    ...change,
  }).map(({ ok }) => ok);
}

const [journal, replayed, others, report] = [0, 1, 2, 3];

test("a good run passes", () => {
  expect(check()).toEqual([true, true, true, true]);
});

test.for([
  ["a gap in the journal", journal, { entries: entries.toSpliced(2, 1) }],
  ["a run that failed", journal, { entries: entries.with(6, entry(7, "run.failed")) }],
  [
    "a step that was recorded twice",
    journal,
    { entries: entries.with(5, entry(6, "workflow.step.completed", "list", "worker-2")) },
  ],
  [
    "a recorded step that ran again",
    replayed,
    { executions: [...executions, execution("list", survivor)] },
  ],
  ["a recorded step that never ran", replayed, { executions: executions.slice(1) }],
  [
    "a run that kept its worker",
    replayed,
    { entries: entries.with(3, entry(4, "run.tags.changed")) },
  ],
  [
    "a later step that ran twice",
    others,
    { executions: [...executions, execution("write", survivor)] },
  ],
  [
    "a step that ran and was not recorded",
    others,
    { executions: [...executions, execution("more", survivor)] },
  ],
  ["another report", report, { plainReport: "other" }],
] as const)("%s is found", ([, finding, change]) => {
  expect(check(change)[finding]).toBe(false);
});
