import type { AppliedMigration, Migration, Migrator } from "../migrations.ts";
import { pendingMigrations, readMigrations, refuseToMigrate } from "../migrations.ts";
import { text } from "../row.ts";
import type { Database } from "./database.ts";
import { openDatabase } from "./database.ts";

const FOLDER = new URL("./migrations/", import.meta.url);

const HAS_TABLE = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'migration'";
const CREATE_TABLE = `CREATE TABLE migration (
  id text PRIMARY KEY,
  hash text NOT NULL,
  applied_at integer NOT NULL
) STRICT`;
const LIST = "SELECT id, hash FROM migration ORDER BY id";
const RECORD = `INSERT INTO migration (id, hash, applied_at)
VALUES (?, ?, CAST(unixepoch('subsec') * 1000 AS INTEGER))`;

/** The ids of the migrations that the database lacks. @throws StartupError SCHEMA_NEWER, SCHEMA_CHANGED */
export function needsMigration(db: Database): Migration[] {
  return pendingMigrations(readMigrations(FOLDER), applied(db));
}

/**
 * Brings the database up to date, all in one transaction.
 *
 * @returns the ids of what was applied
 * @throws StartupError SCHEMA_NEWER, SCHEMA_CHANGED
 */
export function migrate(db: Database): string[] {
  return db.transaction(() => {
    const pending = needsMigration(db);
    if (db.prepare(HAS_TABLE).get() === undefined) db.exec(CREATE_TABLE);
    for (const { id, hash, sql } of pending) {
      db.exec(sql);
      db.prepare(RECORD).run(id, hash);
    }
    return pending.map(({ id }) => id);
  });
}

/** Migrates a new database always, and an old one where `automatically` is set. */
export function migrateAtStart(db: Database, automatically: boolean): void {
  const pending = needsMigration(db);
  if (pending.length === 0) return;
  if (!automatically && applied(db).length > 0) throw refuseToMigrate(pending);
  migrate(db);
}

/** @throws StartupError */
export async function withMigrator<T>(
  path: string,
  use: (migrator: Migrator) => Promise<T>,
): Promise<T> {
  const db = openDatabase(path);
  try {
    return await use({
      pending: async () => needsMigration(db).map(({ id }) => id),
      apply: async () => migrate(db),
    });
  } finally {
    db.close();
  }
}

function applied(db: Database): AppliedMigration[] {
  if (db.prepare(HAS_TABLE).get() === undefined) return [];
  const rows = db.prepare(LIST).all();
  return rows.map((row) => ({ id: text(row, "id"), hash: text(row, "hash") }));
}
