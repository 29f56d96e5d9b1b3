/**
 * Goal: many commands at once, on many runs, in whatever batches they meet, keep the invariants.
 * Method: random commands on a real engine over SQLite in memory, up to sixteen under way, from a
 * printed seed; now and then all is let come to rest, and the store is compared with what was
 * answered. In the end every run is driven to its end. PAWL_SEED repeats the commands, though not
 * their timing.
 */
import { expect, test } from "vitest";
import { Random } from "../../../test/chaos/random.ts";
import { scaled } from "../../../test/harness/scale.ts";
import {
  caller,
  completedOf,
  eventually,
  journalOf,
  openEngine,
  start,
  startedOf,
  type TestEngine,
  TestWorker,
} from "../../../test/semantics/engine-fixture.ts";
import { BOOM, json, jsonValue } from "../../../test/semantics/run-fixture.ts";
import { PawlError } from "../model/errors.ts";
import { NO_RETRY } from "../model/retry.ts";
import { isTerminal } from "../model/run.ts";
import { stateOf } from "./state.ts";

const RUNS = 12;
const COMMANDS = scaled(2_500, 1_000);
const AT_ONCE = 16;
const KEYS = ["a", "b", "c"];
const FOREVER_MS = 20 * 365 * 86_400_000;

const seed = Number(process.env.PAWL_SEED ?? Math.floor(Math.random() * 2 ** 31));

class Game {
  readonly made: TestEngine;
  readonly random = new Random(seed);
  readonly workers: TestWorker[];
  /** Results that were acknowledged, by run and key. */
  readonly results = new Map<string, string>();
  /** The highest fence that each run was given out under. */
  readonly fences = new Map<string, number>();
  readonly problems: string[] = [];
  #nonce = 0;
  #instances = 0;

  constructor(made: TestEngine) {
    this.made = made;
    this.workers = [this.#worker(), this.#worker()];
  }

  #worker(): TestWorker {
    this.#instances += 1;
    const worker = new TestWorker(`w${this.#instances}`);
    worker.onDispatch = ({ header }) => {
      if (header.fence <= (this.fences.get(header.runId) ?? 0)) {
        this.problems.push(`Fence ${header.fence} of ${header.runId} was given out again.`);
      }
      this.fences.set(header.runId, header.fence);
      const { session } = worker;
      if (this.random.chance(0.1)) session?.nack(header.runId, header.fence, "no room");
      else session?.ack(header.runId, header.fence);
      session?.credits(1);
    };
    return worker;
  }

  async begin(): Promise<void> {
    for (const worker of this.workers) await worker.connect(this.made.engine);
  }

  runId(): string {
    return `r${this.random.int(1, RUNS)}`;
  }

  fence(runId: string): number {
    const fence = this.fences.get(runId) ?? 1;
    return this.random.chance(0.85) ? fence : this.random.int(1, fence);
  }

  /** Runs a command; refusals are part of the game. */
  async #try<T>(ask: Promise<T>): Promise<T | undefined> {
    try {
      return await ask;
    } catch (error) {
      if (
        error instanceof PawlError &&
        error.reason !== "STORE_UNAVAILABLE" &&
        error.reason !== "DATA_CORRUPTED"
      )
        return undefined;
      this.problems.push(String(error));
      return undefined;
    }
  }

  async #start(runId: string, key: string): Promise<void> {
    const { engine } = this.made;
    const id = `${runId}/${key}`;
    const known = this.results.has(id);
    const retryPolicy = {
      ...NO_RETRY,
      maxAttempts: this.random.int(1, 3),
      initialMs: this.random.int(0, 3),
    };
    const command = startedOf(runId, this.fence(runId), key, {
      retryPolicy,
      atMostOnce: this.random.chance(0.05),
    });
    const reply = await this.#try(engine.stepStarted(caller, command));
    if (reply?.outcome.kind === "execute" && known)
      this.problems.push(`${id} was completed, and is to be executed.`);
  }

  async #complete(runId: string, key: string): Promise<void> {
    this.#nonce += 1;
    const output = String(this.#nonce);
    const fence = this.fence(runId);
    const attempt = this.random.int(1, 3);
    const command = completedOf(runId, fence, key, { attempt, output: json(output) });
    if ((await this.#try(this.made.engine.stepCompleted(caller, command))) === undefined) return;
    const id = `${runId}/${key}`;
    const before = this.results.get(id);
    if (before !== undefined && before !== output) this.problems.push(`${id} was completed twice.`);
    this.results.set(id, output);
  }

  #wait(runId: string): Promise<unknown> {
    const { engine } = this.made;
    const fence = this.fence(runId);
    const sleep = this.random.chance(0.5);
    const key = sleep ? `sleep:${this.random.int(1, 3)}` : `signal:${this.random.int(1, 3)}`;
    const wait = sleep ? { durationMs: this.random.int(0, 15) } : { signalName: "go" };
    return this.#try(
      engine.stepStarted(
        caller,
        startedOf(runId, fence, key, { kind: sleep ? "sleep" : "signal", wait }),
      ),
    );
  }

  #steer(runId: string): Promise<unknown> {
    const { engine } = this.made;
    const choice = this.random.int(0, 9);
    if (choice < 2) return this.#try(engine.pauseRun(caller, runId, ""));
    if (choice < 5) return this.#try(engine.resumeRun(caller, runId));
    if (choice < 8) return this.#try(engine.retryRun(caller, runId));
    if (choice < 9)
      return this.#try(engine.updateTags(caller, runId, { k: String(this.random.int(0, 3)) }, []));
    return this.#try(
      engine.sendSignal(caller, runId, "go", `s${this.random.int(0, 30)}`, json(1), ""),
    );
  }

  async #reconnect(): Promise<void> {
    const worker = this.random.pick(this.workers);
    const keep = this.random.chance(0.5);
    const held = keep
      ? worker.dispatched
          .slice(-5)
          .map(({ header }) => ({ runId: header.runId, fence: header.fence }))
      : [];
    worker.session?.closed();
    await worker.connect(this.made.engine, 100, held);
  }

  command(): Promise<unknown> {
    const { engine } = this.made;
    const runId = this.runId();
    const key = this.random.pick(KEYS);
    const fence = this.fence(runId);
    const choice = this.random.int(0, 99);
    if (choice < 20) return this.#start(runId, key);
    if (choice < 42) return this.#complete(runId, key);
    if (choice < 50) {
      const failed = {
        ...completedOf(runId, fence, key, { attempt: this.random.int(1, 3) }),
        failure: BOOM,
      };
      return this.#try(engine.stepFailed(caller, failed));
    }
    if (choice < 58) return this.#wait(runId);
    if (choice < 66) return this.#try(engine.suspendRun(caller, { runId, fence, waits: [] }));
    if (choice < 82) return this.#steer(runId);
    if (choice < 85)
      return this.#try(
        engine.failRun(caller, { runId, fence, failure: BOOM, failedStepKeys: [key] }),
      );
    if (choice < 88) return this.#try(engine.getStep(caller, runId, key));
    if (choice < 91) return this.#try(engine.getRun(caller, runId));
    if (choice < 94) return this.#try(start(engine, runId));
    if (choice < 97) {
      this.random.pick(this.workers).session?.nack(runId, fence, "given back");
      return Promise.resolve();
    }
    if (choice < 98) return this.#reconnect();
    return this.#try(
      start(engine, runId, { claim: true, workerId: "claimer" }).then(({ claimed }) => {
        if (claimed !== undefined)
          this.fences.set(runId, Math.max(claimed.header.fence, this.fences.get(runId) ?? 0));
      }),
    );
  }

  /** Waits until timers have fired and runs are given out, and nothing changes by itself. */
  async #rest(): Promise<void> {
    const refs = Array.from({ length: RUNS }, (_, i) => ({
      org: caller.org,
      runId: `r${i + 1}`,
      afterSeq: 0xffff_fffe,
    }));
    let before = "";
    await eventually(async () => {
      const loaded = await this.made.store.loadRuns(refs);
      const now = loaded.map((run) => `${run?.header.fence} ${run?.header.seq}`).join();
      const same = now === before;
      before = now;
      await new Promise((resolve) => setTimeout(resolve, 25));
      return same || undefined;
    });
  }

  /** Compares the store with what was answered. */
  async check(): Promise<void> {
    const { engine, store } = this.made;
    await this.#rest();
    const leases = new Map(
      (await store.listLeases(undefined, 1_000)).map((lease) => [lease.runId, lease.fence]),
    );
    const due = await store.due(Date.now() + FOREVER_MS, 10_000);
    for (let i = 1; i <= RUNS; i += 1) {
      const runId = `r${i}`;
      const journal = await journalOf(engine, runId);
      const [loaded] = await store.loadRuns([{ org: caller.org, runId, afterSeq: 0 }]);
      if (loaded === undefined) throw new Error(`${runId} is gone.`);
      const { header } = loaded;
      const state = stateOf(header, loaded.entries);
      expect(journal.map(({ seq }) => seq)).toEqual(
        Array.from({ length: header.seq }, (_, index) => index + 1),
      );
      expect(header.fence).toBeGreaterThanOrEqual(this.fences.get(runId) ?? 0);
      expect(header.lease !== null).toBe(
        header.state === "RUNNING" || header.state === "CANCELLING",
      );
      expect(leases.get(runId)).toBe(header.lease === null ? undefined : header.fence);
      if (isTerminal(header.state))
        expect(due.items.filter((item) => item.runId === runId)).toEqual([]);
      for (const [key, step] of state.steps) {
        const timers = due.items.filter(
          (item) => item.runId === runId && item.kind === "wait" && item.key === key,
        );
        const open = step.status === "waiting" && step.until !== 0 && !isTerminal(header.state);
        if (open) expect(timers).toHaveLength(1);
      }
      for (const key of KEYS) {
        const completed = journal.filter(
          (entry) => entry.type === "workflow.step.completed" && entry.key === key,
        );
        expect(completed.length).toBeLessThanOrEqual(1);
        const acknowledged = this.results.get(`${runId}/${key}`);
        if (acknowledged !== undefined) expect(jsonValue(completed[0]?.payload)).toBe(acknowledged);
      }
    }
    expect(this.problems).toEqual([]);
  }

  /** Whatever is left of a run, it can be brought to an end. */
  async conclude(runId: string): Promise<void> {
    const { engine } = this.made;
    await eventually(async () => {
      const { header } = await engine.getRun(caller, runId);
      if (isTerminal(header.state)) return true;
      if (header.state === "PAUSED" || header.intent === "pause") {
        const retry = header.state === "PAUSED" && header.reason !== "PAUSED_BY_OPERATOR";
        await this.#try(retry ? engine.retryRun(caller, runId) : engine.resumeRun(caller, runId));
      } else if (header.lease !== null) {
        await this.#try(
          engine.completeRun(caller, {
            runId,
            fence: header.fence,
            output: json("end"),
            unconsumed: [],
          }),
        );
      } else if (header.state === "WAITING") {
        await this.#try(engine.sendSignal(caller, runId, "go", crypto.randomUUID(), json(1), ""));
      }
      return undefined;
    }, 20_000);
  }
}

test(`random commands at once on ${RUNS} runs; seed ${seed}`, async () => {
  await using made = await openEngine();
  const game = new Game(made);
  await game.begin();
  for (let i = 1; i <= RUNS; i += 1) await start(made.engine, `r${i}`);
  const underWay = new Set<Promise<unknown>>();
  for (let i = 1; i <= COMMANDS; i += 1) {
    const command = game.command();
    const tracked = command.finally(() => underWay.delete(tracked));
    underWay.add(tracked);
    if (underWay.size >= AT_ONCE) await Promise.race(underWay);
    if (i % 250 === 0) {
      await Promise.all(underWay);
      await game.check().catch((cause: unknown) => {
        throw new Error(`PAWL_SEED=${seed}, after ${i} commands`, { cause });
      });
    }
  }
  await Promise.all(underWay);
  for (let i = 1; i <= RUNS; i += 1) await game.conclude(`r${i}`);
  await game.check();
  // Otherwise the game is too tame to find anything.
  const leases = game.workers.reduce((sum, worker) => sum + worker.dispatched.length, 0);
  expect(leases).toBeGreaterThan(RUNS * 2);
  expect(game.results.size).toBeGreaterThan(RUNS / 2);
});
