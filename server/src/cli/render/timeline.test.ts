/**
 * Goal: the timeline tells attempts, losses, waits and retries as they were, within its columns.
 * Method: fold small journals and draw them on a terminal of fixed width.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { JournalEntrySchema, StepKind, WaitOutcome } from "@pawl/proto";
import { expect, test } from "vitest";
import type { Terminal } from "../shared/terminal.ts";
import { drawTimeline } from "./bars.ts";
import { formatDuration, shorten } from "./text.ts";
import { foldJournal } from "./timeline.ts";

type Init = Omit<MessageInitShape<typeof JournalEntrySchema>, "recordedAt" | "$typeName">;

/** A journal from entries with their time in ms. */
function journal(...entries: [at: number, entry: Init][]) {
  return entries.map(([at, entry], index) =>
    create(JournalEntrySchema, { ...entry, seq: index + 1, recordedAt: timestampFromMs(at) }),
  );
}

const step = (key: string, type: string, init: Init = {}): Init => ({
  type: `workflow.${type}`,
  stepKey: key,
  kind: StepKind.STEP,
  attempt: 1,
  workerId: "w1",
  ...init,
});

const plain: Terminal = {
  out: () => undefined,
  note: () => undefined,
  prompt: () => undefined,
  progress: () => undefined,
  area: () => undefined,
  live: false,
  interactive: false,
  columns: 60,
  style: (_style, text) => text,
  env: {},
};

test("an attempt that was lost with its worker, and the one that followed", () => {
  const line = foldJournal(
    journal(
      [1_000, { type: "run.started" }],
      [1_100, step("a", "step.started")],
      [1_500, { type: "run.recovered", workerId: "w1", details: { reason: "disconnected" } }],
      [1_600, step("a", "step.started", { attempt: 2, workerId: "w2" })],
      [2_000, step("a", "step.completed", { attempt: 2, workerId: "w2", latencyMs: 400 })],
      [2_000, { type: "run.completed" }],
    ),
    9_999,
    true,
  );
  expect([line.from, line.to]).toEqual([1_000, 2_000]);
  expect(line.rows[0]?.spans).toEqual([
    { kind: "lost", from: 1_100, to: 1_500, attempt: 1, worker: "w1" },
    { kind: "done", from: 1_600, to: 2_000, attempt: 2, worker: "w2" },
  ]);
  expect(line.marks).toEqual([{ at: 1_500, text: expect.stringContaining("w1 was lost") }]);
});

test("failed attempts with their delays, a wait, and what is still running", () => {
  const line = foldJournal(
    journal(
      [0, { type: "run.started" }],
      [
        100,
        step("a", "step.retrying", {
          latencyMs: 100,
          until: timestampFromMs(300),
          failure: { type: "E", message: "no" },
        }),
      ],
      [400, step("a", "step.completed", { attempt: 2, latencyMs: 90 })],
      [400, step("sleep:s", "wait.created", { kind: StepKind.SLEEP, workerId: "" })],
      [900, step("sleep:s", "wait.resolved", { kind: StepKind.SLEEP, outcome: WaitOutcome.FIRED })],
      [900, step("b", "step.started")],
    ),
    1_000,
    false,
  );
  const spans = Object.fromEntries(
    line.rows.map((row) => [row.key, row.spans.map(({ kind, from, to }) => [kind, from, to])]),
  );
  expect(spans).toEqual({
    a: [
      ["failed", 0, 100],
      ["backoff", 100, 300],
      ["done", 310, 400],
    ],
    "sleep:s": [["waiting", 400, 900]],
    b: [["running", 900, 1_000]],
  });
});

test("a retried run marks the superseded step", () => {
  const entries = journal(
    [0, { type: "run.started" }],
    [10, step("a", "step.failed", { failure: { type: "E", message: "no" } })],
    [10, { type: "run.failed", failure: { type: "E", message: "no" } }],
    [20, { type: "run.retried", details: { superseded: '["a"]' } }],
  );
  const [row] = foldJournal(entries, 30, false).rows;
  expect(row).toMatchObject({ outcome: "", superseded: true });
});

test("rows are drawn below their scopes, in the width of the terminal", () => {
  const entries = journal(
    [0, { type: "run.started" }],
    [50, step("first", "step.completed", { latencyMs: 50 })],
    [90, step("map[a]/fetch", "step.completed", { latencyMs: 30 })],
    [100, step("map[b]/fetch", "step.completed", { latencyMs: 40 })],
    [100, { type: "run.completed" }],
  );
  const lines = drawTimeline(plain, foldJournal(entries, 0, true), { rowsMax: 10 });
  expect(lines.slice(1, 6).map((text) => text.slice(0, 8).trimEnd())).toEqual([
    "first",
    "map[a]/",
    "  fetch",
    "map[b]/",
    "  fetch",
  ]);
  for (const text of lines) expect(text.length).toBeLessThanOrEqual(60);
  expect(drawTimeline(plain, foldJournal(entries, 0, true), { rowsMax: 2 })).toContain(
    "… and 3 more; show all with --verbose.",
  );
  expect(drawTimeline(plain, foldJournal([], 0, false), { rowsMax: 2 })).toEqual([
    "No steps have been recorded.",
  ]);
});

test("durations and names are put in few characters", () => {
  const said = [0.85, 12, 3_400, 310_000, 7_500_000, 275_000_000].map(formatDuration);
  expect(said).toEqual(["850 µs", "12 ms", "3.4 s", "5 min 10 s", "2 h 5 min", "3 d 4 h"]);
  expect(shorten("a-very-long-step-name", 10)).toBe("a-very…ame");
});

test("questions have their names, and who answered", () => {
  const key = "approval:Pay?/user:mia, max";
  const line = foldJournal(
    journal(
      [0, { type: "run.started" }],
      [100, step(key, "wait.created", { kind: StepKind.USER, workerId: "" })],
      [
        900,
        step(key, "wait.resolved", {
          ...{ kind: StepKind.USER, workerId: "", outcome: WaitOutcome.ANSWERED },
          details: { actor: "max" },
        }),
      ],
      [1_000, { type: "run.completed" }],
    ),
    1_000,
    true,
  );
  const drawn = drawTimeline(plain, line, { rowsMax: 10 }).join("\n");
  expect(drawn).toMatch(/approval:Pay\?\/\n {2}\? mia, max +░+ +800 ms +answered by max/);
});
