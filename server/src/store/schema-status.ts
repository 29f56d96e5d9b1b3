/** What `pawl migrate --status` tells: which migrations a database lacks, without touching it. */
import { existsSync } from "node:fs";
import { parseStoreUrl } from "./open.ts";
import { StoreError } from "./store-error.ts";

export interface SchemaStatus {
  /** False for a SQLite file that is not there yet. */
  readonly exists: boolean;
  /** Ids of the migrations that it lacks, in the order of application. */
  readonly pending: readonly string[];
}

const CONNECT_TIMEOUT_MS = 5_000;

/**
 * @param url same as for `openStore`
 * @throws StartupError for a database that this server could not use either
 * @throws StoreError where PostgreSQL cannot be reached
 */
export async function schemaStatus(url: string): Promise<SchemaStatus> {
  const target = parseStoreUrl(url);
  return target.kind === "postgres" ? await ofPostgres(url) : await ofSqlite(target.path);
}

async function ofSqlite(path: string): Promise<SchemaStatus> {
  if (path === ":memory:" || !existsSync(path)) return { exists: false, pending: [] };
  const { openDatabase } = await import("./sqlite/database.ts");
  const { needsMigration } = await import("./sqlite/migrate.ts");
  const db = openDatabase(path);
  try {
    return { exists: true, pending: needsMigration(db).map(({ id }) => id) };
  } finally {
    db.close();
  }
}

async function ofPostgres(url: string): Promise<SchemaStatus> {
  const { default: pg } = await import("pg");
  const { needsMigration } = await import("./postgres/migrate.ts");
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  try {
    await client.connect();
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new StoreError(`PostgreSQL cannot be reached: ${said}`, { cause });
  }
  try {
    return { exists: true, pending: (await needsMigration(client)).map(({ id }) => id) };
  } finally {
    await client.end();
  }
}
