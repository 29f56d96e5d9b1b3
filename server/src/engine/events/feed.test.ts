/**
 * Goal: who has read ahead of the shared reader gets the rest of what it read, all of it and once.
 * (The note on an attempt was once left out for a watcher that had just seen the attempt's last delta.)
 */
import { expect, test } from "vitest";
import type { RunEvent } from "./event-types.ts";
import { eventsAfter, type Piece } from "./feed.ts";
import { makeCursor, type Position, START } from "./position.ts";

function at(seq: number, number: number, notes = 0): Position {
  return { ...START, seq, fence: 1, number, notes };
}

function event(type: string): RunEvent {
  return {
    cursor: "",
    runId: "run",
    eventId: type,
    parentEventId: "run",
    type,
    class: "delta",
    serverAt: 0,
  };
}

const placed = [
  { event: event("delta 4"), after: at(1, 4) },
  { event: event("delta 5"), after: at(1, 5) },
  { event: event("commit"), after: at(1, 5, 1) },
  { event: event("entry"), after: at(2, 5) },
];
const all = placed.map((one) => one.event);
const piece: Piece = {
  from: at(1, 3),
  to: at(2, 5),
  placed,
  events: { all, checkpoint: [], delta: all },
  bytes: 0,
};

test.each([
  ["before it", at(1, 3), ["delta 4", "delta 5", "commit", "entry"]],
  ["in the middle of the deltas", at(1, 4), ["delta 5", "commit", "entry"]],
  ["after the last delta", at(1, 5), ["commit", "entry"]],
  ["after the note", at(1, 5, 1), ["entry"]],
  ["at its end", at(2, 5), []],
])("a follower that stands %s", (_, position, expected) => {
  expect(eventsAfter(piece, position, "all").map(({ type }) => type)).toEqual(expected);
});

test("an entry that closes a fence is not shown again to a watcher that is past it without its deltas", () => {
  const entry = { seq: 2, at: 0, type: "workflow.waiting", key: "", attempt: 0, meta: {} } as const;
  const waiting: RunEvent = {
    ...event("workflow.waiting"),
    class: "checkpoint",
    entry: { ...entry, payload: undefined },
  };
  const closing: Piece = {
    from: at(1, 3),
    to: at(2, 0x7fff_ffff),
    placed: [{ event: waiting, after: at(2, 0x7fff_ffff) }],
    events: { all: [waiting], checkpoint: [waiting], delta: [] },
    bytes: 0,
  };
  expect(eventsAfter(closing, { ...START, seq: 2 }, "all")).toEqual([]);
  expect(eventsAfter(closing, { ...START, seq: 1 }, "all")).toEqual([waiting]);
});

test("what is only shown does not lead a watcher that is ahead back to what it has seen", () => {
  const from = at(10, 3);
  const started = { ...event("workflow.step.started"), cursor: makeCursor(from) };
  const shown: Piece = {
    from,
    to: from,
    placed: [{ event: started, after: from }],
    events: { all: [started], checkpoint: [], delta: [started] },
    bytes: 0,
  };
  expect(eventsAfter(shown, at(11, 3), "all")).toEqual([
    { ...started, cursor: makeCursor(at(11, 3)) },
  ]);
  expect(eventsAfter(shown, from, "all")).toEqual([started]);
});
