import pg from "pg";
import type { AppliedMigration, Migration, Migrator } from "../migrations.ts";
import { pendingMigrations, readMigrations, refuseToMigrate } from "../migrations.ts";
import type { Row } from "../row.ts";
import { text } from "../row.ts";
import { StoreError } from "../store-error.ts";

const FOLDER = new URL("./migrations/", import.meta.url);

/** Held while migrating, so that of several replicas only one does. Any number: "pawl" in ASCII. */
const LOCK = "SELECT pg_advisory_xact_lock(1885435756)";
/** Not `to_regclass`, which answers from a cache that may not know yet what another replica made. */
const HAS_TABLE = `SELECT FROM pg_catalog.pg_tables
WHERE schemaname = 'pawl' AND tablename = 'migration'`;
const CREATE_TABLE = `CREATE SCHEMA IF NOT EXISTS pawl;
CREATE TABLE IF NOT EXISTS pawl.migration (
  id text COLLATE "C" PRIMARY KEY,
  hash text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
)`;
const LIST = "SELECT id, hash FROM pawl.migration ORDER BY id";
const RECORD = "INSERT INTO pawl.migration (id, hash) VALUES ($1, $2)";

/** Returns the migrations that the database lacks. @throws StartupError SCHEMA_NEWER, SCHEMA_CHANGED */
export async function needsMigration(client: pg.Client): Promise<Migration[]> {
  return pendingMigrations(readMigrations(FOLDER), await applied(client));
}

/**
 * Brings the database up to date, all in one transaction.
 *
 * @returns the ids of what was applied
 * @throws StartupError SCHEMA_NEWER, SCHEMA_CHANGED
 */
export async function migrate(client: pg.Client): Promise<string[]> {
  await client.query("BEGIN");
  try {
    // Migrations may take longer than the answers that a server waits for.
    await client.query("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0");
    await client.query(LOCK);
    const pending = await needsMigration(client);
    if (pending.length > 0) await client.query(CREATE_TABLE);
    for (const { id, hash, sql } of pending) {
      await client.query(sql);
      await client.query(RECORD, [id, hash]);
    }
    await client.query("COMMIT");
    return pending.map(({ id }) => id);
  } catch (cause) {
    await client.query("ROLLBACK");
    throw cause;
  }
}

/** Migrates a new database always, and an old one where `automatically` is set. */
export async function migrateAtStart(client: pg.Client, automatically: boolean): Promise<void> {
  const pending = await needsMigration(client);
  if (pending.length === 0) return;
  if (!automatically && (await applied(client)).length > 0) throw refuseToMigrate(pending);
  await migrate(client);
}

/** @throws StartupError, StoreError where the database cannot be reached */
export async function withMigrator<T>(
  url: string,
  use: (migrator: Migrator) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: "pawl migrate" });
  try {
    await client.connect();
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new StoreError(`PostgreSQL cannot be reached: ${message}`, { cause });
  }
  try {
    return await use({
      pending: async () => (await needsMigration(client)).map(({ id }) => id),
      apply: () => migrate(client),
    });
  } finally {
    await client.end();
  }
}

async function applied(client: pg.Client): Promise<AppliedMigration[]> {
  const { rows } = await client.query<Row>(HAS_TABLE);
  if (rows.length === 0) return [];
  const list = await client.query<Row>(LIST);
  return list.rows.map((row) => ({ id: text(row, "id"), hash: text(row, "hash") }));
}
