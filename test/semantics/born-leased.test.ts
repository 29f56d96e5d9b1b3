/**
 * Goal: a run that becomes ready while a worker has room for it is given to that worker in the very
 * commit; it overtakes nobody, and whatever becomes of that worker or of the server, it is executed.
 * Method: engines over either store, whose commits are looked at, held up and lost.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { StartRun } from "../../server/src/engine/engine-api.ts";
import { BOUNDS } from "../../server/src/model/bounds.ts";
import { openStore } from "../../server/src/store/open.ts";
import type { Batch, BatchResult } from "../../server/src/store/runs.ts";
import type { Store } from "../../server/src/store/store.ts";
import { createDatabase } from "../harness/database.ts";
import {
  caller,
  eventually,
  openEngine,
  start,
  type TestEngine,
  TestWorker,
} from "./engine-fixture.ts";
import { stores } from "./lab.ts";
import { BOOM, json, jsonValue } from "./run-fixture.ts";

/**
 * A store whose commits are noted. What `before` does happens before the next one that writes, what
 * `after` does before the engine hears of one.
 */
class SeenStore {
  readonly store: Store;
  readonly batches: Batch[] = [];
  before: () => Promise<void> | void = () => undefined;
  after: (batch: Batch, result: BatchResult) => Promise<void> | void = () => undefined;

  constructor(inner: Store) {
    const commit = async (batch: Batch): Promise<BatchResult> => {
      const { before } = this;
      if (batch.writes.length > 0) this.before = () => undefined;
      if (batch.writes.length > 0) await before();
      const result = await inner.commit(batch);
      this.batches.push(batch);
      this.claims += batch.claims.length;
      this.claimed += result.claimed.flat().length;
      await this.after(batch, result);
      return result;
    };
    this.store = { ...inner, commit };
  }

  /** What was written of this run, change by change, since the last time. */
  changesOf(runId: string): string[][] {
    return this.batches
      .flatMap(({ writes }) => writes)
      .filter((write) => write.runId === runId)
      .map(({ changes }) => Object.keys(changes).sort());
  }

  /** How many claims were made; a server looks now and then. */
  claims = 0;
  /** How many runs they got. */
  claimed = 0;

  forget(): void {
    this.batches.length = 0;
    this.claimed = 0;
  }
}

const GIVEN = ["lease", "vacancy"];

describe.each(stores)("%s", (kind) => {
  let url = ":memory:";
  let inner: Store;
  let seen: SeenStore;
  let made: TestEngine;
  const others: AsyncDisposable[] = [];

  beforeEach(async () => {
    if (kind === "postgres") url = await createDatabase("born");
    inner = await openStore(url, { thread: false });
    seen = new SeenStore(inner);
    made = await openEngine(seen.store, "one");
  });

  afterEach(async () => {
    for (const other of others.splice(0)) await other[Symbol.asyncDispose]();
    await made[Symbol.asyncDispose]();
    await inner.close();
  });

  /** A worker that has room, and of which the engine knows that nothing is ready for it. */
  async function idle(name: string, credits = 100, workflows = ["flow"]): Promise<TestWorker> {
    const worker = new TestWorker(name, workflows);
    await worker.connect(made.engine, credits);
    await eventually(async () => (seen.claims > 0 ? true : undefined));
    await quiet();
    seen.forget();
    return worker;
  }

  /** Until nothing is written any more. */
  async function quiet(): Promise<void> {
    for (let before = -1; before !== seen.batches.length; ) {
      before = seen.batches.length;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  const startRun = (runId: string, more?: Partial<StartRun>) => start(made.engine, runId, more);

  /** A run that another server makes ready just before the next commit, and says nothing. */
  async function hide(runId: string, more?: Partial<StartRun>): Promise<void> {
    const other = await openEngine({ ...inner, wake: async () => undefined }, `hides ${runId}`);
    others.push(other);
    seen.before = async () => void (await start(other.engine, runId, more));
  }

  const orderOf = (worker: TestWorker): string[] =>
    worker.dispatched.map(({ header }) => header.runId);

  async function end(worker: TestWorker, runId: string): Promise<void> {
    const { fence } = (await worker.next(runId)).header;
    await made.engine.outcomes.complete(caller, { runId, fence, output: json(1), unconsumed: [] });
    worker.connection?.credits(1);
  }

  async function suspend(worker: TestWorker, runId: string, kind: "signal" | "sleep") {
    const { fence } = (await worker.next(runId)).header;
    const wait = kind === "signal" ? { signalName: "go" } : { durationMs: 30 };
    await made.engine.outcomes.suspend(caller, {
      ...{ runId, fence, tree: { key: "w" } },
      waits: [{ key: "w", name: "w", kind, wait }],
    });
    worker.connection?.credits(1);
    return fence;
  }

  test("a start is given out in its own commit, under a fence that has risen", async () => {
    const worker = await idle("w1");
    const { run } = await startRun("r1");
    const { header, journal, input, more } = await worker.next("r1");
    expect(run.header).toMatchObject({ status: "RUNNING", fence: header.fence, attempt: 1 });
    expect(journal.map(({ type }) => type)).toEqual(["run.started"]);
    expect([jsonValue(input), more]).toEqual([{ n: 1 }, false]);
    expect(header.lease?.connectionId).toBe(worker.connection?.connectionId);
    const [row] = await inner.loadRuns([{ org: "default", runId: "r1", afterSeq: 0 }]);
    expect(row?.header).toMatchObject({
      status: "RUNNING",
      fence: header.fence,
      lease: header.lease,
    });
    await quiet();
    expect(seen.changesOf("r1")).toEqual([GIVEN]);
    expect(seen.claimed).toBe(0);
    await end(worker, "r1");
    expect((await made.engine.runs.get(caller, "r1")).header.status).toBe("COMPLETED");
  });

  test.each(["signal", "sleep"] as const)("so is a run that a %s wakes", async (how) => {
    const worker = await idle("w1");
    await startRun("r1");
    const fence = await suspend(worker, "r1", how);
    await quiet();
    if (how === "signal") {
      const sent = { runId: "r1", name: "go", signalId: "s1", payload: json("p"), actor: "" };
      await made.engine.signals.send(caller, sent);
    }
    const { header, journal } = await worker.next("r1", fence);
    expect(header.fence).toBeGreaterThan(fence + 1);
    expect(journal.map(({ seq }) => seq)).toEqual(journal.map((_, i) => i + 1));
    expect(journal.at(-1)?.type).toBe("workflow.wait.resolved");
    if (how === "signal") expect(jsonValue(journal.at(-1)?.payload)).toBe("p");
    expect(seen.changesOf("r1").flat()).not.toContain("ready");
    expect(seen.claimed).toBe(0);
  });

  test("so are a child, its parent when it ends, and a run that is retried", async () => {
    const worker = await idle("w1");
    await startRun("p");
    const { fence } = (await worker.next("p")).header;
    await startRun("c", { parent: { runId: "p", key: "w", fence } });
    await worker.next("c");
    await made.engine.outcomes.suspend(caller, {
      ...{ runId: "p", fence, tree: { key: "w" } },
      waits: [{ key: "w", name: "c", kind: "child", wait: { childRunId: "c" } }],
    });
    await end(worker, "c");
    const again = await worker.next("p", fence);
    const failed = { runId: "p", fence: again.header.fence, failure: BOOM, failedStepKeys: [] };
    await made.engine.outcomes.fail(caller, failed);
    await made.engine.runs.retry(caller, "p");
    await worker.next("p", again.header.fence);
    for (const runId of ["p", "c"]) expect(seen.changesOf(runId).flat()).not.toContain("ready");
    expect(seen.claimed).toBe(0);
  });

  test("not what has a limit, is delayed, or was refused; nor anything once the server drains", async () => {
    const worker = await idle("w1");
    const limit = { concurrency: { limit: 5, key: "" }, fairnessKey: "" };
    await startRun("limited", { flow: limit });
    await startRun("delayed", { delayMs: 20 });
    await worker.next("limited");
    await worker.next("delayed");
    expect(seen.changesOf("limited")[0]).not.toContain("vacancy");
    expect(seen.changesOf("delayed").flat()).toContain("ready");
    await quiet();
    worker.onDispatch = ({ header }) =>
      worker.connection?.nack(header.runId, header.fence, "no room");
    await startRun("refused");
    await eventually(async () => (seen.changesOf("refused").length > 1 ? true : undefined));
    expect(seen.changesOf("refused").slice(0, 2)[0]).toEqual(GIVEN);
    expect(seen.changesOf("refused").slice(1).flat()).not.toContain("vacancy");
    made.engine.drain();
    const { run } = await startRun("late");
    expect(run.header.status).toBe("QUEUED");
    expect(seen.changesOf("late")).toEqual([["ready"]]);
  });

  test("where there is room for some, the best get it, and the others follow in order", async () => {
    const worker = await idle("w1", 2);
    const priorities = [3, 9, 1, 5, 7];
    const started = await Promise.all(
      priorities.map((priority) => startRun(`p${priority}`, { priority })),
    );
    const idsIn = (status: string) =>
      started.flatMap(({ run }) => (run.header.status === status ? [run.header.runId] : [])).sort();
    const [given, queued] = [idsIn("RUNNING"), idsIn("QUEUED").reverse()];
    // Over PostgreSQL they need not be in one batch.
    if (kind === "sqlite") expect(given).toEqual(["p7", "p9"]);
    for (const runId of [...given, ...queued]) await end(worker, runId);
    expect(orderOf(worker).slice(0, 2).toSorted()).toEqual(given);
    expect(orderOf(worker).slice(2)).toEqual(queued);
  });

  test("what the engine has not been told of is not overtaken, unless by a better priority", async () => {
    const worker = await idle("w1", 1);
    await hide("first", { priority: 5 });
    await startRun("second", { priority: 5 });
    await worker.next("first");
    expect(orderOf(worker)).toEqual(["first"]);
    await end(worker, "first");
    await end(worker, "second");
    await quiet();
    await hide("third", { priority: 5 });
    await startRun("fourth", { priority: 6 });
    for (const runId of ["fourth", "third"]) await end(worker, runId);
    expect(orderOf(worker)).toEqual(["first", "second", "fourth", "third"]);
  });

  test("nor is what is ready in other lanes of the same worker", async () => {
    const worker = await idle("w1", 1, ["flow", "other"]);
    await startRun("r1");
    await worker.next("r1");
    await startRun("earlier", { workflow: "other" });
    await startRun("later");
    for (const runId of ["r1", "earlier", "later"]) await end(worker, runId);
    expect(orderOf(worker)).toEqual(["r1", "earlier", "later"]);
  });

  test("a worker that is gone when the commit returns: another one gets the run", async () => {
    const lost = await idle("w1");
    const stays = new TestWorker("w2");
    await stays.connect(made.engine, 1);
    await quiet();
    seen.after = () => {
      seen.after = () => undefined;
      lost.connection?.closed();
    };
    const { run } = await startRun("r1");
    const { header } = await stays.next("r1");
    expect(header.fence).toBeGreaterThan(run.header.fence);
    expect(orderOf(lost)).toEqual([]);
  });

  test("a dispatch that is not acknowledged goes the ordinary way", async () => {
    const silent = await idle("w1");
    silent.onDispatch = () => undefined;
    await startRun("r1");
    const { header } = await silent.next("r1");
    const other = new TestWorker("w2");
    await other.connect(made.engine, 100);
    silent.connection?.draining();
    seen.forget();
    made.clock.forward(BOUNDS.dispatchAckMs + 1);
    await eventually(async () => {
      made.clock.forward(1_000);
      return orderOf(other).includes("r1") ? true : undefined;
    });
    expect((await other.next("r1")).header.fence).toBeGreaterThan(header.fence);
    expect(seen.changesOf("r1").flat()).not.toContain("vacancy");
  });

  test("a server that dies with the commit: the next one gives the run to somebody else", async () => {
    const worker = await idle("w1");
    const died = Promise.withResolvers<void>();
    seen.after = () => died.promise;
    const lost = startRun("r1");
    await eventually(async () => (seen.changesOf("r1").length > 0 ? true : undefined));
    expect(orderOf(worker)).toEqual([]);
    const next = await openEngine(inner, "one");
    others.push(next);
    const other = new TestWorker("w2");
    await other.connect(next.engine, 1);
    const { header } = await other.next("r1");
    expect(header.attempt).toBe(2);
    seen.after = () => undefined;
    died.resolve();
    await lost;
  });

  test("a commit whose answer is lost: the run is taken back from the worker that was not told", async () => {
    const worker = await idle("w1");
    seen.after = () => {
      seen.after = () => undefined;
      throw new Error("The answer is lost.");
    };
    await startRun("r1");
    await eventually(async () => {
      await worker.connection?.heartbeat();
      return orderOf(worker).includes("r1") ? true : undefined;
    });
    await end(worker, "r1");
  });

  test("what comes for a woken run on its way to the worker is told it", async () => {
    const worker = await idle("w1");
    await startRun("r1");
    const fence = await suspend(worker, "r1", "signal");
    await quiet();
    // The journal is read while the run is cancelled.
    const { readJournal } = seen.store;
    let cancelled: Promise<unknown> | undefined;
    const slow: Store["readJournal"] = async (...args) => {
      if (cancelled === undefined) {
        cancelled = made.engine.runs.cancel(caller, {
          runId: "r1",
          reason: "x",
          graceMs: 5_000,
          force: false,
        });
        await cancelled;
      }
      return await readJournal(...args);
    };
    Object.assign(seen.store, { readJournal: slow });
    const sent = { runId: "r1", name: "go", signalId: "s1", payload: json("p"), actor: "" };
    await made.engine.signals.send(caller, sent);
    const { header } = await worker.next("r1", fence);
    await worker.until(() => worker.told.find((one) => one.startsWith("cancel r1")));
    expect(worker.told.at(-1)).toContain(`cancel r1 ${header.fence + 1} x`);
  });
});
