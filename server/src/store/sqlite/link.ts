import { toColumns } from "../entry.ts";
import type { Batch, BatchResult } from "../store.ts";
import { StoreError } from "../store.ts";
import type { Args, Core, Query, Results } from "./core.ts";
import { createCore, invoke } from "./core.ts";
import type { Database } from "./database.ts";
import { openDatabase, toStoreError } from "./database.ts";
import { FileWatch } from "./file-watch.ts";
import { migrateAtStart } from "./migrate.ts";

/** The way to the synchronous core, wherever it runs. */
export interface Link {
  commit(batch: Batch): Promise<BatchResult>;
  call<M extends Query>(method: M, ...args: Args[M]): Promise<Results[M]>;
  close(): Promise<void>;
}

export interface SqliteSettings {
  /** A file, or `:memory:`. */
  readonly path: string;
  /** Whether an older schema is migrated; if not, it is refused. */
  readonly migrate: boolean;
  /** What only tests and benches set. */
  readonly faults?: SqliteFaults;
}

/** Bad conditions, made on purpose. */
export interface SqliteFaults {
  /** How much longer a commit takes, in ms, as on a slow disk. */
  readonly commitDelayMs?: number;
  /** How large the file may get, in pages of 4 KiB, as on a full disk. */
  readonly pagesMax?: number;
  /** What the store's thread may allocate, in MB. */
  readonly heapMb?: number;
}

/** Opens the file, migrates it, and answers the core on top of it. @throws StartupError */
export function openCore(settings: SqliteSettings): {
  db: Database;
  core: Core;
  watch: FileWatch;
} {
  const db = openDatabase(settings.path);
  const { commitDelayMs = 0, pagesMax } = settings.faults ?? {};
  try {
    migrateAtStart(db, settings.migrate);
    if (pagesMax !== undefined) db.exec(`PRAGMA max_page_count = ${pagesMax}`);
  } catch (cause) {
    db.close();
    throw cause;
  }
  const core = createCore(db);
  const watch = new FileWatch(settings.path);
  return { db, core: commitDelayMs > 0 ? delayCommits(core, commitDelayMs) : core, watch };
}

function delayCommits(core: Core, delayMs: number): Core {
  const never = new Int32Array(new SharedArrayBuffer(4));
  return {
    ...core,
    commit: (batch) => {
      const result = core.commit(batch);
      Atomics.wait(never, 0, 0, delayMs);
      return result;
    },
  };
}

/** Runs the core on the calling thread: every commit blocks it until the disk has it. */
export class MainLink implements Link {
  readonly #db: Database;
  readonly #core: Core;
  readonly #file: string;
  readonly #watch: FileWatch;
  #open = true;

  constructor(settings: SqliteSettings) {
    const { db, core, watch } = openCore(settings);
    this.#watch = watch;
    this.#db = db;
    this.#core = core;
    this.#file = settings.path;
  }

  commit(batch: Batch): Promise<BatchResult> {
    const writes = batch.writes.map((write) => ({
      ...write,
      entries: write.entries.map(toColumns),
    }));
    return this.#run(() => this.#core.commit({ ...batch, writes }));
  }

  call<M extends Query>(method: M, ...args: Args[M]): Promise<Results[M]> {
    return this.#run(() => invoke(this.#core, method, args));
  }

  async #run<T>(work: () => T): Promise<T> {
    if (!this.#open) throw new StoreError("The store is closed.");
    try {
      const result = work();
      this.#watch.check();
      return result;
    } catch (cause) {
      throw toStoreError(cause, this.#file);
    }
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#db.close();
  }
}
