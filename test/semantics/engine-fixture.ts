/** An engine over a store, with workers that do as they are told: for tests below the wire. */

import { DEFAULT_ORG } from "../../server/src/auth/authenticate.ts";
import { createEngine, type Engine, type EngineOptions } from "../../server/src/engine/engine.ts";
import type {
  ConnectionSink,
  LeaseAnswer,
  StartRun,
  StepCompleted,
  StepStarted,
  WorkerConnection,
  WorkerInfo,
  WorkItem,
} from "../../server/src/engine/engine-api.ts";
import type { Clock } from "../../server/src/lib/clock.ts";
import { anonymous } from "../../server/src/model/caller.ts";
import type { Entry } from "../../server/src/model/entry.ts";
import { openStore } from "../../server/src/store/open.ts";
import type { Store } from "../../server/src/store/store.ts";
import { patienceMs } from "../harness/patience.ts";
import { json, startOf } from "./run-fixture.ts";

export const caller = anonymous(DEFAULT_ORG);

/** Time that continues by itself and can be moved forward. */
export class TestClock implements Clock {
  #offset = 0;
  #set = 0;
  /** What the engine draws by chance, from 0 up to 1. */
  random: () => number = () => 0;

  now(): number {
    return Date.now() + this.#offset + this.#set;
  }

  steady(): number {
    return performance.now() + this.#offset;
  }

  /** Somebody sets the clock forward, while no more time goes by than before. */
  set(ms: number): void {
    this.#set += ms;
  }

  forward(ms: number): void {
    this.#offset += ms;
  }
}

export interface TestEngine {
  readonly engine: Engine;
  readonly store: Store;
  readonly clock: TestClock;
  /** What it warned of. */
  readonly warnings: string[];
  [Symbol.asyncDispose](): Promise<void>;
}

/** An engine over an empty SQLite database in memory, or over the store given, which is left open. */
export async function openEngine(
  given?: Store,
  replicaId = "replica",
  more: Partial<EngineOptions> = {},
): Promise<TestEngine> {
  const store = given ?? (await openStore(":memory:", { thread: false }));
  const clock = new TestClock();
  const warnings: string[] = [];
  const warn = (message: string, fields?: Readonly<Record<string, unknown>>): void => {
    warnings.push(`${message} ${JSON.stringify(fields)}`);
  };
  const log = { info: () => undefined, warn, error: warn };
  const engine = createEngine({ store, replicaId, log, clock, ...more });
  return {
    engine,
    store,
    clock,
    warnings,
    async [Symbol.asyncDispose]() {
      await engine.close();
      if (given === undefined) await store.close();
    },
  };
}

export function workerInfo(
  instanceId: string,
  workflows: readonly string[] = ["flow"],
): WorkerInfo {
  const specs = workflows.map((name) => ({
    name,
    version: "",
    description: "",
    inputSchema: "",
    outputSchema: "",
    metadata: "{}",
    flow: "",
    timeouts: "",
  }));
  return {
    workerId: instanceId.replace(/#.*/, ""),
    instanceId,
    language: "test",
    sdkVersion: "",
    buildVersion: "",
    workflows: specs,
    queues: ["default"],
    labels: {},
    slots: 100,
  };
}

/** What a connection was told, in order. */
export class TestWorker implements ConnectionSink {
  readonly info: WorkerInfo;
  readonly dispatched: WorkItem[] = [];
  readonly told: string[] = [];
  readonly resolved: Entry[] = [];
  readonly answers: LeaseAnswer[] = [];
  onDispatch: (item: WorkItem) => void = (item) =>
    this.connection?.ack(item.header.runId, item.header.fence);
  connection: WorkerConnection | undefined;
  #wakers: (() => void)[] = [];

  constructor(instanceId: string, workflows?: readonly string[]) {
    this.info = workerInfo(instanceId, workflows);
  }

  /** Opens its connection with some room. */
  async connect(
    engine: Engine,
    credits = 100,
    held: { runId: string; fence: number }[] = [],
  ): Promise<WorkerConnection> {
    this.connection = await engine.workers.attach(caller, { worker: this.info, held }, this);
    this.connection.credits(credits);
    return this.connection;
  }

  /** The first dispatch of a run that is not among those `taken` before. */
  async next(runId: string, after = 0): Promise<WorkItem> {
    return this.until(() =>
      this.dispatched.find(({ header }) => header.runId === runId && header.fence > after),
    );
  }

  /** Waits until something is true of what it was told. */
  async until<T>(found: () => T | undefined, timeoutMs = patienceMs): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const value = found();
      if (value !== undefined) return value;
      if (performance.now() > deadline)
        throw new Error(`Not within ${timeoutMs} ms; told: ${this.told.join(", ")}`);
      await new Promise<void>((resolve) => {
        this.#wakers.push(resolve);
        setTimeout(resolve, 20);
      });
    }
  }

  dispatch(item: WorkItem): void {
    this.dispatched.push(item);
    this.#tell(`dispatch ${item.header.runId} ${item.header.fence}`);
    this.onDispatch(item);
  }

  cancel(runId: string, fence: number, reason: string, graceMs: number): void {
    this.#tell(`cancel ${runId} ${fence} ${reason} ${graceMs}`);
  }

  pause(runId: string, fence: number): void {
    this.#tell(`pause ${runId} ${fence}`);
  }

  waitResolved(runId: string, fence: number, entry: Entry): void {
    this.resolved.push(entry);
    this.#tell(`resolved ${runId} ${fence} ${entry.key} ${entry.meta.outcome ?? ""}`);
  }

  reserve(): () => void {
    return () => undefined;
  }

  reserveReply(): void {
    // Nothing is kept back here.
  }

  leaseResults(results: readonly LeaseAnswer[], renewed: number): void {
    this.answers.push(...results);
    const list = results.map(({ runId, status }) => `${runId} ${status}`).join(", ");
    this.#tell(`leases ${renewed} renewed${list === "" ? "" : `; ${list}`}`);
  }

  drain(): void {
    this.#tell("drain");
  }

  close(reason: string): void {
    this.#tell(`close ${reason}`);
  }

  #tell(what: string): void {
    this.told.push(what);
    for (const wake of this.#wakers.splice(0)) wake();
  }
}

export function start(
  engine: Engine,
  runId: string,
  more: Partial<StartRun> = {},
): ReturnType<Engine["runs"]["start"]> {
  return engine.runs.start(caller, startOf({ runId, ...more }));
}

/** A step's messages by the run's id and fence. */
export function startedOf(
  runId: string,
  fence: number,
  key: string,
  more: Partial<StepStarted> = {},
): StepStarted {
  return { ...identityOf(runId, fence, key), atMostOnce: false, requestId: "", ...more };
}

export function completedOf(
  runId: string,
  fence: number,
  key: string,
  more: Partial<StepCompleted> = {},
): StepCompleted {
  return { ...identityOf(runId, fence, key), attempt: 1, output: json(key), latencyMs: 1, ...more };
}

function identityOf(runId: string, fence: number, key: string) {
  return {
    runId,
    fence,
    key,
    name: key,
    kind: "step",
    inputDigest: "",
    definitionDigest: "",
  } as const;
}

/** The whole journal. */
export async function journalOf(engine: Engine, runId: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (let more = true; more; ) {
    const page = await engine.runs.journal(caller, {
      runId,
      afterSeq: entries.length,
      entriesMax: 1_000,
    });
    entries.push(...page.entries);
    more = page.more;
  }
  return entries;
}

/** Asks until it is so. */
export async function eventually<T>(
  ask: () => Promise<T | undefined>,
  timeoutMs = patienceMs,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await ask();
    if (value !== undefined) return value;
    if (performance.now() > deadline)
      throw new Error(`It did not become so within ${timeoutMs} ms.`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
