/**
 * Goal: the live view shows what is under way, and leaves one line for what is done.
 * Method: events by hand, a terminal of 60 columns without colours.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Event, EventSchema } from "@pawl/proto";
import { beforeEach, expect, test } from "vitest";
import { LiveRun } from "./live.ts";

const NOW = 10_000;
let live: LiveRun;

beforeEach(() => {
  live = new LiveRun({
    out: () => undefined,
    note: () => undefined,
    progress: () => undefined,
    area: () => undefined,
    prompt: () => undefined,
    live: true,
    interactive: true,
    columns: 60,
    style: (_style, text) => text,
    env: {},
  });
});

const json = (value: unknown) => ({ data: Buffer.from(JSON.stringify(value)), encoding: "json" });

function delta(type: string, stepKey: string, payload?: unknown): Event {
  const at = timestampFromMs(NOW - 1_500);
  const more = payload === undefined ? {} : { payload: json(payload) };
  return create(EventSchema, { type, stepKey, attempt: 1, sourceAt: at, ...more });
}

type EntryInit = Extract<
  NonNullable<MessageInitShape<typeof EventSchema>["entry"]>,
  { $typeName?: never }
>;

function entry(type: string, more: EntryInit = {}): Event {
  const recordedAt = timestampFromMs(NOW);
  return create(EventSchema, { type, entry: { type, recordedAt, attempt: 1, ...more } });
}

const frame = () => live.frame(NOW).map((line) => line.replace(/[⠋-⠿]/, "*"));

test("an open step shows its time, the end of its text, and its progress", () => {
  expect(live.take(delta("workflow.step.started", "write"))).toEqual([]);
  live.take(delta("output.delta", "write", `${"word ".repeat(30)}\nlast`));
  live.take(delta("progress", "write", { done: 5, total: 20, note: "pages" }));
  expect(frame()).toEqual([
    "  * write  1.5 s  █████░░░░░░░░░░░░░░░ 25%  5/20  pages",
    expect.stringMatching(/^ {4}.*word last$/),
    "  RUNNING · 0 steps done",
  ]);
  expect(frame().every((line) => line.length < 60)).toBe(true);
  const done = live.take(
    entry("workflow.step.completed", { stepKey: "write", latencyMs: 20, payload: json("text") }),
  );
  expect(done).toEqual([expect.stringMatching(/✓ {2}write +20 ms {2}"text"$/)]);
  expect(frame()).toEqual(["  RUNNING · 1 step done"]);
});

test("a void attempt loses its text; a wait is waited for; the end leaves nothing open", () => {
  live.take(delta("output.delta", "write", "half"));
  expect(live.take(delta("rollback", "write"))).toEqual([expect.stringContaining("is void")]);
  expect(frame()).toEqual(["  RUNNING · 0 steps done"]);
  const until = timestampFromMs(NOW);
  live.take(entry("workflow.wait.created", { stepKey: "sleep:rest", name: "rest", until }));
  live.take(entry("workflow.waiting"));
  expect(frame()).toEqual([
    expect.stringMatching(/◷ sleep:rest {2}waits until 1970-/),
    "  WAITING · 0 steps done",
  ]);
  const failure = { type: "Error", message: "x".repeat(100) };
  const [line = ""] = live.take(entry("run.failed", { failure }));
  expect(line).toMatch(/■ {2}run\.failed {2}Error: x+.*x+$/);
  expect(line.length).toBeLessThan(60);
  expect(frame()).toEqual(["  FAILED · 0 steps done"]);
});

test("a cancelled run waits for nothing, and stays cancelling while it cleans up", () => {
  live.take(entry("workflow.wait.created", { stepKey: "signal:paid", name: "paid" }));
  const [line = ""] = live.take(entry("run.cancelling", { details: { reason: "no" } }));
  expect(line).toMatch(/run\.cancelling {2}no$/);
  live.take(delta("workflow.step.started", "compensate:release"));
  expect(frame()).toEqual([expect.stringContaining("release"), "  CANCELLING · 0 steps done"]);
  const failure = { type: "Cancelled", message: "no" };
  const [end = ""] = live.take(entry("run.cancelled", { failure, details: { reason: "no" } }));
  expect(end).toMatch(/run\.cancelled {2}Cancelled: no$/);
});

test("what the code logs and emits is a line; more open steps than rows are counted", () => {
  const logged = { level: "warn", message: "careful", data: { n: 1 } };
  expect(live.take(delta("log", "write", logged))).toEqual([
    expect.stringMatching(/│ {2}write {2}careful \{"n":1\}$/),
  ]);
  expect(live.take(delta("my.event", "", { a: 1 }))).toEqual([
    expect.stringMatching(/· {2}my\.event {2}\{"a":1\}$/),
  ]);
  for (let index = 0; index < 15; index++) live.take(delta("workflow.step.started", `s${index}`));
  expect(frame()[0]).toBe("  … and 3 more");
  expect(frame()).toHaveLength(14);
});
