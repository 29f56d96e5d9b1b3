import { fileURLToPath } from "node:url";
import { StartupError } from "../lib/startup-error.ts";
import type { Migrator } from "./migrations.ts";
import type { Store } from "./store.ts";

export interface StoreOptions {
  /**
   * Whether an older schema is migrated at the start. Default true; with false it is refused with
   * SCHEMA_OLDER. A new database is always set up.
   */
  readonly migrate?: boolean;
  /**
   * SQLite only: whether the database has a thread of its own, so that waiting for the disk never
   * blocks the event loop. Default true.
   */
  readonly thread?: boolean;
  /** PostgreSQL only: told in words when the connection is lost, tried again and found. */
  readonly onMessage?: (message: string) => void;
}

/**
 * Opens the store that the URL names.
 *
 * @param url `postgres://…` or `postgresql://…`; anything else is the path of a SQLite file (also
 *   as `sqlite:PATH` or a `file:` URL), or `:memory:`
 * @returns for PostgreSQL at once, even while the database cannot be reached: it continues trying,
 *   and `ping` rejects until then
 * @throws StartupError
 */
export async function openStore(url: string, options: StoreOptions = {}): Promise<Store> {
  const target = parseStoreUrl(url);
  const migrate = options.migrate ?? true;
  if (target.kind === "postgres") {
    // Imported only where it is used: the driver costs memory and start-up time.
    const { openPostgresStore } = await import("./postgres/store.ts");
    const onMessage = options.onMessage ?? (() => undefined);
    return openPostgresStore({ url, migrate, onMessage });
  }
  const { openSqliteStore } = await import("./sqlite/store.ts");
  const thread = options.thread ?? true;
  return openSqliteStore({ path: target.path, migrate, thread });
}

/**
 * The migrations that the store lacks, by id; none when it is up to date. For `pawl migrate`.
 *
 * @throws StartupError SCHEMA_NEWER and what else may be wrong with the store, StoreError where
 *   PostgreSQL cannot be reached
 */
export function needsMigration(url: string): Promise<string[]> {
  return withMigrations(url, async ({ pending }) => pending());
}

/**
 * Brings the store up to date, all in one transaction. For `pawl migrate`.
 *
 * @returns the ids of the migrations that were applied
 * @throws as {@link needsMigration} does
 */
export function migrate(url: string): Promise<string[]> {
  return withMigrations(url, ({ apply }) => apply());
}

async function withMigrations<T>(url: string, use: (migrator: Migrator) => Promise<T>): Promise<T> {
  const target = parseStoreUrl(url);
  if (target.kind === "postgres") {
    const { withMigrator } = await import("./postgres/migrate.ts");
    return withMigrator(url, use);
  }
  const { withMigrator } = await import("./sqlite/migrate.ts");
  return withMigrator(target.path, use);
}

/** @throws StartupError BAD_URL */
export function parseStoreUrl(
  url: string,
): { kind: "sqlite"; path: string } | { kind: "postgres" } {
  if (/^postgres(ql)?:\/\//.test(url) && URL.canParse(url)) return { kind: "postgres" };
  if (url.startsWith("file:")) return { kind: "sqlite", path: fileURLToPath(url) };
  const path = url.startsWith("sqlite:") ? url.slice("sqlite:".length) : url;
  if (path === "" || /^[a-z]+:\/\//.test(path)) {
    throw new StartupError(
      "BAD_URL",
      `There is no store for "${url.replace(/\/\/.*@/, "//")}". Name a SQLite file, :memory:, or a ` +
        "postgres://user@host:port/database URL.",
    );
  }
  return { kind: "sqlite", path };
}
