import { fileURLToPath } from "node:url";
import { StartupError } from "../lib/startup-error.ts";
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
 * @returns for PostgreSQL at once, even while the database cannot be reached: it goes on trying,
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

/** @throws StartupError BAD_URL */
export function parseStoreUrl(
  url: string,
): { kind: "sqlite"; path: string } | { kind: "postgres" } {
  if (/^postgres(ql)?:\/\//.test(url)) return { kind: "postgres" };
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
