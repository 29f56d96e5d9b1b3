/**
 * Threads for checks whose time has no bound. A check that takes too long is given up together with
 * its thread, so that neither the event loop nor the next check waits for it.
 */
import { Worker } from "node:worker_threads";
import type { CheckReply, CheckRequest } from "./check-messages.ts";
import type { Problem } from "./compile.ts";

export interface CheckPoolOptions {
  readonly threads: number;
  /** For the check alone. */
  readonly checkMs: number;
  /** For a new thread, and for what comes before the check: compiling the schema, reading the value. */
  readonly prepareMs: number;
  readonly queuedMax: number;
}

export type CheckOutcome =
  | { readonly kind: "checked"; readonly problems: readonly Problem[] }
  | { readonly kind: "unusable"; readonly message: string }
  | { readonly kind: "slow" }
  /** Too many checks wait already. */
  | { readonly kind: "busy" };

interface Task {
  readonly request: CheckRequest;
  readonly resolve: (outcome: CheckOutcome) => void;
}

const HEAP_MB = 256;

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
    let timer = setTimeout(giveUp, prepareMs);
    this.#listener = (reply) => {
      if (reply === undefined) return giveUp();
      if (reply.kind !== "begun") return done.resolve(reply);
      clearTimeout(timer);
      timer = setTimeout(giveUp, checkMs);
    };
    // A program may end while its threads have nothing to do.
    this.#worker.ref();
    this.#worker.postMessage(request);
    const outcome = await done.promise;
    clearTimeout(timer);
    this.#listener = undefined;
    this.#worker.unref();
    if (outcome.kind === "slow") void this.#worker.terminate();
    return outcome;
  }
}
