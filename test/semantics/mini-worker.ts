/**
 * The smallest worker that does durable execution right, over the engine's own calls: it replays
 * from the journal, asks before a step, reports after it, suspends on waits, and sends again what
 * was not acknowledged. Notes what it executed and what was acknowledged.
 */

import type { Engine } from "../../server/src/engine/engine.ts";
import type { StepStartedReply, WaitSpec, WorkItem } from "../../server/src/engine/engine-api.ts";
import type { StepKind } from "../../server/src/model/entry.ts";
import { PawlError } from "../../server/src/model/errors.ts";
import type { RetryPolicy } from "../../server/src/model/retry.ts";
import { caller, startedOf, TestWorker } from "./engine-fixture.ts";
import { json } from "./run-fixture.ts";

/** The execution ends here without an outcome: somebody continues with the run later. */
class Left extends Error {}

export type Program = (run: Execution) => Promise<unknown>;

/** What happened to each step, by run id and key. */
export class Ledger {
  readonly executed: string[] = [];
  readonly acknowledged = new Set<string>();
  readonly violations: string[] = [];

  execute(id: string): void {
    this.executed.push(id);
    if (this.acknowledged.has(id))
      this.violations.push(`${id} was acknowledged, and executed again`);
  }
}

/** One dispatch, executed. */
export class Execution {
  readonly #engine: Engine;
  readonly #ledger: Ledger;
  readonly #runId: string;
  #fence: number;
  #requests = 0;

  constructor(engine: Engine, ledger: Ledger, item: WorkItem) {
    this.#engine = engine;
    this.#ledger = ledger;
    this.#runId = item.header.runId;
    this.#fence = item.header.fence;
  }

  get runId(): string {
    return this.#runId;
  }

  get fence(): number {
    return this.#fence;
  }

  async step(
    key: string,
    body: (attempt: number) => unknown,
    retryPolicy?: RetryPolicy,
  ): Promise<unknown> {
    for (;;) {
      this.#requests += 1;
      const requestId = `${this.#fence}.${this.#requests}`;
      const reply = await this.#started(key, "step", { requestId, retryPolicy });
      const { outcome } = reply;
      if (outcome.kind === "replay") return this.#replayed(outcome);
      if (outcome.kind === "wait") await sleep(Math.max(1, (outcome.until ?? 0) - Date.now()));
      else if (outcome.kind === "execute") {
        const done = await this.#execute(key, outcome.attempt, body, retryPolicy);
        if (done !== undefined) return done.value;
      } else throw new Left(outcome.kind);
    }
  }

  /** Waits for a timer, signal or child; leaves the worker meanwhile. */
  async wait(key: string, kind: StepKind, wait: WaitSpec): Promise<unknown> {
    for (;;) {
      const { outcome } = await this.#started(key, kind, { wait });
      if (outcome.kind === "replay") return this.#replayed(outcome);
      if (outcome.kind !== "wait") throw new Left(outcome.kind);
      const suspend = { runId: this.#runId, fence: this.#fence, waits: [], tree: { key } };
      const { resumed } = await call(() => this.#engine.outcomes.suspend(caller, suspend));
      if (!resumed) throw new Left("suspended");
    }
  }

  /** Sends again until it is answered; a lost lease ends the execution. */
  async call<T>(ask: () => Promise<T>): Promise<T> {
    return call(ask);
  }

  async complete(output: unknown): Promise<void> {
    const complete = {
      runId: this.#runId,
      fence: this.#fence,
      output: json(output),
      unconsumed: [],
    };
    await call(() => this.#engine.outcomes.complete(caller, complete));
  }

  #started(
    key: string,
    kind: StepKind,
    more: { requestId?: string; retryPolicy?: RetryPolicy | undefined; wait?: WaitSpec },
  ): Promise<StepStartedReply> {
    const command = startedOf(this.#runId, this.#fence, key, { kind, ...more });
    return call(() => this.#engine.steps.start(caller, command));
  }

  #replayed(outcome: Extract<StepStartedReply["outcome"], { kind: "replay" }>): unknown {
    if (outcome.failure !== undefined) throw new Error(outcome.failure.message);
    const data = outcome.output?.data;
    return data === undefined ? outcome.outcome : JSON.parse(new TextDecoder().decode(data));
  }

  /** Returns the value; nothing where the attempt failed and another one follows. */
  async #execute(
    key: string,
    attempt: number,
    body: (attempt: number) => unknown,
    retryPolicy: RetryPolicy | undefined,
  ): Promise<{ value: unknown } | undefined> {
    const id = `${this.#runId}/${key}`;
    this.#ledger.execute(id);
    const result = { ...startedOf(this.#runId, this.#fence, key), attempt, latencyMs: 1 };
    let value: unknown;
    try {
      value = await body(attempt);
    } catch (error) {
      const failure = { type: "Error", message: String(error) };
      const { next } = await call(() =>
        this.#engine.steps.fail(caller, { ...result, failure, retryPolicy }),
      );
      if (next.kind === "final") throw error;
      await sleep(next.delayMs);
      return undefined;
    }
    await call(() => this.#engine.steps.complete(caller, { ...result, output: json(value) }));
    this.#ledger.acknowledged.add(id);
    return { value };
  }
}

/** A worker that runs programs by workflow name. Stops when its engine is closed. */
export class MiniWorker extends TestWorker {
  readonly #engine: Engine;
  readonly #programs: Readonly<Record<string, Program>>;
  readonly ledger: Ledger;
  /** What ended an execution otherwise than by an outcome or a suspension. */
  readonly errors: unknown[] = [];
  #heart: NodeJS.Timeout | undefined;

  constructor(engine: Engine, programs: Readonly<Record<string, Program>>, ledger: Ledger) {
    super("mini", Object.keys(programs));
    this.#engine = engine;
    this.#programs = programs;
    this.ledger = ledger;
    this.onDispatch = (item) => void this.#run(item);
  }

  /** Connects and beats fast, so that a lease whose dispatch was lost is noticed soon. */
  async run(): Promise<void> {
    await call(() => this.connect(this.#engine));
    this.#heart = setInterval(() => {
      this.connection?.heartbeat().catch(() => undefined);
    }, 50);
  }

  stop(): void {
    clearInterval(this.#heart);
  }

  async #run(item: WorkItem): Promise<void> {
    this.connection?.ack(item.header.runId, item.header.fence);
    const program = this.#programs[item.header.workflow];
    if (program === undefined) throw new Error(`No program for ${item.header.workflow}.`);
    const execution = new Execution(this.#engine, this.ledger, item);
    try {
      await execution.complete(await program(execution));
    } catch (error) {
      if (!(error instanceof Left)) this.errors.push(error);
    } finally {
      this.connection?.credits(1);
    }
  }
}

/** Sends the same again while the store does not answer. */
export async function call<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof PawlError)) throw error;
      if (error.reason === "LEASE_LOST") throw new Left(error.reason);
      if (error.reason !== "STORE_UNAVAILABLE") throw error;
      await sleep(5);
    }
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
