/**
 * Goal: the drills can fail. Method: the facts of a round that went well, each time with one thing
 * changed that a broken server, store or SDK would bring about.
 */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type JournalEntry, JournalEntrySchema, RunSchema, RunStatus } from "@pawl/proto";
import { expect, test } from "vitest";
import type { RunRecord } from "./api.ts";
import { findViolations, type RoundFacts, referenceOf } from "./check.ts";
import type { Effect, EffectKind } from "./effects.ts";

type Part = Partial<Omit<JournalEntry, "$typeName">> & { type: string };

function payload(value: unknown) {
  return {
    $typeName: "pawl.v1.Payload" as const,
    encoding: "json",
    data: Buffer.from(JSON.stringify(value)),
  };
}

function completed(stepKey: string, nonce: string, more: Partial<Part> = {}): Part {
  const type = "workflow.step.completed";
  const value = payload({ key: stepKey, nonce, value: 1 });
  return { type, stepKey, attempt: 1, workerId: "w-1", fence: 2, payload: value, ...more };
}

function runOf(parts: readonly Part[], output: unknown = { sum: 1 }): RunRecord {
  const journal = parts.map((part, index) =>
    create(JournalEntrySchema, { seq: index + 1, recordedAt: timestampFromMs(index), ...part }),
  );
  const status = RunStatus.COMPLETED;
  const run = create(RunSchema, { runId: "r", status, journalLength: journal.length });
  return { run: { ...run, output: payload(output) }, journal };
}

function effect(kind: EffectKind, key: string, nonce: string, more: Partial<Effect> = {}): Effect {
  return {
    kind,
    run: "r",
    key,
    attempt: kind === "executed" ? 1 : 0,
    nonce,
    pid: 11,
    at: 0,
    ...more,
  };
}

const begun: Part = { type: "run.started" };
const ended: Part = { type: "run.completed", fence: 2 };
const parts: readonly Part[] = [begun, completed("a", "n1"), completed("b", "n2"), ended];
const effects: readonly Effect[] = [
  effect("executed", "a", "n1"),
  effect("acknowledged", "a", "n1"),
  effect("executed", "b", "n2"),
  effect("acknowledged", "b", "n2"),
];
const reference = referenceOf([runOf(parts)]);
const pids = new Map([["w-1", 11]]);

function violations(changed: Partial<RoundFacts>): string[] {
  const facts = { runs: [runOf(parts)], effects, pids, zombies: new Set<number>(), ...changed };
  return findViolations(facts, reference);
}

test("a round that went well has no violations, nor has one that repeated a step in flight", () => {
  expect(violations({})).toEqual([]);
  const repeated = [effect("executed", "a", "n0", { pid: 10 }), ...effects];
  expect(violations({ effects: repeated })).toEqual([]);
});

test("an execution after the acknowledgement is seen, unless it is the one of a process that was stopped", () => {
  const again = [...effects, effect("executed", "a", "n9", { pid: 12 })];
  expect(violations({ effects: again })).toEqual([
    "r: a executed in process 12 (attempt 1) after process 11 had it acknowledged",
  ]);
  const zombies = new Set([12]);
  expect(violations({ effects: again, zombies })).toEqual([]);
  const twice = [...again, effect("executed", "b", "n8", { pid: 12 })];
  expect(violations({ effects: twice, zombies })).toHaveLength(1);
});

test("an execution after a final failure is seen, unless the run was tried again", () => {
  const refused = effect("refused", "a", "", { attempt: 1 });
  const twice = [refused, effect("executed", "a", "n1", { attempt: 2 }), ...effects.slice(1)];
  const once: Part = { type: "workflow.step.failed", stepKey: "a", attempt: 1 };
  const retried = [
    begun,
    once,
    { type: "run.failed" },
    { type: "run.retried", details: { superseded: '["a"]' } },
    completed("a", "n1", { attempt: 2 }),
    completed("b", "n2"),
    ended,
  ];
  expect(violations({ effects: twice, runs: [runOf(retried)] })).toEqual([]);
  const unasked = violations({ effects: twice });
  expect(unasked).toContain(
    "r: a executed in process 11 (attempt 2) after process 11 had it refused",
  );
});

test("a run that is missing, unknown, unfinished or ended otherwise is seen", () => {
  expect(violations({ runs: [] })).toContain("r: the run is missing");
  const other = runOf(parts, { sum: 2 });
  expect(violations({ runs: [other] })).toEqual([
    'r: its output is {"sum":2}, without kills it is {"sum":1}',
  ]);
  const record = runOf(parts);
  const failed = { ...record, run: { ...record.run, status: RunStatus.FAILED } };
  expect(violations({ runs: [failed] })[0]).toMatch(/is FAILED/);
  const twin = { ...record, run: { ...record.run, runId: "r2" } };
  expect(violations({ runs: [record, twin] })[0]).toBe("r2: the run does not exist without kills");
});

test("a gap, a second beginning, a second end or a fence that falls in the journal is seen", () => {
  const record = runOf(parts);
  const gap = record.journal.filter(({ stepKey }) => stepKey !== "a");
  expect(violations({ runs: [{ ...record, journal: gap }] })).toEqual(
    expect.arrayContaining(["r: journal entry 2 has number 3"]),
  );
  const cases: [Part[], RegExp][] = [
    [[begun, begun, ...parts.slice(1)], /entry 2 is run\.started/],
    [[...parts, ended], /it ended 2 times/],
    [[...parts, completed("a", "n1")], /its last entry is workflow\.step\.completed/],
    [[begun, completed("a", "n1", { fence: 3 }), ...parts.slice(2)], /fence 2 after 3/],
    [[begun, { type: "workflow.wait.created", stepKey: "w" }, ...parts.slice(1)], /wait w is open/],
    [[begun, completed("a", "n1"), ...parts.slice(1)], /a was completed 2 times/],
    [[begun, completed("a", "n1"), ended], /steps completed: a; without kills: a b/],
  ];
  for (const [changed, message] of cases) {
    expect(violations({ runs: [runOf(changed)] }).join("\n")).toMatch(message);
  }
});

test("a result that nobody made, that another step, attempt or worker made, or that was lost is seen", () => {
  const with_a = (part: Part) => [runOf([begun, part, ...parts.slice(2)])];
  const cases: [Partial<RoundFacts>, RegExp][] = [
    [{ runs: with_a(completed("a", "nx")) }, /a is recorded with a result that no execution made/],
    [{ runs: with_a(completed("a", "n2")) }, /a is recorded with the result of b/],
    [{ runs: with_a(completed("a", "n1", { attempt: 2 })) }, /as attempt 2, its body was told 1/],
    [{ runs: with_a(completed("a", "n1", { workerId: "w-2" })) }, /as done by w-2/],
    [{ effects: effects.slice(0, 3) }, /b is recorded, but user code never got it/],
    [
      { effects: [...effects, effect("acknowledged", "a", "n2")] },
      /user code got 2 different results of a/,
    ],
    [
      { effects: [...effects, effect("acknowledged", "c", "n3")] },
      /c was acknowledged, but is not recorded/,
    ],
  ];
  for (const [changed, message] of cases) expect(violations(changed).join("\n")).toMatch(message);
});
