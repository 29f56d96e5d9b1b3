/**
 * Goal: several servers on one Postgres are one platform: whatever is asked of one reaches the
 * worker and the watcher at another, soon.
 * Method: three server processes; a run is started on one, executed through another, watched on a
 * third, and steered from each.
 */
import type { Client } from "@grpc/grpc-js";
import {
  EventService,
  RunService,
  RunStatus,
  SignalService,
  StepStartedResponse_Stop_Reason as StopReason,
  WorkflowService,
} from "@pawl/proto";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDatabase } from "../harness/database.ts";
import { connect, rpc, SessionWorker, UnaryWorker } from "../harness/protocol.ts";
import { startServer, type TestServer } from "../harness/server.ts";
import {
  BOOM,
  CHILD,
  fenceOf,
  json,
  jsonOf,
  ms,
  refused,
  SIGNAL,
  SLEEP,
  STEP,
  sleep,
  watch,
} from "./lab.ts";

const servers: TestServer[] = [];
let a: Client;
let b: Client;
let c: Client;
let database = "";

beforeAll(async () => {
  database = await createDatabase("replicas");
  // The first sets the database up, the others find it so.
  servers.push(await startServer({ store: database, args: ["--replica", "a"] }));
  servers.push(
    ...(await Promise.all(
      ["b", "c"].map((name) => startServer({ store: database, args: ["--replica", name] })),
    )),
  );
  const clients = servers.map(({ grpcAddress }) => connect(grpcAddress));
  const [first, second, third] = clients;
  if (first === undefined || second === undefined || third === undefined)
    throw new Error("Too few servers.");
  [a, b, c] = [first, second, third];
});

afterAll(async () => {
  for (const client of [a, b, c]) client.close();
  await Promise.all(servers.map((server) => server.stop()));
});

/** Soon, for a wake-up through the database on a busy machine; the periodic loops take 0.5 s and more. */
const SOON_MS = 10_000;

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  const begun = performance.now();
  const value = await promise;
  const took = performance.now() - begun;
  console.log(`${what}: ${Math.round(took)} ms`);
  expect(took).toBeLessThan(SOON_MS);
  return value;
}

const start = (client: Client, workflow: string, runId: string) =>
  rpc(client, RunService.method.startRun, { workflow, runId, input: json(1) });
const runOf = async (client: Client, runId: string) =>
  (await rpc(client, RunService.method.getRun, { runId })).run;

/** A run that a session at `b` holds. */
async function heldAtB(
  flow: string,
  runId: string,
): Promise<{ worker: SessionWorker; fence: number }> {
  const worker = await SessionWorker.open(b, { workflows: [flow] });
  await start(a, flow, runId);
  return { worker, fence: fenceOf(await worker.next(runId)) };
}

test.concurrent("started on one, executed through another, watched and waited for on a third", async () => {
  const watching = watch(c, { runId: "r1", waitForStart: true });
  const worker = await SessionWorker.open(b, { workflows: ["flow1"] });
  expect(
    (await rpc(c, WorkflowService.method.getWorkflow, { name: "flow1" })).workflow?.spec?.name,
  ).toBe("flow1");
  await start(a, "flow1", "r1");
  const fence = fenceOf(await within(worker.next("r1"), "dispatch across servers"));
  const waiting = rpc(c, RunService.method.waitRun, { runId: "r1" });
  for (let i = 0; i < 10; i += 1) {
    await worker.stepCompleted({
      runId: "r1",
      fence,
      stepKey: `s${i}`,
      attempt: 1,
      output: json(i),
    });
  }
  await worker.completeRun({ runId: "r1", fence, output: json("done") });
  expect(jsonOf((await within(waiting, "outcome across servers")).run?.output)).toBe("done");
  const events = await within(watching, "end of a watch across servers");
  const seqs = events.flatMap(({ entry }) => (entry === undefined ? [] : [entry.seq]));
  expect(seqs).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
  expect(events.at(-1)?.type).toBe("run.completed");
  const listed = await rpc(a, EventService.method.listEvents, { runId: "r1" });
  expect(listed.events).toHaveLength(12);
  worker.close();
});

test.concurrent("a cancel at another server reaches the worker soon, with its reason and grace", async () => {
  const { worker, fence } = await heldAtB("flow2", "r2");
  await rpc(a, RunService.method.cancelRun, { runId: "r2", reason: "enough" });
  const cancel = await within(worker.until("cancel"), "cancel across servers");
  expect(cancel).toMatchObject({ runId: "r2", reason: "enough", fence: fence + 1 });
  await expect(
    worker.stepCompleted({ runId: "r2", fence, stepKey: "a", attempt: 1, output: json(1) }),
  ).rejects.toMatchObject(refused("LEASE_LOST"));
  await worker.failRun({ runId: "r2", fence: cancel.fence, failure: BOOM });
  expect((await runOf(c, "r2"))?.status).toBe(RunStatus.CANCELLED);
  worker.close();
});

/** From now on no server tells another of this run. */
async function loseNews(runId: string): Promise<void> {
  const client = new pg.Client({ connectionString: database });
  await client.connect();
  await client.query(`
    CREATE FUNCTION "lose ${runId}"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
    CREATE TRIGGER "lose ${runId}" BEFORE INSERT ON pawl.nudge FOR EACH ROW
      WHEN (NEW.run_id = '${runId}') EXECUTE FUNCTION "lose ${runId}"()`);
  await client.end();
}

test.concurrent("a pause that the holding server has not heard of holds for what it writes", async () => {
  const { worker, fence } = await heldAtB("flow-unheard", "r-unheard");
  const run = { runId: "r-unheard", fence, stepKey: "sleep", kind: SLEEP };
  await worker.stepStarted({ ...run, wait: { duration: ms(3_600_000) } });
  await loseNews("r-unheard");
  await rpc(a, RunService.method.pauseRun, { runId: "r-unheard" });
  await worker.suspendRun({ runId: "r-unheard", fence });
  expect((await runOf(c, "r-unheard"))?.status).toBe(RunStatus.PAUSED);
  worker.close();
});

test.concurrent("news that are lost between the servers reach the worker all the same, once", async () => {
  await loseNews("r-lost");
  const { worker, fence } = await heldAtB("flow-lost", "r-lost");
  for (const name of ["one", "two"]) {
    const run = { runId: "r-lost", fence, stepKey: `signal:${name}`, kind: SIGNAL };
    await worker.stepStarted({ ...run, wait: { signalName: name } });
    await rpc(c, SignalService.method.sendSignal, { runId: "r-lost", name, payload: json(name) });
    const told = await worker.until("waitResolved", ({ entry }) => jsonOf(entry?.payload) === name);
    expect(told).toMatchObject({ runId: "r-lost", entry: { stepKey: run.stepKey } });
  }
  await sleep(2_500);
  const told = worker.frames.filter((frame) => frame.case === "waitResolved");
  expect(told).toHaveLength(2);
  worker.close();
});

test.concurrent("a pause, and a signal for a run that is held, reach its worker soon", async () => {
  const { worker, fence } = await heldAtB("flow3", "r3");
  await worker.stepStarted({
    runId: "r3",
    fence,
    stepKey: "signal:go",
    kind: SIGNAL,
    wait: { signalName: "go" },
  });
  await rpc(c, SignalService.method.sendSignal, { runId: "r3", name: "go", payload: json("now") });
  const resolved = await within(worker.until("waitResolved"), "signal across servers");
  expect(jsonOf(resolved.entry?.payload)).toBe("now");
  await rpc(a, RunService.method.pauseRun, { runId: "r3" });
  await within(worker.until("pause"), "pause across servers");
  await worker.suspendRun({ runId: "r3", fence });
  await rpc(c, RunService.method.resumeRun, { runId: "r3" });
  const next = await within(worker.next("r3", fence), "resume across servers");
  // What this server remembers of the run is not older than what the others wrote.
  const replay = await worker.stepStarted({
    runId: "r3",
    fence: fenceOf(next),
    stepKey: "signal:go",
    kind: SIGNAL,
    wait: { signalName: "go" },
  });
  expect(replay.outcome.case).toBe("replay");
  worker.close();
});

test.concurrent("the steps of one lease may go through any server", async () => {
  const poller = new UnaryWorker(a, { workflows: ["flow4"] });
  await poller.poll(1);
  await start(c, "flow4", "r4");
  const fence = fenceOf(await poller.next("r4"));
  const ways = [a, b, c].map((client) => new UnaryWorker(client, { workflows: ["flow4"] }));
  for (const [index, way] of [...ways, ...ways].entries()) {
    await way.stepCompleted({
      runId: "r4",
      fence,
      stepKey: `s${index}`,
      attempt: 1,
      output: json(index),
    });
  }
  // The same result through all at once: one entry.
  const message = { runId: "r4", fence, stepKey: "same", attempt: 1, output: json("same") };
  const replies = await Promise.all(ways.map((way) => way.stepCompleted(message)));
  expect(new Set(replies.map(({ seq }) => seq)).size).toBe(1);
  // Other results through all at once: one wins.
  const race = await Promise.allSettled(
    ways.map((way, index) =>
      way.stepCompleted({ ...message, stepKey: "race", output: json(index) }),
    ),
  );
  expect(race.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  for (const loser of race) {
    if (loser.status === "rejected") expect(loser.reason).toMatchObject(refused("COMMIT_CONFLICT"));
  }
  await ways[1]?.completeRun({ runId: "r4", fence, output: json("done") });
  const { entries } = await rpc(c, RunService.method.getJournal, { runId: "r4" });
  expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_, index) => index + 1));
  await expect(poller.stepCompleted({ ...message, stepKey: "late" })).rejects.toMatchObject(
    refused("RUN_TERMINAL"),
  );
});

test.concurrent("a stale lease is refused by every server, also by the one that remembers it", async () => {
  const { worker, fence } = await heldAtB("flow5", "r5");
  await worker.stepCompleted({ runId: "r5", fence, stepKey: "a", attempt: 1, output: json(1) });
  worker.close();
  const other = await SessionWorker.open(c, { workflows: ["flow5"] });
  const next = fenceOf(await other.next("r5", fence));
  for (const client of [a, b, c]) {
    const zombie = new UnaryWorker(client, { workflows: ["flow5"] });
    const call = zombie.stepCompleted({
      runId: "r5",
      fence,
      stepKey: "b",
      attempt: 1,
      output: json("zombie"),
    });
    await expect(call).rejects.toMatchObject(refused("LEASE_LOST"));
    const { outcome } = await zombie.stepStarted({ runId: "r5", fence, stepKey: "b", kind: STEP });
    expect(outcome).toMatchObject({ case: "stop", value: { reason: StopReason.LEASE_LOST } });
  }
  await other.completeRun({ runId: "r5", fence: next, output: json(1) });
  other.close();
});

test.concurrent("a worker that moves to another server keeps its runs", async () => {
  const { worker, fence } = await heldAtB("flow6", "r6");
  const lease = { $typeName: "pawl.v1.Lease" as const, runId: "r6", fence, attempt: 1 };
  worker.close();
  const moved = await SessionWorker.open(c, { workflows: ["flow6"], workerId: worker.workerId }, [
    lease,
  ]);
  expect((await moved.until("welcome")).leases).toMatchObject([{ runId: "r6", fence }]);
  // The first server's grace for the lost connection goes by.
  await sleep(900);
  await moved.stepCompleted({ runId: "r6", fence, stepKey: "a", attempt: 1, output: json(1) });
  await moved.completeRun({ runId: "r6", fence, output: json("done") });
  moved.close();
});

test.concurrent("a timer, and a child's end, wake a run whichever server fires them", async () => {
  const worker = await SessionWorker.open(b, { workflows: ["flow7"] });
  await start(a, "flow7", "r7");
  const fence = fenceOf(await worker.next("r7"));
  const parent = { runId: "r7", stepKey: "child:c" };
  await rpc(c, RunService.method.startRun, {
    workflow: "flow7",
    runId: "r7~c",
    input: json(1),
    parent,
    parentFence: fence,
  });
  await worker.stepStarted({
    runId: "r7",
    fence,
    stepKey: "child:c",
    kind: CHILD,
    wait: { childRunId: "r7~c" },
  });
  await worker.stepStarted({
    runId: "r7",
    fence,
    stepKey: "sleep:s",
    kind: SLEEP,
    wait: { duration: { nanos: 50_000_000 } },
  });
  const members = ["child:c", "sleep:s"].map((value) => ({
    node: { case: "stepKey" as const, value },
  }));
  await worker.suspendRun({
    runId: "r7",
    fence,
    tree: { node: { case: "group", value: { members, needed: 2 } } },
  });
  const child = await worker.next("r7~c");
  await new UnaryWorker(a, { workflows: [] }).completeRun({
    runId: "r7~c",
    fence: fenceOf(child),
    output: json("c"),
  });
  const next = await within(worker.next("r7", fence), "wake-up across servers");
  expect(next.journal.filter(({ type }) => type === "workflow.wait.resolved")).toHaveLength(2);
  await worker.completeRun({ runId: "r7", fence: fenceOf(next), output: json(1) });
  worker.close();
});

test.concurrent("released at one server, written by the old holder at another, claimed at a third: one wins", async () => {
  const names = { workflows: ["flow9"] };
  const holder = await SessionWorker.open(a, names);
  const ids = Array.from({ length: 30 }, (_, i) => `r9-${i}`);
  await Promise.all(ids.map((runId) => start(a, "flow9", runId)));
  const held = new Map<string, number>();
  for (const runId of ids) held.set(runId, fenceOf(await holder.next(runId)));
  const next = await SessionWorker.open(c, names);
  const late = new UnaryWorker(b, names);
  holder.close();
  const done = (call: Promise<unknown>): Promise<boolean> =>
    call.then(
      () => true,
      (error: unknown) => {
        expect(error).toMatchObject(refused("LEASE_LOST"));
        return false;
      },
    );
  await Promise.all(
    ids.map(async (runId, i) => {
      const fence = held.get(runId) ?? 0;
      // Around the moment at which the holder's server gives its runs to others.
      await sleep(350 + 10 * i);
      const step = { stepKey: "s", attempt: 1, output: json("old") };
      const isWritten = await done(late.stepCompleted({ runId, fence, ...step }));
      const isOver = await done(late.completeRun({ runId, fence, output: json("old") }));
      if (isOver) {
        expect(isWritten).toBe(true);
        expect(jsonOf((await runOf(a, runId))?.output)).toBe("old");
        return;
      }
      const item = await next.next(runId, fence);
      const keys = item.journal.map(({ stepKey }) => stepKey);
      expect(keys.includes("s"), `${runId} was given on without what is on record`).toBe(isWritten);
      await next.completeRun({ runId, fence: fenceOf(item), output: json("new") });
      expect(jsonOf((await runOf(a, runId))?.output)).toBe("new");
    }),
  );
  next.close();
});

test.concurrent("a hundred runs over workers at three servers: each executed once", async () => {
  const workers = await Promise.all(
    [a, b, c].map((client) => SessionWorker.open(client, { workflows: ["flow8"] }, [], 0)),
  );
  const ids = Array.from({ length: 100 }, (_, i) => `r8-${i}`);
  await Promise.all(ids.map((runId, i) => start([a, b, c][i % 3] ?? a, "flow8", runId)));
  for (const worker of workers) worker.send({ case: "credits", value: { count: 100 } });
  const seen = (): string[] =>
    workers.flatMap(({ frames }) =>
      frames.flatMap((body) =>
        body.case === "dispatch" ? [body.value.item?.lease?.runId ?? ""] : [],
      ),
    );
  for (let waited = 0; seen().length < 100 && waited < 10_000; waited += 20) await sleep(20);
  await sleep(200);
  expect(seen().sort()).toEqual([...ids].sort());
  for (const worker of workers) worker.close();
});
