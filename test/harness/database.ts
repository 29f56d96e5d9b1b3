/** Databases for test files, in the one PostgreSQL cluster of a test run. Needs vitest. */
import { inject } from "vitest";

/**
 * Creates an empty database that nobody else uses, and starts the cluster if this is the first
 * one of the run (about 2 s). It goes with the cluster when the run ends. Commits survive killed
 * processes; a test that kills the cluster itself takes one of its own from `startPostgres`.
 *
 * @param label starts its name, so that it can be told in logs: letters and digits, 40 at most.
 * @returns its connection URL.
 */
export async function createDatabase(label: string): Promise<string> {
  return await ask(`empty/${encodeURIComponent(label)}`);
}

/** The same with Pawl's tables, which takes a quarter of the CPU of making them. */
export async function createMigratedDatabase(label: string): Promise<string> {
  return await ask(`migrated/${encodeURIComponent(label)}`);
}

async function ask(what: string): Promise<string> {
  const response = await fetch(`${inject("postgresControlUrl")}/${what}`);
  const text = await response.text();
  if (!response.ok) throw new Error(`No database for this test: ${text}`);
  return text;
}
