import { toColumns } from "../entry.ts";
import type { Batch, BatchResult } from "../runs.ts";
import type { Operation } from "../store.ts";
import { StoreError } from "../store-error.ts";
import type { ColumnBatch } from "./commit.ts";
import { commit } from "./commit.ts";
import type { Database } from "./database.ts";
import { openDatabase, toStoreError } from "./database.ts";
import { FileWatch } from "./file-watch.ts";
import { migrateAtStart } from "./migrate.ts";
import { type Args, execute, type Results } from "./operations.ts";

/** The way to the synchronous operations, wherever they run. */
export interface Link {
  commit(batch: Batch): Promise<BatchResult>;
  call<O extends Operation>(name: O, ...args: Args[O]): Promise<Results[O]>;
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

/** A database file that is open and has the current schema. */
export interface OpenFile {
  readonly db: Database;
  readonly commit: (batch: ColumnBatch) => BatchResult;
  readonly watch: FileWatch;
}

/** Opens the file and migrates it. @throws StartupError */
export function openFile(settings: SqliteSettings): OpenFile {
  const db = openDatabase(settings.path);
  const { commitDelayMs = 0, pagesMax } = settings.faults ?? {};
  try {
    migrateAtStart(db, settings.migrate);
    if (pagesMax !== undefined) db.exec(`PRAGMA max_page_count = ${pagesMax}`);
  } catch (cause) {
    db.close();
    throw cause;
  }
  const never = new Int32Array(new SharedArrayBuffer(4));
  const commitSlowly = (batch: ColumnBatch): BatchResult => {
    const result = commit(db, batch);
    Atomics.wait(never, 0, 0, commitDelayMs);
    return result;
  };
  return {
    db,
    commit: commitDelayMs > 0 ? commitSlowly : (batch) => commit(db, batch),
    watch: new FileWatch(settings.path),
  };
}

/** Runs everything on the calling thread: every commit blocks it until the disk has it. */
export class MainLink implements Link {
  readonly #open: OpenFile;
  readonly #file: string;
  #isOpen = true;

  constructor(settings: SqliteSettings) {
    this.#open = openFile(settings);
    this.#file = settings.path;
  }

  commit(batch: Batch): Promise<BatchResult> {
    const writes = batch.writes.map((write) => ({
      ...write,
      entries: write.entries.map(toColumns),
    }));
    return this.#run(() => this.#open.commit({ ...batch, writes }));
  }

  call<O extends Operation>(name: O, ...args: Args[O]): Promise<Results[O]> {
    return this.#run(() => execute(this.#open.db, name, args));
  }

  async #run<T>(work: () => T): Promise<T> {
    if (!this.#isOpen) throw new StoreError("The store is closed.");
    try {
      const result = work();
      this.#open.watch.check();
      return result;
    } catch (cause) {
      throw toStoreError(cause, this.#file);
    }
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#open.db.close();
  }
}
