/**
 * Goal: what the store refuses, and a store that does not answer, cost no more than they must.
 * Method: a real engine over SQLite in memory, whose commits fail on purpose.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  caller,
  journalOf,
  openEngine,
  start,
  startedOf,
  type TestEngine,
  TestWorker,
} from "../../../test/semantics/engine-fixture.ts";
import { json } from "../../../test/semantics/run-fixture.ts";
import { StoreError } from "../store/store-error.ts";
import type { Engine } from "./engine.ts";

let made: TestEngine;
let engine: Engine;
let worker: TestWorker;

beforeEach(async () => {
  made = await openEngine();
  engine = made.engine;
  worker = new TestWorker("w1");
  await worker.connect(engine);
});

afterEach(async () => {
  expect(made.warnings).toEqual([]);
  await made[Symbol.asyncDispose]();
});

/** A run that its worker holds; its fence. */
async function held(runId: string): Promise<number> {
  await start(engine, runId);
  return (await worker.next(runId)).header.fence;
}

const signal = (runId: string, id: string) =>
  engine.signals.send(caller, { runId, name: "go", signalId: id, payload: json(1), actor: "" });

describe("commands of one run that are decided anew", () => {
  type Commit = TestEngine["store"]["commit"];
  const ways: Record<string, (commit: Commit) => Commit> = {
    "a store that fails": () => () => Promise.reject(new StoreError("busy", { fault: "away" })),
    "another server's write": (commit) => async (batch) => {
      const result = await commit({ ...batch, writes: [] });
      return { ...result, confirmed: batch.writes.map(() => false) };
    },
  };
  for (const [way, spoilt] of Object.entries(ways))
    test(`stay ahead of those that came meanwhile: ${way}`, async () => {
      const { store } = made;
      await held("r1");
      const commit = store.commit.bind(store);
      const spoil = spoilt(commit);
      const sent: Promise<unknown>[] = [];
      let commits = 0;
      store.commit = async (batch) => {
        commits += 1;
        if (commits > 3) return commit(batch);
        // While the batch is under way.
        sent.push(signal("r1", `s${commits}b`));
        return spoil(batch);
      };
      sent.push(signal("r1", "s0a"), signal("r1", "s0b"));
      await expect.poll(() => sent.length).toBe(5);
      await Promise.all(sent);
      const ids = (await journalOf(engine, "r1")).flatMap(({ meta }) => meta.signalId ?? []);
      expect(ids).toEqual(["s0a", "s0b", "s1b", "s2b", "s3b"]);
      made.warnings.length = 0;
    });
});

describe("a command that the store refuses for its data", () => {
  const isPoison = ({ runId }: { readonly runId: string }): boolean => runId.startsWith("bad");
  const refusal = { status: "rejected", reason: { reason: "INVALID_ARGUMENT" } };

  test("fails alone, wherever it stands among others, and the store counts as well", async () => {
    const { store } = made;
    const { commit } = store;
    store.commit = (batch) =>
      batch.writes.some(isPoison)
        ? Promise.reject(new StoreError("invalid byte sequence", { fault: "data" }))
        : commit.call(store, batch);
    for (const culprits of [[0], [6], [12], [0, 5, 12], [3, 4]]) {
      const ids = Array.from({ length: 13 }, (_, i) =>
        culprits.includes(i) ? `bad${culprits}-${i}` : `good${culprits}-${i}`,
      );
      const results = await Promise.allSettled(
        ids.map((id) => start(engine, id, { delayMs: 60_000 })),
      );
      for (const [i, result] of results.entries())
        expect(result, ids[i]).toMatchObject(
          culprits.includes(i) ? refusal : { status: "fulfilled" },
        );
    }
    expect(engine.ready()).toBe(true);
    expect(made.warnings).toHaveLength(8);
    made.warnings.length = 0;
    store.commit = commit;
  });

  test("for one signal among several of a run: the others are recorded, in their order", async () => {
    await start(engine, "r", { delayMs: 60_000 });
    const { store } = made;
    const { commit } = store;
    store.commit = (batch) =>
      batch.writes.some(({ entries }) => entries.some(({ meta }) => meta.signalId === "bad"))
        ? Promise.reject(new StoreError("too big", { fault: "data" }))
        : commit.call(store, batch);
    const results = await Promise.allSettled(["a", "bad", "b", "c"].map((id) => signal("r", id)));
    store.commit = commit;
    expect(results.map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "fulfilled",
      "fulfilled",
    ]);
    const journal = await journalOf(engine, "r");
    expect(journal.map(({ type }) => type)).toEqual([
      "run.started",
      ...Array.from({ length: 3 }, () => "workflow.signal.received"),
    ]);
    made.warnings.length = 0;
  });

  test("or that cannot be written for a fault of the server's: the others do not notice", async () => {
    const { store } = made;
    const { loadRuns } = store;
    await Promise.all(["bad", "good"].map((id) => start(engine, id, { delayMs: 60_000 })));
    store.loadRuns = (refs) => {
      if (refs.some(isPoison)) throw new TypeError("cannot be read");
      return loadRuns.call(store, refs);
    };
    const results = await Promise.allSettled([signal("bad", "s"), signal("good", "s")]);
    store.loadRuns = loadRuns;
    expect(results).toMatchObject([
      { status: "rejected", reason: { message: "cannot be read" } },
      { status: "fulfilled" },
    ]);
    expect(engine.ready()).toBe(true);
    made.warnings.length = 0;
  });
});

describe("a store that does not answer", () => {
  test("after it wrote a start: the asker gets its step to execute all the same", async () => {
    const fence = await held("r");
    const { store } = made;
    const { commit } = store;
    store.commit = async (...args) => {
      store.commit = commit;
      await commit.apply(store, args);
      throw new StoreError("the reply is lost");
    };
    const reply = await engine.steps.start(caller, startedOf("r", fence, "a"));
    expect(reply.outcome).toMatchObject({ kind: "execute", attempt: 1 });
    const twin = await engine.steps.start(caller, startedOf("r", fence, "a"));
    expect(twin.outcome).toMatchObject({ kind: "wait", why: "in_progress" });
    made.warnings.length = 0;
  });

  test("is STORE_UNAVAILABLE to readers, too, with a word when to try again", async () => {
    await held("r");
    const { store } = made;
    const { readJournal } = store;
    store.readJournal = () => Promise.reject(new StoreError("gone"));
    const refused = { reason: "STORE_UNAVAILABLE", retryAfterMs: 500 };
    await expect(
      engine.runs.journal(caller, { runId: "r", afterSeq: 0, entriesMax: 10 }),
    ).rejects.toMatchObject(refused);
    store.readJournal = readJournal;
    await engine.runs.journal(caller, { runId: "r", afterSeq: 0, entriesMax: 10 });
  });

  test("for one run, whose data is damaged, answers so for that run, and for no other", async () => {
    await Promise.all(["bad", "good"].map((id) => start(engine, id, { delayMs: 60_000 })));
    const { store } = made;
    const { loadRuns } = store;
    store.loadRuns = (refs) =>
      refs.some(({ runId }) => runId === "bad")
        ? Promise.reject(new StoreError("crc", {}, { runId: "bad", seq: 1 }))
        : loadRuns.call(store, refs);
    const results = await Promise.allSettled([signal("bad", "s"), signal("good", "s")]);
    expect(results).toMatchObject([
      {
        status: "rejected",
        reason: { reason: "DATA_CORRUPTED", metadata: { run_id: "bad", seq: "1" } },
      },
      { status: "fulfilled" },
    ]);
    await expect(engine.runs.get(caller, "bad")).rejects.toMatchObject({
      reason: "DATA_CORRUPTED",
    });
    expect(engine.ready()).toBe(true);
    store.loadRuns = loadRuns;
  });
});
