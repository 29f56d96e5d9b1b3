/**
 * Goal: no single failure of the store, at whatever point, changes how a run ends or what is executed.
 * Method: one scenario (steps, a retry, a timer, a signal, an approval by two people, a child) with the
 * n-th store call failing: before it reached the database, and after it was committed with the reply
 * lost. CI plays every n; `pnpm test` every third, from another one each time.
 */
import { expect, test } from "vitest";
import { NO_RETRY } from "../../server/src/model/retry.ts";
import { openStore } from "../../server/src/store/open.ts";
import type { Store } from "../../server/src/store/store.ts";
import { createDatabase } from "../harness/database.ts";
import { type Fault, faultyStore, type StoreCall } from "../harness/faulty-store.ts";
import { scaled } from "../harness/scale.ts";
import { caller, eventually, journalOf, openEngine, start } from "./engine-fixture.ts";
import { call, type Execution, Ledger, MiniWorker } from "./mini-worker.ts";
import { json, jsonValue, startOf } from "./run-fixture.ts";

const WRITES: readonly StoreCall[] = ["commit"];
/** Those that answer a request; the loops' own calls come again by themselves. */
const READS: readonly StoreCall[] = [
  "loadRuns",
  "readEntries",
  "readJournal",
  "due",
  "loadRecords",
  "listWorkflows",
  "putWorker",
  "renewSession",
];
const APPROVAL = {
  prompt: "OK?",
  type: "approval",
  assignees: ["p", "q"],
  approvalsNeeded: 2,
} as const;
const RETRY = { ...NO_RETRY, maxAttempts: 3, initialMs: 3 };

const ALL_WAITS = {
  kinds: [],
  assignee: "",
  includeUnassigned: false,
  workflow: "",
  closed: false,
  pageSize: 10,
  pageToken: "",
} as const;

async function parent(run: Execution): Promise<unknown> {
  const a = await run.step("a", () => "a");
  const b = await run.step(
    "b",
    (attempt) => {
      if (attempt === 1) throw new Error("the first attempt fails");
      return "b";
    },
    RETRY,
  );
  await run.wait("sleep:s", "sleep", { durationMs: 5 });
  const go = await run.wait("signal:go", "signal", { signalName: "go" });
  const ok = await run.wait("user:ok", "user", { question: APPROVAL });
  const childId = `${run.runId}~c`;
  const child = { runId: run.runId, key: "child:c", fence: run.fence };
  await run.call(() =>
    engineOf(run).runs.start(
      caller,
      startOf({ runId: childId, workflow: `child-${run.runId}`, parent: child }),
    ),
  );
  const c = await run.wait("child:c", "child", { childRunId: childId });
  return [a, b, go, ok, c, await run.step("d", () => "d")].join(" ");
}

const engines = new WeakMap<Execution, Engine>();
type Engine = Awaited<ReturnType<typeof openEngine>>["engine"];

function engineOf(run: Execution): Engine {
  const engine = engines.get(run);
  if (engine === undefined) throw new Error("This execution is of no engine.");
  return engine;
}

/** Runs the scenario to its end; returns the number of calls and which one failed. */
async function play(
  inner: Store,
  id: string,
  fault: Fault,
): Promise<{ calls: number; failed: string | undefined }> {
  const store = faultyStore(inner, fault);
  await using made = await openEngine(store, `replica-${id}`);
  const { engine } = made;
  const ledger = new Ledger();
  // Workflows of its own: scenarios that share a database do not take each other's runs.
  const programs = {
    [`flow-${id}`]: (run: Execution) => {
      engines.set(run, engine);
      return parent(run);
    },
    [`child-${id}`]: (run: Execution) => run.step("c", () => "c"),
  };
  const worker = new MiniWorker(engine, programs, ledger);
  await worker.run();
  try {
    await call(() => start(engine, id, { workflow: `flow-${id}` }));
    const signal = () =>
      engine.signals.send(caller, {
        runId: id,
        name: "go",
        signalId: "signal-1",
        payload: json("go"),
        actor: "",
      });
    const untilOpen = (key: string) =>
      eventually(async () => {
        const { waits } = (await call(() => engine.runs.get(caller, id))).header.waiting ?? {};
        return waits?.some((wait) => wait.key === key) === true ? true : undefined;
      });
    await untilOpen("signal:go");
    await call(signal);
    await untilOpen("user:ok");
    for (const actor of APPROVAL.assignees) {
      const answer = { runId: id, key: "user:ok", actor, comment: "", via: "api" } as const;
      await call(() =>
        engine.waits.answer(caller, { ...answer, resolutionId: actor, answer: json(true) }),
      );
    }
    const view = await call(() =>
      engine.runs.wait(caller, { runId: id, timeoutMs: 15_000 }, AbortSignal.timeout(20_000)),
    );
    expect(view.header.status).toBe("COMPLETED");
    expect(jsonValue(view.output)).toBe("a b go true c d");
    for (const [runId, keys] of [
      [id, ["a", "b", "d"]],
      [`${id}~c`, ["c"]],
    ] as const) {
      const journal = await call(() => journalOf(engine, runId));
      expect(journal.map(({ seq }) => seq)).toEqual(journal.map((_, index) => index + 1));
      const completed = journal.filter(({ type }) => type === "workflow.step.completed");
      expect(completed.map(({ key }) => key)).toEqual(keys);
      const answers = journal.filter(({ type }) => type === "workflow.user.answered");
      expect(answers.map(({ meta }) => meta.actor)).toEqual(runId === id ? APPROVAL.assignees : []);
      const open = await call(() => engine.waits.list(caller, { ...ALL_WAITS, runId }));
      expect(open.waits).toEqual([]);
    }
    expect(ledger.violations).toEqual([]);
    expect(worker.errors).toEqual([]);
    return { calls: store.calls, failed: store.failed };
  } finally {
    worker.stop();
  }
}

const NEVER = Number.MAX_SAFE_INTEGER;
/** Scenarios played at a time, each with a store of its own; they mostly wait. */
const AT_ONCE = 8;

const EVERY = scaled(1, 3);
const FIRST = Date.now() % EVERY;

const stores = [
  { name: "sqlite", open: () => openStore(":memory:", { thread: false }) },
  { name: "postgres", open: async () => openStore(await createDatabase("every_write")) },
];

/** A hundred scenarios one after the other, on a machine that does other things, too. */
const TIMEOUT_MS = 600_000;

test.each(stores)(
  "crash-between-every-two-writes on $name",
  { timeout: TIMEOUT_MS },
  async ({ name, open }) => {
    const shared = name === "postgres" ? await open() : undefined;
    const inStore = async <T>(use: (store: Store) => Promise<T>): Promise<T> => {
      const store = shared ?? (await open());
      try {
        return await use(store);
      } finally {
        if (shared === undefined) await store.close();
      }
    };
    const kinds = [
      { methods: WRITES, when: "before" },
      { methods: WRITES, when: "after" },
      { methods: READS, when: "before" },
    ] as const;
    let played = 0;
    for (const [index, kind] of kinds.entries()) {
      const one = async (failCall: number): Promise<void> => {
        try {
          const id = `${index}.${failCall}`;
          const { failed } = await inStore((store) => play(store, id, { ...kind, failCall }));
          if (failed !== undefined) played += 1;
        } catch (cause) {
          const what = `${kind.methods.join("/")} failing ${kind.when} it`;
          throw new Error(`Call ${failCall} of ${what} changes the run.`, { cause });
        }
      };
      const clean = await inStore((store) =>
        play(store, `${index}.clean`, { ...kind, failCall: NEVER }),
      );
      // Timing moves some calls; a few more than in the clean run cover those.
      let calls = Array.from({ length: clean.calls + 3 }, (_, call) => call + 1);
      if (EVERY > 1) calls = calls.filter((call) => call % EVERY === FIRST);
      // Servers on one database wake each other, so these take turns, and of the reads every third.
      else if (shared !== undefined && kind.methods === READS)
        calls = calls.filter((call) => call % 3 === 0);
      const atOnce = shared === undefined ? AT_ONCE : 1;
      while (calls.length > 0) await Promise.all(calls.splice(0, atOnce).map(one));
    }
    await shared?.close();
    console.log(
      `${name}: ${played} scenarios, each with one failed call, ended alike (every ${EVERY} from ${FIRST})`,
    );
    expect(played).toBeGreaterThan(40 / EVERY);
  },
);
