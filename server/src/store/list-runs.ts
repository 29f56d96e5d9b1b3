import { RUN_COLUMNS } from "./run-columns.ts";
import type { RunFilter } from "./runs.ts";

/** What differs between the databases. */
export interface Dialect {
  /** The schema with its dot, or nothing. */
  readonly schema: string;
  /** Added to the table where the index is to be named. */
  hint(index: string): string;
}

export interface ListStatement {
  /** The text, with `?` for each value, in order. */
  readonly sql: string;
  readonly values: (string | number)[];
}

const ORDER = "created_at DESC, run_id DESC";

export function headerSelect({ schema }: Dialect, source: string): string {
  const columns = RUN_COLUMNS.map((column) => `run.${column}`).join(", ");
  return `SELECT ${columns}, connection_id, worker_id, until FROM ${source}
LEFT JOIN ${schema}lease AS lease ON lease.org_id = run.org_id AND lease.run_id = run.run_id`;
}

/**
 * One page of headers, newest first, and one more to see whether there are more. The page's keys
 * come from the index of the narrowest filter (a tag, the parent, the status, the workflow, or the
 * creation time), in its order. Several statuses are one such part each, merged.
 */
export function listStatement(dialect: Dialect, org: string, filter: RunFilter): ListStatement {
  const isTagged = Object.keys(filter.tags).length > 0;
  const isSplit = !isTagged && filter.parentRunId === undefined && isNarrowedByState(filter);
  const statuses = isSplit ? filter.statuses.map((status) => [status]) : [filter.statuses];
  const parts = statuses.map((list) =>
    listPart(dialect, org, { ...filter, statuses: list }, isSplit),
  );
  const keys = parts.map((part) => `SELECT * FROM (${part.sql}) AS part`).join("\nUNION ALL\n");
  // CROSS JOIN: SQLite would else read all runs in the final order, to look each up in the page.
  const page = `(SELECT run_id FROM (\n${keys}) AS parts\nORDER BY ${ORDER} LIMIT ?) AS page
CROSS JOIN ${dialect.schema}run AS run`;
  return {
    sql: `${headerSelect(dialect, page)}
WHERE run.org_id = ? AND run.run_id = page.run_id
ORDER BY run.created_at DESC, run.run_id DESC`,
    values: [...parts.flatMap((part) => part.values), filter.limit + 1, org],
  };
}

/** Completed runs are most of the runs: with a workflow, that index is the narrower one. */
function isNarrowedByState(filter: RunFilter): boolean {
  if (filter.statuses.length === 0) return false;
  return filter.workflow === undefined || !filter.statuses.includes("COMPLETED");
}

function listPart(
  { schema, hint }: Dialect,
  org: string,
  filter: RunFilter,
  isSplit: boolean,
): ListStatement {
  const [tag, ...otherTags] = Object.entries(filter.tags);
  const where = ["key.org_id = ?"];
  const values: (string | number)[] = [org];
  const add = (condition: string, ...args: (string | number)[]): void => {
    where.push(condition);
    values.push(...args);
  };
  if (tag !== undefined) add("key.key = ? AND key.value = ?", ...tag);
  for (const [key, value] of otherTags) {
    add(
      `EXISTS (SELECT 1 FROM ${schema}run_tag AS t WHERE t.org_id = key.org_id AND t.key = ?
    AND t.value = ? AND t.created_at = key.created_at AND t.run_id = key.run_id)`,
      key,
      value,
    );
  }
  const row = tag === undefined ? "key" : "run";
  if (filter.parentRunId !== undefined) {
    add(`${row}.parent_run_id = ? AND ${row}.parent_run_id <> ''`, filter.parentRunId);
  }
  if (filter.workflow !== undefined) add(`${row}.workflow = ?`, filter.workflow);
  if (filter.statuses.length > 0) {
    const marks = filter.statuses.map(() => "?").join(", ");
    add(
      filter.statuses.length === 1 ? `${row}.status = ?` : `${row}.status IN (${marks})`,
      ...filter.statuses,
    );
  }
  if (filter.after !== undefined) {
    add("(key.created_at, key.run_id) < (?, ?)", filter.after.createdAt, filter.after.runId);
  }
  const source =
    tag === undefined
      ? `${schema}run AS key ${hint(indexOf(filter, isSplit))}`
      : `${schema}run_tag AS key
CROSS JOIN ${schema}run AS run`;
  if (tag !== undefined) where.push("run.org_id = key.org_id AND run.run_id = key.run_id");
  const sql = `SELECT key.run_id, key.created_at FROM ${source}
WHERE ${where.join("\n  AND ")}
ORDER BY key.created_at DESC, key.run_id DESC LIMIT ?`;
  return { sql, values: [...values, filter.limit + 1] };
}

function indexOf(filter: RunFilter, isSplit: boolean): string {
  if (filter.parentRunId !== undefined) return "run_parent";
  if (isSplit) return "run_status";
  return filter.workflow === undefined ? "run_created" : "run_workflow";
}
