/**
 * Threads for checks whose time has no bound. A check that takes too long is given up together with
 * its thread, so that neither the event loop nor the next check waits for it.
 */
import { Worker } from "node:worker_threads";
import { monotonicMs } from "../../lib/clock.ts";
import type { CheckReply, CheckRequest } from "./check-messages.ts";
import type { SchemaProblem } from "./compile.ts";

export interface CheckPoolOptions {
  readonly threads: number;
  /** For the check alone, in CPU time: a check is not too slow because the machine is busy. */
  readonly checkMs: number;
  /**
   * For a new thread, and for what comes before the check, compiling the schema and reading the value; in
   * CPU time as well.
   */
  readonly prepareMs: number;
  readonly queuedMax: number;
}

export type CheckOutcome =
  | { readonly kind: "checked"; readonly problems: readonly SchemaProblem[] }
  | { readonly kind: "unusable"; readonly message: string }
  | { readonly kind: "slow" }
  /** Too many checks wait already. */
  | { readonly kind: "busy" };

interface Task {
  readonly request: CheckRequest;
  readonly resolve: (outcome: CheckOutcome) => void;
}

const HEAP_MB = 256;
/** On a busy machine a check may take this much longer than its CPU time, and no more. */
const BUSY_MS = 5_000;
/** The shortest time between two looks at a thread's CPU time. */
const LOOK_MS = 10;

export class CheckPool {
  readonly #options: CheckPoolOptions;
  readonly #queue: Task[] = [];
  readonly #idle: CheckThread[] = [];
  #busy = 0;

  constructor(options: CheckPoolOptions) {
    this.#options = options;
  }

  run(request: CheckRequest): Promise<CheckOutcome> {
    if (this.#queue.length >= this.#options.queuedMax) return Promise.resolve({ kind: "busy" });
    return new Promise((resolve) => {
      this.#queue.push({ request, resolve });
      this.#next();
    });
  }

  #next(): void {
    while (this.#busy < this.#options.threads) {
      const task = this.#queue.shift();
      if (task === undefined) return;
      this.#busy += 1;
      void this.#carryOut(task);
    }
  }

  async #carryOut({ request, resolve }: Task): Promise<void> {
    let thread = this.#idle.pop();
    if (thread === undefined || thread.hasEnded) thread = new CheckThread();
    const outcome = await thread.carryOut(request, this.#options);
    if (outcome.kind !== "slow") this.#idle.push(thread);
    this.#busy -= 1;
    resolve(outcome);
    this.#next();
  }
}

/** Carries out one request after the other, until one is too slow. */
class CheckThread {
  readonly #worker: Worker;
  hasEnded = false;
  /** Undefined while there is nothing to do; undefined as its argument: the thread has ended. */
  #listener: ((reply: CheckReply | undefined) => void) | undefined;

  constructor() {
    const file = import.meta.url.endsWith(".ts") ? "./check-thread.ts" : "./check-thread.js";
    this.#worker = new Worker(new URL(file, import.meta.url), {
      name: "pawl-check",
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
    });
    this.#worker.on("message", (reply: CheckReply) => this.#listener?.(reply));
    // Out of memory, above all.
    this.#worker.on("error", () => this.#listener?.(undefined));
    this.#worker.on("exit", () => {
      this.hasEnded = true;
      this.#listener?.(undefined);
    });
  }

  /** After the outcome `slow` the thread is gone. */
  async carryOut(
    request: CheckRequest,
    { checkMs, prepareMs }: CheckPoolOptions,
  ): Promise<CheckOutcome> {
    const done = Promise.withResolvers<CheckOutcome>();
    const giveUp = (): void => done.resolve({ kind: "slow" });
    let deadline = this.#deadline(prepareMs, giveUp);
    this.#listener = (reply) => {
      if (reply === undefined) return giveUp();
      if (reply.kind !== "begun") return done.resolve(reply);
      deadline.clear();
      deadline = this.#deadline(checkMs, giveUp);
    };
    // A program may end while its threads have nothing to do.
    this.#worker.ref();
    this.#worker.postMessage(request);
    const outcome = await done.promise;
    deadline.clear();
    this.#listener = undefined;
    this.#worker.unref();
    if (outcome.kind === "slow") void this.#worker.terminate();
    return outcome;
  }

  /** Calls back once the thread has used that much CPU time from now on, or the wall clock ran out. */
  #deadline(cpuMs: number, giveUp: () => void): { clear(): void } {
    const endsAt = monotonicMs() + cpuMs + BUSY_MS;
    let timer: NodeJS.Timeout | undefined;
    let cleared = false;
    const look = async (before: number): Promise<void> => {
      const usedMs = (await this.#cpuMs()) - before;
      const leftMs = Math.min(cpuMs - usedMs, endsAt - monotonicMs());
      if (cleared) return;
      if (leftMs <= 0) giveUp();
      else timer = setTimeout(look, Math.max(leftMs, LOOK_MS), before);
    };
    void this.#cpuMs().then((before) => {
      if (!cleared) timer = setTimeout(look, cpuMs, before);
    });
    return {
      clear() {
        cleared = true;
        clearTimeout(timer);
      },
    };
  }

  /** The CPU time that the thread has used so far; 0 before it runs and once it has ended. */
  async #cpuMs(): Promise<number> {
    try {
      const { user, system } = await this.#worker.cpuUsage();
      return (user + system) / 1_000;
    } catch {
      // ERR_WORKER_NOT_RUNNING: of the end the listener hears by itself.
      return 0;
    }
  }
}
