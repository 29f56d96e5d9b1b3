/**
 * Goal: what workers register holds for all runs of their workflows, and each process is known.
 * Method: workers of an engine over a database in memory.
 */
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  caller,
  openEngine,
  start,
  type TestEngine,
  TestWorker,
} from "../../../../test/semantics/engine-fixture.ts";
import type { Engine } from "../engine.ts";

let made: TestEngine;
let engine: Engine;

beforeEach(async () => {
  made = await openEngine();
  engine = made.engine;
});

afterEach(() => made[Symbol.asyncDispose]());

test("a workflow's time limits hold for every start that sets none of its own", async () => {
  const timed = new TestWorker("timed", ["slow"]);
  const [spec] = timed.info.workflows;
  if (spec === undefined) throw new Error("No workflow.");
  const timeouts = JSON.stringify({ runTimeoutMs: 70_000, queueTimeoutMs: 80_000 });
  const info = { ...timed.info, workflows: [{ ...spec, timeouts }] };
  await engine.workers.attach(caller, { worker: info, held: [] }, timed);
  const { run } = await start(engine, "by-name", { workflow: "slow" });
  expect(run.header.options).toMatchObject({ runTimeoutMs: 70_000, queueTimeoutMs: 80_000 });
  const own = await start(engine, "own", { workflow: "slow", runTimeoutMs: 5_000 });
  expect(own.run.header.options).toMatchObject({ runTimeoutMs: 5_000, queueTimeoutMs: 80_000 });
});

test("a later registration replaces the schemas and keeps the versions, also of workers at once", async () => {
  const [spec] = new TestWorker("w", ["ship"]).info.workflows;
  if (spec === undefined) throw new Error("No workflow.");
  const register = (version: string, description = "") => {
    const worker = new TestWorker(`w${version}`);
    const workflows = [{ ...spec, version, description }];
    return engine.workers.attach(
      caller,
      { worker: { ...worker.info, workflows }, held: [] },
      worker,
    );
  };
  await register("1");
  await Promise.all([register("2"), register("10"), register("")]);
  await register("1", "again");
  const { spec: last, versions } = await engine.registry.getWorkflow(caller, "ship");
  expect(last).toMatchObject({ version: "1", description: "again" });
  expect(versions.toSorted()).toEqual(["", "1", "10", "2"]);
  expect(versions.at(-1)).toBe("1");
});

test("each process of a worker is listed, with what it has in flight", async () => {
  const [one, two] = [new TestWorker("host#1"), new TestWorker("host#2")];
  const worker = new TestWorker("w1");
  await worker.connect(engine);
  await start(engine, "r");
  await worker.next("r");
  await one.connect(engine);
  await two.connect(engine);
  const workers = await engine.registry.listWorkers(caller);
  const seen = workers.map(({ info, connected }) => [info.workerId, info.instanceId, connected]);
  expect(seen).toEqual(
    expect.arrayContaining([
      ["host", "host#1", true],
      ["host", "host#2", true],
    ]),
  );
  expect(workers.find(({ info }) => info.workerId === "w1")?.inFlight).toBe(1);
});
