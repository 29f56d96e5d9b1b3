/**
 * One round: servers and workers in processes of their own on a new store, a fixed set of runs,
 * and blows by SIGKILL at the moments of a plan. Then everything may finish, and is checked.
 */
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { RunStatus } from "@pawl/proto";
import { Api, type RunRecord } from "./api.ts";
import { findViolations, type Reference, referenceOf } from "./check.ts";
import { type Effect, EffectReader } from "./effects.ts";
import type { Plan, Strike } from "./plan.ts";
import { findPort, returnPorts, ServerPlace, WorkerPlace } from "./processes.ts";
import { type Start, starts } from "./workload.ts";

/** A round that takes longer than this hangs. */
const patienceMs = 300_000;

export interface RoundResult {
  readonly plan: Plan;
  readonly violations: readonly string[];
  /** Processes killed or stopped, and blows. */
  readonly killed: number;
  readonly strikes: number;
  /** Blows that hit a step in progress, in the process killed or with the server killed. */
  readonly hits: number;
  readonly executions: number;
  /** Executions of steps beyond the first of each attempt that was meant to be. */
  readonly repeats: number;
  /** Executions by processes that were stopped and continued, of steps that had ended meanwhile. */
  readonly late: number;
  readonly runs: readonly RunRecord[];
  /** What was done to the processes, and when. */
  readonly log: readonly string[];
  readonly ms: number;
}

export interface RoundOptions {
  /** An existing folder for the round's files. */
  readonly folder: string;
  /** URL of an empty store. */
  readonly store: string;
  /** What to compare with. Without it the round only yields the reference. */
  readonly reference?: Reference | undefined;
}

export async function runRound(plan: Plan, options: RoundOptions): Promise<RoundResult> {
  const begin = performance.now();
  const ports = await Promise.all(Array.from({ length: plan.servers * 2 }, findPort));
  const round = new Round(plan, options, ports);
  try {
    return await round.run(begin);
  } finally {
    await round.stop();
    returnPorts(ports);
  }
}

class Round {
  readonly #plan: Plan;
  readonly #reference: Reference | undefined;
  readonly #servers: readonly ServerPlace[];
  readonly #workers: readonly WorkerPlace[];
  readonly #effects: EffectReader;
  readonly #api: Api;
  readonly #giveUp = new AbortController();
  /** Restarts under way. */
  readonly #comingBack = new Set<Promise<void>>();
  readonly #zombies = new Set<number>();
  readonly #violations: string[] = [];
  readonly #log: string[] = [];
  #finished = false;
  #killed = 0;
  #strikes = 0;
  #hits = 0;

  constructor(plan: Plan, options: RoundOptions, ports: readonly number[]) {
    const { folder, store, reference } = options;
    this.#plan = plan;
    this.#reference = reference;
    const effects = join(folder, "effects.jsonl");
    this.#effects = new EffectReader(effects);
    this.#servers = Array.from({ length: plan.servers }, (_, i) => {
      const pair = [ports[2 * i] ?? 0, ports[2 * i + 1] ?? 0] as const;
      return new ServerPlace(`server-${i}`, store, pair, join(folder, `server-${i}.log`));
    });
    this.#workers = Array.from({ length: plan.workers }, (_, i) => {
      const server = this.#servers[i % plan.servers];
      return new WorkerPlace(`worker-${i}`, {
        url: `http://${server?.grpcAddress}`,
        effects,
        mode: plan.mode === "poll" ? "poll" : "stream",
        logFile: join(folder, `worker-${i}.log`),
        onDeath: (message) => this.#violations.push(message),
      });
    });
    const addresses = this.#servers.map(({ httpAddress }) => httpAddress);
    this.#api = new Api(addresses, this.#giveUp.signal);
  }

  async run(begin: number): Promise<RoundResult> {
    const timer = setTimeout(() => {
      this.#giveUp.abort(new Error(`The round did not end within ${patienceMs / 1000} s.`));
    }, patienceMs);
    let runs: RunRecord[] = [];
    try {
      for (const worker of this.#workers) worker.start();
      await Promise.all(this.#servers.map((server) => server.start()));
      await Promise.all([this.#drive(), this.#strikeAll()]);
      runs = await this.#api.everything();
    } catch (error) {
      const { signal } = this.#giveUp;
      const cause: unknown = signal.aborted ? signal.reason : error;
      const text = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
      this.#violations.push(text);
      this.#giveUp.abort(error);
      runs = await this.#lastWords();
      for (const { run, journal } of runs) {
        if (run.status >= RunStatus.COMPLETED) continue;
        const last = journal.at(-1)?.type;
        this.#violations.push(
          `${run.runId}: is ${RunStatus[run.status]}, its last entry is ${last}`,
        );
      }
    } finally {
      clearTimeout(timer);
    }
    const effects = this.#effects.read();
    const pids = new Map(this.#workers.flatMap((worker) => [...worker.pids]));
    const facts = { runs, effects, pids, zombies: this.#zombies };
    const reference = this.#reference ?? referenceOf(runs);
    if (!this.#giveUp.signal.aborted) this.#violations.push(...findViolations(facts, reference));
    const executed = effects.filter(({ kind }) => kind === "executed");
    return {
      plan: this.#plan,
      violations: this.#violations,
      killed: this.#killed,
      strikes: this.#strikes,
      hits: this.#hits,
      executions: executed.length,
      repeats: executed.length - intended(runs),
      late: late(effects, this.#zombies),
      runs,
      log: this.#log,
      ms: performance.now() - begin,
    };
  }

  /** What became of the runs of a round that did not end, if a server still says so. */
  async #lastWords(): Promise<RunRecord[]> {
    const addresses = this.#servers.map(({ httpAddress }) => httpAddress);
    try {
      return await new Api(addresses, AbortSignal.timeout(5_000)).everything();
    } catch (error) {
      this.#violations.push(`the runs could not be read either: ${error}`);
      return [];
    }
  }

  async stop(): Promise<void> {
    this.#finished = true;
    for (const worker of this.#workers) worker.thaw();
    await Promise.all([...this.#workers, ...this.#servers].map((place) => place.stop()));
    await Promise.allSettled(this.#comingBack);
    await Promise.all(this.#servers.map((server) => server.stop()));
    this.#effects.close();
  }

  /** Starts the runs, sends their signals, and waits for their ends. */
  async #drive(): Promise<void> {
    await Promise.all(starts.map((start) => this.#driveOne(start)));
    this.#finished = true;
  }

  async #driveOne(start: Start): Promise<void> {
    const { signal } = this.#giveUp;
    await pause(this.#plan.startMs.get(start.runId) ?? 0, undefined, { signal });
    await this.#api.start(start);
    const [ended] = await Promise.all([
      this.#end(start),
      ...(start.signals ?? []).map(async (name, i) => {
        await pause(this.#plan.signalMs[i] ?? 0, undefined, { signal });
        await this.#api.sendSignal(start.runId, name);
      }),
    ]);
    return ended;
  }

  async #end({ runId, workflow }: Start): Promise<void> {
    let run = await this.#api.ended(runId);
    if (run.status !== RunStatus.FAILED || workflow !== "mended") return;
    await this.#api.retry(runId);
    run = await this.#api.ended(runId);
  }

  async #strikeAll(): Promise<void> {
    let bytes = 0;
    for (const strike of this.#plan.strikes) {
      if (strike.afterProgress) await this.#progress(bytes);
      await pause(strike.gapMs, undefined, { signal: this.#giveUp.signal });
      // Servers that were killed have to be there again before they can be killed again.
      while (!this.#finished && strike.servers.some((i) => this.#servers[i]?.isUp === false)) {
        await pause(10, undefined, { signal: this.#giveUp.signal });
      }
      if (this.#finished) return;
      await this.#strike(strike);
      bytes = this.#effects.bytes;
    }
    await Promise.all(this.#comingBack);
  }

  /** Something has happened since. */
  async #progress(bytes: number): Promise<void> {
    while (!this.#finished && this.#effects.bytes <= bytes) {
      await pause(10, undefined, { signal: this.#giveUp.signal });
    }
  }

  async #strike(strike: Strike): Promise<void> {
    const workers = strike.workers.flatMap((i) => this.#workers[i] ?? []);
    const servers = strike.servers.flatMap((i) => this.#servers[i] ?? []);
    const struck = new Set(
      (servers.length > 0 ? this.#workers : workers).flatMap(({ pid }) => pid ?? []),
    );
    this.#note(`${strike.how}: ${[...servers, ...workers].map(({ name }) => name).join(", ")}`);
    this.#strikes += 1;
    this.#killed += servers.length + workers.filter(({ pid }) => pid !== undefined).length;
    let ended: Promise<unknown> = Promise.resolve();
    switch (strike.how) {
      case "kill":
        await Promise.all([...servers, ...workers].map((place) => place.kill()));
        break;
      case "end":
        ended = Promise.all([...servers, ...workers].map((place) => place.end()));
        break;
      case "freeze":
        for (const worker of workers) worker.freeze();
        for (const { pid } of workers) if (pid !== undefined) this.#zombies.add(pid);
    }
    if (inProgress(this.#effects.read(), struck)) this.#hits += 1;
    const { backMs } = strike;
    if (backMs !== undefined) this.#bringBack(() => this.#back(strike, ended, backMs));
  }

  async #back(strike: Strike, ended: Promise<unknown>, backMs: number): Promise<void> {
    const { signal } = this.#giveUp;
    await ended;
    await pause(backMs, undefined, { signal });
    const workers = strike.workers.flatMap((i) => this.#workers[i] ?? []);
    if (strike.how === "freeze") {
      for (const worker of workers) worker.thaw();
      // Whatever they still believe in, they do now.
      await pause(1_500, undefined, { signal });
      return;
    }
    for (const worker of workers) worker.start();
    await Promise.all(strike.servers.map((i) => this.#servers[i]?.start()));
    this.#note("all of these are back");
  }

  #note(event: string): void {
    this.#log.push(`${new Date().toISOString()} ${event}`);
  }

  #bringBack(start: () => Promise<void>): void {
    const back = start().catch((error: unknown) => {
      if (!this.#giveUp.signal.aborted) this.#giveUp.abort(error);
    });
    this.#comingBack.add(back);
    void back.finally(() => this.#comingBack.delete(back));
  }
}

/** Whether one of these processes was in the middle of a step. */
function inProgress(effects: readonly Effect[], pids: ReadonlySet<number>): boolean {
  const open = new Set<string>();
  for (const { kind, run, key, pid } of effects) {
    if (kind !== "executed") open.delete(`${run}\n${key}`);
    else if (pids.has(pid)) open.add(`${run}\n${key}`);
  }
  return open.size > 0;
}

function late(effects: readonly Effect[], zombies: ReadonlySet<number>): number {
  const ended = new Set<string>();
  let count = 0;
  for (const { kind, run, key, pid } of effects) {
    if (kind !== "executed") ended.add(`${run}\n${key}`);
    else if (zombies.has(pid) && ended.has(`${run}\n${key}`)) count += 1;
  }
  return count;
}

/** Executions that had to be: one for each attempt that has an end in a journal. */
function intended(runs: readonly RunRecord[]): number {
  const ends = new Set([
    "workflow.step.completed",
    "workflow.step.retrying",
    "workflow.step.failed",
  ]);
  return runs
    .flatMap(({ journal }) => journal)
    .filter(({ type, stepKey }) => ends.has(type) && !stepKey.includes("value:")).length;
}
