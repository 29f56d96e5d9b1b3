/**
 * Goal: a watcher sees every entry once, in order, and the end last; nothing is kept for nobody.
 * Method: watchers that start at every moment of a run's life, on a real engine in memory.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  caller,
  completedOf,
  openEngine,
  start,
  type TestEngine,
  TestWorker,
} from "../../../../test/semantics/engine-fixture.ts";
import { json } from "../../../../test/semantics/run-fixture.ts";
import { Hub } from "../../hub/hub.ts";
import { BOUNDS } from "../../model/bounds.ts";
import type { Engine } from "../engine.ts";
import type { NewEvent, RunEvent, WatchRun } from "./event-types.ts";

let made: TestEngine;
let engine: Engine;
let worker: TestWorker;

beforeEach(async () => {
  made = await openEngine();
  engine = made.engine;
  worker = new TestWorker("w1");
  await worker.connect(engine);
});

afterEach(() => made[Symbol.asyncDispose]());

function watch(runId: string, more: Partial<WatchRun> = {}): Promise<RunEvent[]> {
  return collect(watching(runId, more));
}

function watching(
  runId: string,
  more: Partial<WatchRun> = {},
  signal = AbortSignal.timeout(20_000),
) {
  const request = {
    runId,
    checkpoints: true,
    deltas: true,
    afterCursor: "",
    fromNow: false,
    waitForStart: false,
    includeChildren: false,
  };
  return engine.events.watch(caller, { ...request, ...more }, signal);
}

async function collect(events: AsyncIterable<readonly RunEvent[]>): Promise<RunEvent[]> {
  const all: RunEvent[] = [];
  for await (const batch of events) all.push(...batch);
  return all;
}

const types = (events: readonly RunEvent[]): string[] => events.map(({ type }) => type);

async function begin(runId: string): Promise<number> {
  await start(engine, runId);
  return (await worker.next(runId)).header.fence;
}

const finish = (runId: string, fence: number) =>
  engine.outcomes.complete(caller, { runId, fence, output: json("done"), unconsumed: [] });

function delta(type: string, sequence: number, size = 0): NewEvent {
  const payload = { encoding: "bytes", data: Buffer.alloc(size) } as const;
  return {
    type,
    key: "a",
    attempt: 1,
    contentIndex: 0,
    sequence,
    sourceAt: 0,
    parentEventId: "",
    eventId: "",
    policy: "buffered",
    payload,
  };
}

describe("checkpoints", () => {
  test("are seen once and in order, whenever the watcher comes; the end is last and once", async () => {
    const early = watch("r", { waitForStart: true });
    const fence = await begin("r");
    const watchers = [early];
    const cursors: string[] = [];
    const cursorWatch = (async () => {
      for await (const batch of watching("r")) cursors.push(...batch.map(({ cursor }) => cursor));
    })();
    for (let i = 0; i < 50; i += 1) {
      watchers.push(watch("r"));
      await engine.steps.complete(caller, completedOf("r", fence, `s${i}`));
    }
    await finish("r", fence);
    watchers.push(watch("r"));
    const expected = [
      "run.started",
      ...Array.from({ length: 50 }, () => "workflow.step.completed"),
      "run.completed",
    ];
    for (const seen of await Promise.all(watchers)) {
      expect(types(seen)).toEqual(expected);
      expect(seen.map(({ entry }) => entry?.seq)).toEqual(expected.map((_, index) => index + 1));
    }
    await cursorWatch;
    // Going on after any event gives exactly the rest.
    for (const [index, afterCursor] of cursors.entries()) {
      expect((await watch("r", { afterCursor })).length).toBe(expected.length - index - 1);
    }
  });

  test("from now on only", async () => {
    const fence = await begin("r");
    await engine.steps.complete(caller, completedOf("r", fence, "before"));
    const seen = watch("r", { fromNow: true });
    await new Promise((resolve) => setTimeout(resolve, 30));
    await engine.steps.complete(caller, completedOf("r", fence, "after"));
    await finish("r", fence);
    expect((await seen).map(({ entry }) => entry?.key)).toEqual(["after", ""]);
  });

  test("of an unknown run are NOT_FOUND; a cursor that nobody gave out is refused", async () => {
    await expect(watch("r")).rejects.toMatchObject({ reason: "NOT_FOUND" });
    await begin("r");
    await expect(watch("r", { afterCursor: "nonsense" })).rejects.toMatchObject({
      reason: "INVALID_ARGUMENT",
    });
  });

  test("of a run that was retried continue after its first end", async () => {
    const fence = await begin("r");
    await engine.outcomes.fail(caller, {
      runId: "r",
      fence,
      failure: { type: "Boom", message: "no" },
      failedStepKeys: [],
    });
    expect(types(await watch("r")).at(-1)).toBe("run.failed");
    await engine.runs.retry(caller, "r");
    const next = (await worker.next("r", fence)).header.fence;
    const seen = watch("r");
    await finish("r", next);
    expect(types(await seen)).toEqual([
      "run.started",
      "run.failed",
      "run.retried",
      "run.completed",
    ]);
  });

  test("come in pages where there are many", async () => {
    const fence = await begin("r");
    const many = BOUNDS.journalPageEntries + 50;
    await Promise.all(
      Array.from({ length: many }, (_, i) =>
        engine.steps.complete(caller, completedOf("r", fence, `s${i}`)),
      ),
    );
    await finish("r", fence);
    expect((await watch("r")).length).toBe(many + 2);
    let afterCursor = "";
    let listed = 0;
    do {
      const page = await engine.events.list(caller, {
        runId: "r",
        checkpoints: true,
        deltas: true,
        afterCursor,
        pageSize: 200,
      });
      listed += page.events.length;
      afterCursor = page.nextCursor;
    } while (afterCursor !== "");
    expect(listed).toBe(many + 2);
  });
});

describe("a run that is deleted", () => {
  test("and started anew does not keep a watcher of the old one busy", async () => {
    const fence = await begin("r");
    const gone = new AbortController();
    const open = watching("r", {}, gone.signal)[Symbol.asyncIterator]();
    await open.next();
    for (let i = 0; i < 5; i += 1)
      await engine.steps.complete(caller, completedOf("r", fence, `s${i}`));
    await finish("r", fence);
    await engine.runs.delete(caller, "r");
    const again = await begin("r");
    let reads = 0;
    const { readJournal } = made.store;
    made.store.readJournal = (...args) => {
      reads += 1;
      return readJournal.apply(made.store, args);
    };
    const seen = watch("r");
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(reads).toBeLessThan(20);
    await finish("r", again);
    expect(types(await seen)).toEqual(["run.started", "run.completed"]);
    gone.abort();
  });
});

describe("deltas", () => {
  const publish = (fence: number, first: number, ...deltas: NewEvent[]) =>
    engine.events.publish(caller, { runId: "r", fence, events: deltas, first });

  test("come between the entries that they were sent between; a stale fence's are dropped", async () => {
    const fence = await begin("r");
    const seen = watch("r");
    await new Promise((resolve) => setTimeout(resolve, 50));
    // Also without waiting for them to be on record.
    const published = [publish(fence, 1, delta("one", 1), delta("two", 2))];
    await engine.steps.complete(caller, completedOf("r", fence, "a"));
    published.push(publish(fence, 3, { ...delta("three", 1), key: "b" }));
    expect(await Promise.all(published)).toEqual([
      { accepted: 2, acknowledged: 2 },
      { accepted: 1, acknowledged: 3 },
    ]);
    expect((await publish(fence - 1, 1, delta("stale", 1))).accepted).toBe(0);
    await finish("r", fence);
    expect(types(await seen)).toEqual([
      "run.started",
      "one",
      "two",
      "commit",
      "workflow.step.completed",
      "three",
      "rollback",
      "run.completed",
    ]);
    expect((await publish(fence, 4, delta("late", 4))).accepted).toBe(0);
  });

  test("that have had their time are no gap in a list, but to a watcher that comes back", async () => {
    const fence = await begin("r");
    await publish(fence, 1, delta("one", 1), delta("two", 2));
    await engine.steps.complete(caller, completedOf("r", fence, "a"));
    await publish(fence, 3, { ...delta("kept", 1), key: "b", policy: "durable" });
    const list = async () => {
      const all = { runId: "r", checkpoints: true, deltas: true, afterCursor: "", pageSize: 100 };
      return (await engine.events.list(caller, all)).events;
    };
    const before = await list();
    const cursor = before.find(({ type }) => type === "one")?.cursor ?? "";
    await made.store.deleteDeltas(caller, "r", [{ fence, first: 1 }]);
    // As long as they should be there, it reports trouble that they are not.
    expect(types(await list())).toContain("gap");
    made.clock.set(2 * BOUNDS.deltaGraceMs);
    const rest = ["commit", "workflow.step.completed", "kept"];
    expect(types(await list())).toEqual(["run.started", ...rest]);
    const back = new AbortController();
    const seen: string[] = [];
    for await (const events of watching("r", { afterCursor: cursor }, back.signal)) {
      seen.push(...types(events));
      if (seen.includes("kept")) break;
    }
    expect(seen).toEqual(["gap", ...rest]);
  });

  test("that a slow reader missed let it go, with the cursor to continue from", async () => {
    const fence = await begin("r");
    const open = watching("r")[Symbol.asyncIterator]();
    await publish(fence, 1, delta("first", 1));
    let cursor = "";
    while (cursor === "" || !cursor) {
      const next = await open.next();
      cursor = (next.value ?? []).find(({ type }: RunEvent) => type === "first")?.cursor ?? "";
    }
    const waiting = open.next();
    const size = 64 * 1024;
    const count = (2 * BOUNDS.watcherBufferedBytes) / size;
    for (let i = 0; i < count; i += 1) await publish(fence, i + 2, delta("more", i + 2, size));
    await waiting;
    let refusal: unknown;
    for (;;) {
      const next = await open.next().catch((error: unknown) => {
        refusal = error;
      });
      if (next === undefined || next.done === true) break;
    }
    expect(refusal).toMatchObject({ reason: "SLOW_CONSUMER" });
    await finish("r", fence);
    const rest = await watch("r", { afterCursor: cursor });
    expect(rest.filter(({ type }) => type === "more")).toHaveLength(count);
  });
});

describe("the hub", () => {
  const signal = new AbortController().signal;

  test("keeps a channel for those who watch only", () => {
    const hub = new Hub<string>();
    hub.wakeAfterCommit("k", false);
    expect(hub.size).toBe(0);
    const watcher = hub.watch("k");
    const shown: string[] = [];
    watcher.onPublish((event) => shown.push(event));
    hub.publish("k", "e");
    hub.wakeAfterCommit("k", true);
    expect(watcher.ended).toBe(true);
    watcher.close();
    hub.publish("k", "late");
    expect([hub.size, shown]).toEqual([0, ["e"]]);
  });

  test("wakes each waiter once, also one that gave up", async () => {
    const hub = new Hub<string>();
    const watcher = hub.watch("k");
    const gaveUp = new AbortController();
    const waits = [watcher.changed(signal), watcher.changed(gaveUp.signal)];
    gaveUp.abort();
    await waits[1];
    hub.wakeAfterCommit("k", false);
    await waits[0];
    watcher.close();
    watcher.close();
    expect(hub.watched()).toEqual([]);
  });

  test("wakes for a mark that is news, and not for the same again", () => {
    const hub = new Hub<string>();
    const watcher = hub.watch("k");
    const mark = { seq: 1, fence: 0, number: 0 };
    hub.wakeIfNews("k", mark, false);
    const { version } = watcher;
    hub.wakeIfNews("k", { ...mark }, false);
    expect(watcher.version).toBe(version);
    hub.wakeIfNews("k", { ...mark, fence: 1, number: 3 }, false);
    expect(watcher.version).toBe(version + 1);
    watcher.close();
  });
});
