/**
 * Goal: the news of a run go to the session that holds it, whatever a session does that held it
 * before. (A worker that came back late once took away the news of the run's new holder.)
 */
import { expect, test } from "vitest";
import { systemClock } from "../lib/clock.ts";
import { LIMITS } from "../model/limits.ts";
import type { SessionSink, WorkerInfo } from "./api.ts";
import { LocalSession, Sessions } from "./sessions.ts";

const sink: SessionSink = {
  dispatch: () => undefined,
  cancel: () => undefined,
  pause: () => undefined,
  waitResolved: () => undefined,
  reserve: () => () => undefined,
  reserveReply: () => undefined,
  leaseResults: () => undefined,
  drain: () => undefined,
  close: () => undefined,
};

function worker(workerId: string): WorkerInfo {
  return {
    workerId,
    instanceId: workerId,
    language: "test",
    sdkVersion: "",
    buildVersion: "",
    workflows: [],
    queues: ["default"],
    labels: {},
    slots: 1,
  };
}

function two() {
  const sessions = new Sessions(systemClock);
  const late = new LocalSession("late", "default", worker("late"), sink);
  const next = new LocalSession("next", "default", worker("next"), sink);
  sessions.add(late);
  sessions.add(next);
  const hold = (session: LocalSession, fence: number) =>
    sessions.hold(session, "run", "default", { runId: "run", fence }, 0, true);
  return { sessions, late, next, hold };
}

test("a run that was given to another session is that one's, though the first lets go of it", () => {
  const { sessions, late, next, hold } = two();
  expect(hold(late, 2)).toBe(true);
  expect(hold(next, 4)).toBe(true);
  expect(late.held.has("run")).toBe(false);
  sessions.drop(late, "run");
  expect(sessions.holder("run")).toBe(next);
  sessions.remove(late);
  expect(sessions.holder("run")).toBe(next);
});

test("who comes late with an earlier fence does not hold it", () => {
  const { sessions, late, next, hold } = two();
  expect(hold(next, 4)).toBe(true);
  expect(hold(late, 2)).toBe(false);
  expect(sessions.holder("run")).toBe(next);
  expect(late.held.has("run")).toBe(false);
});

test("an acknowledgement that waited while the server stood still is read before a run is given anew", () => {
  let now = 0;
  const sessions = new Sessions({ ...systemClock, now: () => now });
  const session = new LocalSession("only", "default", worker("only"), sink);
  session.open = true;
  sessions.add(session);
  for (const runId of ["acked", "silent"])
    sessions.hold(session, runId, "default", { runId, fence: 1 }, 0, false);
  const late = () => sessions.unacknowledged().map(({ key }) => key);
  now += LIMITS.dispatchAckMs;
  expect(late()).toEqual([]);
  now += 60_000;
  expect(late()).toEqual([]);
  const acked = session.held.get("acked");
  if (acked !== undefined) acked.acked = true;
  expect(late()).toEqual(["silent"]);
});
