import { Worker } from "node:worker_threads";
import { StartupError } from "../../lib/startup-error.ts";
import type { Batch, BatchResult } from "../store.ts";
import { StoreError } from "../store.ts";
import type { Args, Query, Results } from "./core.ts";
import type { Link, SqliteSettings } from "./link.ts";
import type { Reply, Request } from "./messages.ts";
import { unpackError } from "./messages.ts";
import { packBatch } from "./packed.ts";

/** Generous: a batch and its results at their largest are some 10 MB. */
const HEAP_MB = 128;
const YOUNG_MB = 8;

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The core in a thread of its own.
 *
 * States: `opening` until the thread says ready; `open`; `closed` by `close()` or because the
 * thread ended, which is final: whoever holds the store must open it anew.
 */
export class ThreadLink implements Link {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #closed: StoreError | undefined;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  /** @throws StartupError */
  static async open(settings: SqliteSettings): Promise<ThreadLink> {
    const file = import.meta.url.endsWith(".ts") ? "./thread.ts" : "./thread.js";
    const worker = new Worker(new URL(file, import.meta.url), {
      name: "pawl-store",
      workerData: settings,
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB, maxYoungGenerationSizeMb: YOUNG_MB },
    });
    const link = new ThreadLink(worker);
    await link.#start();
    return link;
  }

  #start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#worker.on("message", (reply: Reply) => {
        if (reply.kind === "ready") resolve();
        else if (reply.kind === "refused") {
          reject(new StartupError(reply.code, reply.message, { cause: reply.cause }));
        } else this.#settle(reply);
      });
      const end = (cause: unknown): void => {
        this.#fail(new StoreError("SQLite: the store's thread has ended.", { cause }));
        reject(cause);
      };
      this.#worker.on("error", end);
      this.#worker.on("exit", (code) => end(new Error(`exit code ${code}`)));
    });
  }

  #settle(reply: Extract<Reply, { kind: "done" | "failed" }>): void {
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if (reply.kind === "done") pending?.resolve(reply.value);
    else pending?.reject(unpackError(reply.error));
  }

  #fail(error: StoreError): void {
    this.#closed ??= error;
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of waiting) reject(error);
  }

  commit(batch: Batch): Promise<BatchResult> {
    return this.#send((id) => ({ id, method: "commit", batch: packBatch(batch) }));
  }

  call<M extends Query>(method: M, ...args: Args[M]): Promise<Results[M]> {
    return this.#send((id) => ({ id, method, args }));
  }

  #send<T>(request: (id: number) => Request): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== undefined) {
        reject(this.#closed);
        return;
      }
      const id = this.#nextId;
      this.#nextId += 1;
      this.#pending.set(id, { resolve: (value) => resolve(value as T), reject });
      this.#worker.postMessage(request(id));
    });
  }

  async close(): Promise<void> {
    if (this.#closed !== undefined) return;
    const done = this.#send<void>((id) => ({ id, method: "close" }));
    this.#closed = new StoreError("The store is closed.");
    await done;
    await this.#worker.terminate();
  }
}
