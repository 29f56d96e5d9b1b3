import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { StatementSync } from "node:sqlite";
import { DatabaseSync } from "node:sqlite";
import { StartupError } from "../../lib/startup-error.ts";
import type { StoreFault } from "../store-error.ts";
import { StoreError } from "../store-error.ts";

/** "PAWL": marks the file as ours. */
const APPLICATION_ID = 0x5041574c;
const BUSY = 5;
const NOT_A_DATABASE = 26;
const CORRUPT = 11;
/** Too large a value, a constraint, a type that does not fit, a parameter out of range. */
const REFUSED: ReadonlySet<number> = new Set([18, 19, 20, 25]);
const DAMAGED: ReadonlySet<number> = new Set([CORRUPT, NOT_A_DATABASE]);
/** Primary result codes: the lower byte of SQLite's extended ones. */
const PRIMARY = 0xff;

/** The page cache, in KiB. It grows to this only under use. */
const CACHE_KIB = 16 * 1024;
/** Pages in the write-ahead log that start a checkpoint: 16 MB. */
const CHECKPOINT_PAGES = 4_000;
/** The size to which the log is cut back after a transaction that was larger. */
const LOG_BYTES = 64 * 1024 * 1024;

/**
 * One connection, exclusively ours, and its prepared statements. Statements are prepared at their
 * first use, which keeps an idle server small and its start short.
 */
export class Database {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /** Executes texts that vary too much to keep them all prepared. */
  prepareOnce(sql: string): StatementSync {
    return this.#db.prepare(sql);
  }

  exec(sql: string): void {
    this.#db.exec(sql);
  }

  /** Runs `work` in one transaction: all of it is durable when this returns, or none of it. */
  transaction<T>(work: () => T): T {
    this.prepare("BEGIN IMMEDIATE").run();
    try {
      const result = work();
      this.prepare("COMMIT").run();
      return result;
    } catch (cause) {
      // After some errors (disk full among them) SQLite has rolled back by itself.
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw cause;
    }
  }

  close(): void {
    this.#statements.clear();
    this.#db.close();
  }
}

/**
 * Opens or creates the database file and locks it for this process.
 *
 * @param path a file, whose folder is created if need be, or `:memory:`
 * @throws StartupError IN_USE, NOT_A_DATABASE, NOT_WRITABLE
 */
export function openDatabase(path: string): Database {
  const file = path === ":memory:" ? path : resolve(path);
  let db: DatabaseSync | undefined;
  try {
    if (file !== ":memory:") mkdirSync(dirname(file), { recursive: true });
    db = new DatabaseSync(file, { enableForeignKeyConstraints: false, timeout: 0 });
    lock(db, file);
    configure(db);
    return new Database(db);
  } catch (cause) {
    db?.close();
    throw explain(file, cause);
  }
}

/** Takes the file before changing anything in it, and only if it is ours or empty. */
function lock(db: DatabaseSync, file: string): void {
  db.exec("PRAGMA locking_mode = EXCLUSIVE");
  const id = db.prepare("PRAGMA application_id").get()?.application_id;
  const tables = db.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.n;
  if (id !== APPLICATION_ID && (id !== 0 || tables !== 0)) {
    throw new StartupError(
      "NOT_A_DATABASE",
      `${file} is not a Pawl database, but another SQLite file. Nothing in it was changed. ` +
        "Name another file with --store or PAWL_DATABASE_URL.",
    );
  }
  // Only a file without tables takes this up; it is what lets the file shrink (see retention.ts).
  db.exec("PRAGMA auto_vacuum = INCREMENTAL");
  db.exec("PRAGMA journal_mode = WAL");
  db.exec(`BEGIN IMMEDIATE; PRAGMA application_id = ${APPLICATION_ID}; COMMIT`);
}

function configure(db: DatabaseSync): void {
  db.exec(`
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -${CACHE_KIB};
    PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
    PRAGMA journal_size_limit = ${LOG_BYTES};
    PRAGMA temp_store = MEMORY;
  `);
}

/** SQLite's result code, where `error` is one of its. */
export function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error)) return undefined;
  return typeof error.errcode === "number" ? error.errcode : undefined;
}

function explain(file: string, cause: unknown): unknown {
  if (cause instanceof StartupError) return cause;
  const code = resultCode(cause);
  switch (code === undefined ? undefined : code & PRIMARY) {
    case BUSY:
      return new StartupError(
        "IN_USE",
        `${file} is in use by another server. Stop that one, or name another file with --store ` +
          "or PAWL_DATABASE_URL. (Several servers can share a PostgreSQL database.)",
        { cause },
      );
    case NOT_A_DATABASE:
      return new StartupError(
        "NOT_A_DATABASE",
        `${file} is not a Pawl database, nor any SQLite file. Nothing in it was changed. ` +
          "Name another file with --store or PAWL_DATABASE_URL.",
        { cause },
      );
    case CORRUPT:
      return new StartupError(
        "NOT_A_DATABASE",
        `${file} is damaged: ${cause instanceof Error ? cause.message : String(cause)}. ` +
          "Restore it from a backup, or name another file with --store or PAWL_DATABASE_URL.",
        { cause },
      );
    default:
      return new StartupError(
        "NOT_WRITABLE",
        `${file} cannot be opened or created: ${cause instanceof Error ? cause.message : String(cause)}. ` +
          "Check that its folder exists and may be written by this user, and that the disk has space.",
        { cause },
      );
  }
}

/** What a failure of a running database is to the engine. */
export function toStoreError(cause: unknown, file: string): StoreError {
  if (cause instanceof StoreError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  const fault = faultOf(cause);
  const where = fault === "damaged" ? `SQLite: the file ${file} is damaged: ` : "SQLite: ";
  return new StoreError(`${where}${message}`, { cause, fault });
}

function faultOf(cause: unknown): StoreFault {
  const code = resultCode(cause);
  // Node itself refuses what it cannot bind, with an error that has no result code.
  if (code === undefined)
    return cause instanceof TypeError || cause instanceof RangeError ? "data" : "away";
  if (DAMAGED.has(code & PRIMARY)) return "damaged";
  return REFUSED.has(code & PRIMARY) ? "data" : "away";
}
