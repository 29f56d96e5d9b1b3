import { Worker } from "node:worker_threads";
import { StartupError } from "../../lib/startup-error.ts";
import type { Batch, BatchResult } from "../runs.ts";
import type { Operation } from "../store.ts";
import { StoreError } from "../store-error.ts";
import type { Link, SqliteSettings } from "./link.ts";
import type { Reply, Request, ThreadData } from "./messages.ts";
import { unpackError } from "./messages.ts";
import type { Args, Results } from "./operations.ts";
import { packBatch } from "./packed.ts";

/** Only a limit: the heads of a run with very many entries are the most that is in memory at once. */
const HEAP_MB = 512;
const YOUNG_MB = 8;

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The database in a thread of its own.
 *
 * States: `open`; `broken`, entered when the thread ended by itself (out of memory, say), left by
 * the next call, which starts another one; `closed`, entered by `close()`, never left.
 */
export class ThreadLink implements Link {
  readonly #settings: SqliteSettings;
  /** Undefined while broken. */
  #session: Promise<ThreadConnection> | undefined;
  #isClosed = false;

  private constructor(settings: SqliteSettings) {
    this.#settings = settings;
  }

  /** @throws StartupError */
  static async open(settings: SqliteSettings): Promise<ThreadLink> {
    const link = new ThreadLink(settings);
    await link.#getThreadConnection();
    return link;
  }

  commit(batch: Batch): Promise<BatchResult> {
    return this.#send((id) => ({ id, method: "commit", batch: packBatch(batch) }));
  }

  call<O extends Operation>(method: O, ...args: Args[O]): Promise<Results[O]> {
    return this.#send((id) => ({ id, method, args }));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const session = await this.#session?.catch(() => undefined);
    await session?.close();
  }

  async #send<T>(request: (id: number) => Request): Promise<T> {
    if (this.#isClosed) throw new StoreError("The store is closed.");
    let session: ThreadConnection;
    try {
      session = await this.#getThreadConnection();
    } catch (cause) {
      throw new StoreError("SQLite: the store's thread cannot be started again.", { cause });
    }
    return session.send(request);
  }

  #getThreadConnection(): Promise<ThreadConnection> {
    this.#session ??= ThreadConnection.start(this.#settings, () => {
      this.#session = undefined;
    });
    return this.#session;
  }
}

/** One thread, from its start to its end. */
class ThreadConnection {
  readonly #worker: Worker;
  readonly #bell: Int32Array<SharedArrayBuffer>;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #ended: StoreError | undefined;

  private constructor(worker: Worker, bell: Int32Array<SharedArrayBuffer>) {
    this.#worker = worker;
    this.#bell = bell;
  }

  /** @throws StartupError */
  static async start(settings: SqliteSettings, onEnd: () => void): Promise<ThreadConnection> {
    const file = import.meta.url.endsWith(".ts") ? "./thread.ts" : "./thread.js";
    const bell = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    const data: ThreadData = { settings, bell };
    const worker = new Worker(new URL(file, import.meta.url), {
      name: "pawl-store",
      workerData: data,
      resourceLimits: {
        maxOldGenerationSizeMb: settings.faults?.heapMb ?? HEAP_MB,
        maxYoungGenerationSizeMb: YOUNG_MB,
      },
    });
    const session = new ThreadConnection(worker, bell);
    await session.#listen(onEnd);
    return session;
  }

  #listen(onEnd: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#worker.on("message", (reply: Reply) => {
        if (reply.kind === "ready") resolve();
        else if (reply.kind === "refused") {
          reject(new StartupError(reply.code, reply.message, { cause: reply.cause }));
        } else this.#settle(reply);
      });
      let reason: unknown;
      this.#worker.on("error", (error) => {
        reason = error;
      });
      this.#worker.on("exit", (code) => {
        const cause = reason ?? new Error(`exit code ${code}`);
        this.#end(new StoreError("SQLite: the store's thread has ended.", { cause }));
        onEnd();
        reject(cause);
      });
    });
  }

  #settle(reply: Extract<Reply, { kind: "done" | "failed" }>): void {
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if (reply.kind === "done") pending?.resolve(reply.value);
    else pending?.reject(unpackError(reply.error));
  }

  #end(error: StoreError): void {
    this.#ended = error;
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of waiting) reject(error);
  }

  send<T>(request: (id: number) => Request): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended);
        return;
      }
      const id = this.#nextId;
      this.#nextId += 1;
      try {
        this.#worker.postMessage(request(id));
      } catch (cause) {
        const said = cause instanceof Error ? cause.message : String(cause);
        reject(new StoreError(`SQLite: ${said}`, { cause, fault: "data" }));
        return;
      }
      this.#pending.set(id, { resolve: (value) => resolve(value as T), reject });
      Atomics.add(this.#bell, 0, 1);
      Atomics.notify(this.#bell, 0);
    });
  }

  async close(): Promise<void> {
    await this.send<void>((id) => ({ id, method: "close" }));
    await this.#worker.terminate();
  }
}
