import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { StartupError } from "../lib/startup-error.ts";

/** One forward step of a schema; once published it never changes. */
export interface Migration {
  /** The file's name without its ending, in the order of application. */
  readonly id: string;
  /** SHA-256 of its text. */
  readonly hash: string;
  readonly sql: string;
}

/** A database that is open for nothing but its migrations. */
export interface Migrator {
  /** The ids of what it lacks. */
  pending(): Promise<string[]>;
  /** Applies that in one transaction, and answers the ids. */
  apply(): Promise<string[]>;
}

/** What a database says of a migration that it went through. */
export type AppliedMigration = Pick<Migration, "id" | "hash">;

export function readMigrations(folder: URL): Migration[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".sql"))
    .sort()
    .map((name) => {
      const sql = readFileSync(new URL(name, folder), "utf8").replaceAll("\r\n", "\n");
      const hash = createHash("sha256").update(sql).digest("hex");
      return { id: name.slice(0, -".sql".length), hash, sql };
    });
}

/**
 * The migrations that a database still lacks.
 *
 * @throws StartupError SCHEMA_NEWER when it has some that this server does not know,
 *   SCHEMA_CHANGED when it has another version of one.
 */
export function pendingMigrations(
  known: readonly Migration[],
  applied: readonly AppliedMigration[],
): Migration[] {
  const hashes = new Map(known.map(({ id, hash }) => [id, hash]));
  for (const { id, hash } of applied) {
    const expected = hashes.get(id);
    if (expected === undefined) {
      throw new StartupError(
        "SCHEMA_NEWER",
        `The database has the schema of a newer Pawl (its migration ${id} is unknown here). ` +
          "Nothing was changed. Start that version or a later one.",
      );
    }
    if (expected !== hash) {
      throw new StartupError(
        "SCHEMA_CHANGED",
        `The database went through another version of migration ${id} than this Pawl has. ` +
          "Nothing was changed. Use the Pawl that made it, or a new database.",
      );
    }
  }
  const done = new Set(applied.map(({ id }) => id));
  return known.filter(({ id }) => !done.has(id));
}

/** The error of a server that must not migrate by itself. */
export function refuseToMigrate(pending: readonly Migration[]): StartupError {
  const ids = pending.map(({ id }) => id).join(", ");
  return new StartupError(
    "SCHEMA_OLDER",
    `The database lacks migrations that this Pawl needs (${ids}). Run \`pawl migrate\`.`,
  );
}
