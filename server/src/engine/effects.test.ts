/**
 * Goal: a worker hears of every wait of its run that is resolved, no matter who resolved it and whatever
 * became of the answer to the commit and of the news.
 * Method: engines over one SQLite database in memory, with nothing that tells one of the other.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  caller,
  completedOf,
  openEngine,
  start,
  startedOf,
  type TestEngine,
  TestWorker,
} from "../../../test/semantics/engine-fixture.ts";
import { json } from "../../../test/semantics/run-fixture.ts";
import { deferred } from "../lib/deferred.ts";
import type { StepKind } from "../model/entry.ts";
import type { Question } from "../model/question.ts";
import { StoreError } from "../store/store-error.ts";
import type { WaitSpec } from "./waits/wait-types.ts";

let made: TestEngine;
let worker: TestWorker;
let fence: number;

beforeEach(async () => {
  made = await openEngine();
  worker = new TestWorker("w1");
  await worker.connect(made.engine);
  await start(made.engine, "r");
  fence = (await worker.next("r")).header.fence;
});

afterEach(() => made[Symbol.asyncDispose]());

/** Registers a wait for a signal, or a timer of that many ms. */
async function wait(key: string, ms?: number): Promise<void> {
  const spec = ms === undefined ? { signalName: key } : { durationMs: ms };
  const kind = ms === undefined ? "signal" : "sleep";
  const command = { ...startedOf("r", fence, key), kind, wait: spec } as const;
  const { outcome } = await made.engine.steps.start(caller, command);
  expect(outcome.kind).toBe("wait");
}

/** The resolution of that wait, once the worker was told of it. */
function told(key: string) {
  return worker.until(() => worker.resolved.find((entry) => entry.key === key));
}

/** The next commit is carried out, and its answer is lost. */
function loseAnswer(): void {
  const { store } = made;
  const { commit } = store;
  store.commit = async (batch) => {
    store.commit = commit;
    await commit.call(store, batch);
    throw new StoreError("the answer is lost");
  };
}

describe("a resolved wait is told to the holder of the run", () => {
  test("when the answer to the commit that fired its timer was lost", async () => {
    await wait("nap", 40);
    loseAnswer();
    expect((await told("nap")).meta.outcome).toBe("fired");
  });

  test("when the answer to the commit of a signal was lost", async () => {
    await wait("go");
    loseAnswer();
    await made.engine.signals.send(caller, {
      runId: "r",
      name: "go",
      signalId: "s1",
      payload: json("payload"),
      actor: "",
    });
    const entry = await told("go");
    expect(entry.payload).toMatchObject(json("payload"));
  });

  test("when another server resolved it, at the latest with the next write", async () => {
    await wait("go");
    await wait("stay");
    await using other = await openEngine(made.store, "other");
    await other.engine.signals.send(caller, {
      runId: "r",
      name: "go",
      signalId: "s1",
      payload: json("payload"),
      actor: "",
    });
    expect(worker.resolved).toEqual([]);
    await made.engine.steps.complete(caller, completedOf("r", fence, "step"));
    expect((await told("go")).payload).toMatchObject(json("payload"));
    expect(worker.resolved.map(({ key }) => key)).toEqual(["go"]);
  });

  test("when nobody says a word, and nothing is written any more", async () => {
    await wait("go");
    await wait("stay");
    await using other = await openEngine(made.store, "other");
    await other.engine.signals.send(caller, {
      runId: "r",
      name: "go",
      signalId: "s1",
      payload: json("payload"),
      actor: "",
    });
    expect((await told("go")).payload).toMatchObject(json("payload"));
    expect(worker.resolved.map(({ key }) => key)).toEqual(["go"]);
  });

  test("when the answer to the commit was lost, and the store failed again right after it", async () => {
    await wait("go");
    loseAnswer();
    const { store } = made;
    const { loadRuns } = store;
    let failures = 0;
    store.loadRuns = async (refs) => {
      // Those who look for what was missed, not those who decide anew.
      if (refs.every(({ afterSeq }) => afterSeq === 0) || failures > 0)
        return loadRuns.call(store, refs);
      failures += 1;
      throw new StoreError("gone again");
    };
    await made.engine.signals.send(caller, {
      runId: "r",
      name: "go",
      signalId: "s1",
      payload: json("payload"),
      actor: "",
    });
    expect((await told("go")).payload).toMatchObject(json("payload"));
    expect(failures).toBe(1);
    expect(worker.resolved.map(({ key }) => key)).toEqual(["go"]);
  });
});

describe("a wait that is resolved in the batch of its registration", () => {
  /** Holds up the writes of the run, so that those that `send` sends make up one batch. */
  async function inOneBatch(send: () => Promise<unknown>[]): Promise<void> {
    const { store, engine } = made;
    const { commit } = store;
    const gate = deferred<void>();
    const held = deferred<void>();
    store.commit = async (batch) => {
      store.commit = async (next) => {
        expect(next.writes).toHaveLength(1);
        store.commit = commit;
        return commit.call(store, next);
      };
      held.resolve();
      await gate.promise;
      return commit.call(store, batch);
    };
    const before = engine.steps.complete(caller, completedOf("r", fence, "before"));
    await held.promise;
    const sent = send();
    // Some read before they write.
    await new Promise((resolve) => setTimeout(resolve, 10));
    gate.resolve();
    await Promise.all([before, ...sent]);
  }

  const question: Question = { prompt: "Well?", type: "text" };
  const open = (key: string, kind: StepKind, spec: WaitSpec) =>
    made.engine.steps.start(caller, startedOf("r", fence, key, { kind, wait: spec }));
  const answer = (key: string) =>
    made.engine.waits.answer(caller, {
      runId: "r",
      key,
      resolutionId: "",
      answer: json("yes"),
      actor: "ada",
      comment: "",
      via: "api",
    });

  test.each<[string, StepKind, WaitSpec, (key: string) => Promise<unknown>]>([
    [
      "by a signal",
      "signal",
      { signalName: "go" },
      () =>
        made.engine.signals.send(caller, {
          runId: "r",
          name: "go",
          signalId: "s1",
          payload: json(1),
          actor: "",
        }),
    ],
    ["by an answer", "user", { question }, answer],
    ["by a callback", "callback", {}, answer],
    [
      "by cancelWait",
      "sleep",
      { durationMs: 100_000 },
      (key) => made.engine.waits.cancel(caller, { runId: "r", key }, { actor: "", comment: "" }),
    ],
  ])("%s is told to the holder", async (_, kind, spec, end) => {
    await inOneBatch(() => [open("w", kind, spec), end("w")]);
    const entry = await told("w");
    expect(entry.type).toBe("workflow.wait.resolved");
    expect(worker.resolved).toHaveLength(1);
  });

  test("by its child's end is told to the holder", async () => {
    await start(made.engine, "kid", { claim: true, workerId: "kid" }).then(({ claimed }) =>
      made.engine.outcomes.complete(caller, {
        runId: "kid",
        fence: claimed?.header.fence ?? 0,
        output: json("grown up"),
        unconsumed: [],
      }),
    );
    await inOneBatch(() => [open("w", "child", { childRunId: "kid" })]);
    expect((await told("w")).payload).toMatchObject(json("grown up"));
  });

  test("by a signal that came first is in the reply alone", async () => {
    const replies: unknown[] = [];
    await inOneBatch(() => [
      made.engine.signals.send(caller, {
        runId: "r",
        name: "go",
        signalId: "s1",
        payload: json(1),
        actor: "",
      }),
      new Promise((resolve) => setImmediate(resolve))
        .then(() => open("w", "signal", { signalName: "go" }))
        .then(({ outcome }) => replies.push(outcome.kind)),
    ]);
    expect(replies).toEqual(["replay"]);
    expect(worker.resolved).toEqual([]);
  });

  test("is told by the news loop where the push gets stuck", async () => {
    const { store } = made;
    const { readEntries } = store;
    store.readEntries = () => new Promise(() => undefined);
    await inOneBatch(() => [
      made.engine.signals.send(caller, {
        runId: "r",
        name: "other",
        signalId: "s0",
        payload: json(0),
        actor: "",
      }),
      open("w", "signal", { signalName: "go" }),
    ]);
    await made.engine.signals.send(caller, {
      runId: "r",
      name: "go",
      signalId: "s1",
      payload: json(1),
      actor: "",
    });
    store.readEntries = readEntries;
    expect((await told("w")).payload).toMatchObject(json(1));
  });
});

test("a run whose news cannot be read is taken back and given to somebody who reads them", async () => {
  await wait("go");
  const { store } = made;
  const { readEntries } = store;
  store.readEntries = () => Promise.reject(new StoreError("unreadable"));
  await made.engine.signals.send(caller, {
    runId: "r",
    name: "go",
    signalId: "s1",
    payload: json("payload"),
    actor: "",
  });
  const next = await worker.next("r", fence);
  store.readEntries = readEntries;
  expect(worker.answers).toMatchObject([{ runId: "r", status: "lost" }]);
  expect(next.journal.map(({ type }) => type)).toContain("workflow.wait.resolved");
});

test("a holder hears of a cancel at another server before its next write is refused for it", async () => {
  await using other = await openEngine(made.store);
  await other.engine.runs.cancel(caller, { runId: "r", reason: "enough", graceMs: 7_000 });
  expect(worker.told.filter((what) => what.startsWith("cancel"))).toEqual([]);
  await expect(made.engine.steps.complete(caller, completedOf("r", fence, "a"))).rejects.toThrow(
    expect.objectContaining({ reason: "LEASE_LOST" }),
  );
  // One that took the refusal for the loss of the run would not clean up.
  expect(worker.told.at(-1)).toBe(`cancel r ${fence + 1} enough 7000`);
});

test("a holder hears that its run is lost, also when another worker has ended it at another server", async () => {
  // It asks for nothing by itself while it waits, and is given nothing else.
  await wait("go");
  worker.connection?.draining();
  await using other = await openEngine(made.store, "other");
  const second = new TestWorker("w2");
  await other.engine.runs.cancel(caller, { runId: "r", reason: "", graceMs: 0, force: true });
  await other.engine.runs.retry(caller, "r");
  await second.connect(other.engine);
  const given = (await second.next("r", fence)).header.fence;
  const end = { runId: "r", fence: given, failure: { type: "Cancelled", message: "" } };
  await other.engine.outcomes.fail(caller, { ...end, failedStepKeys: [] });
  await worker.until(() => worker.answers.find(({ status }) => status === "lost"));
  expect(worker.answers).toMatchObject([{ runId: "r", status: "lost" }]);
});
