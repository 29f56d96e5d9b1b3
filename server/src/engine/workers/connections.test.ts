/**
 * Goal: the news of a run go to the connection that holds it, whatever a connection does that held it
 * before. (A worker that came back late once took away the news of the run's new holder.)
 */
import { expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { Connections, LocalConnection } from "./connections.ts";
import type { ConnectionSink, WorkerInfo } from "./worker-types.ts";

const sink: ConnectionSink = {
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
  const connections = new Connections(systemClock);
  const late = new LocalConnection("late", "default", worker("late"), sink);
  const next = new LocalConnection("next", "default", worker("next"), sink);
  connections.add(late);
  connections.add(next);
  const hold = (connection: LocalConnection, fence: number) =>
    connections.hold(connection, "run", "default", { runId: "run", fence }, 0, true);
  return { connections, late, next, hold };
}

test("a run that was given to another connection is that one's, though the first lets go of it", () => {
  const { connections, late, next, hold } = two();
  expect(hold(late, 2)).toBe(true);
  expect(hold(next, 4)).toBe(true);
  expect(late.held.has("run")).toBe(false);
  connections.drop(late, "run");
  expect(connections.holder("run")).toBe(next);
  connections.remove(late);
  expect(connections.holder("run")).toBe(next);
});

test("who comes late with an earlier fence does not hold it", () => {
  const { connections, late, next, hold } = two();
  expect(hold(next, 4)).toBe(true);
  expect(hold(late, 2)).toBe(false);
  expect(connections.holder("run")).toBe(next);
  expect(late.held.has("run")).toBe(false);
});

test("nor does it who holds it under a later fence, by what comes late", () => {
  const { connections, next, hold } = two();
  expect(hold(next, 4)).toBe(true);
  expect(hold(next, 2)).toBe(false);
  expect(next.held.get("run")?.fence).toBe(4);
  expect(connections.holder("run")).toBe(next);
});

test("an acknowledgement that waited while the server stood still is read before a run is given anew", () => {
  let now = 0;
  const connections = new Connections({ ...systemClock, now: () => now });
  const connection = new LocalConnection("only", "default", worker("only"), sink);
  connection.open = true;
  connections.add(connection);
  for (const runId of ["acked", "silent"])
    connections.hold(connection, runId, "default", { runId, fence: 1 }, 0, false);
  const late = () => connections.unacknowledged().map(({ key }) => key);
  now += BOUNDS.dispatchAckMs;
  expect(late()).toEqual([]);
  now += 60_000;
  expect(late()).toEqual([]);
  const acked = connection.held.get("acked");
  if (acked !== undefined) acked.acked = true;
  expect(late()).toEqual(["silent"]);
});
