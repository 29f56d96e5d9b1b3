import type { SQLInputValue } from "node:sqlite";
import type { RunHeader } from "../../model/run.ts";
import { HEADER_COLUMNS, toHeader } from "../row.ts";
import type { RunFilter, RunPage } from "../store.ts";
import type { Database } from "./database.ts";

const COLUMNS = HEADER_COLUMNS.map((column) => `run.${column}`).join(", ");
const HEADER = `SELECT ${COLUMNS}, session_id, worker_id, until FROM`;
const LEASE = "LEFT JOIN lease ON lease.org_id = run.org_id AND lease.run_id = run.run_id";

export const GET_RUN = `${HEADER} run ${LEASE} WHERE run.org_id = ? AND run.run_id = ?`;

export function getHeader(db: Database, org: string, runId: string): RunHeader | undefined {
  const row = db.prepare(GET_RUN).get(org, runId);
  return row === undefined ? undefined : toHeader(row);
}

/** Newest first, by an index whatever the filter: see {@link listStatement}. */
export function listRuns(db: Database, org: string, filter: RunFilter): RunPage {
  const { sql, values } = listStatement(org, filter);
  const rows = db.prepare(sql).all(...values);
  const runs = rows.slice(0, filter.limit).map(toHeader);
  return { runs, more: rows.length > filter.limit };
}

/**
 * The page's keys come from the index of the narrowest filter: a tag, the parent, the state, the
 * workflow, the creation time. Several states are one ordered part each, merged.
 */
export function listStatement(
  org: string,
  filter: RunFilter,
): { sql: string; values: SQLInputValue[] } {
  const tags = Object.entries(filter.tags);
  const split = tags.length === 0 && filter.parentRunId === undefined && byState(filter);
  const states = split ? filter.states.map((state) => [state]) : [filter.states];
  const parts = states.map((list) => listPart(org, { ...filter, states: list }, split));
  const keys = parts.map((part) => `SELECT * FROM (${part.sql})`).join("\nUNION ALL ");
  const order = "created_at DESC, run_id DESC";
  const sql = `${HEADER} (SELECT run_id AS id FROM (${keys}) ORDER BY ${order} LIMIT ?) AS page
JOIN run ON run.org_id = ? AND run.run_id = page.id ${LEASE}
ORDER BY run.created_at DESC, run.run_id DESC`;
  return { sql, values: [...parts.flatMap((part) => part.values), filter.limit + 1, org] };
}

/** Completed runs are most of the runs: with a workflow, that index is the narrower one. */
function byState(filter: RunFilter): boolean {
  if (filter.states.length === 0) return false;
  return filter.workflow === undefined || !filter.states.includes("COMPLETED");
}

function listPart(
  org: string,
  filter: RunFilter,
  split: boolean,
): { sql: string; values: SQLInputValue[] } {
  const [first, ...others] = Object.entries(filter.tags);
  const source =
    first === undefined ? `run INDEXED BY ${indexOf(filter, split)}` : "run_tag AS run";
  const where = ["run.org_id = ?"];
  const values: SQLInputValue[] = [org];
  const add = (condition: string, ...args: SQLInputValue[]): void => {
    where.push(condition);
    values.push(...args);
  };
  let join = "";
  let row = "run";
  if (first !== undefined) {
    add("run.key = ? AND run.value = ?", ...first);
    join = "CROSS JOIN run AS r ON r.org_id = run.org_id AND r.run_id = run.run_id";
    row = "r";
  }
  for (const [key, value] of others) {
    add(
      `EXISTS (SELECT 1 FROM run_tag AS t WHERE t.org_id = run.org_id AND t.key = ?
        AND t.value = ? AND t.created_at = run.created_at AND t.run_id = run.run_id)`,
      key,
      value,
    );
  }
  if (filter.parentRunId !== undefined)
    add(`${row}.parent_run_id = ? AND ${row}.parent_run_id <> ''`, filter.parentRunId);
  if (filter.workflow !== undefined) add(`${row}.workflow = ?`, filter.workflow);
  const [state] = filter.states;
  if (split && state !== undefined) add(`${row}.state = ?`, state);
  else if (state !== undefined) {
    add(`${row}.state IN (${filter.states.map(() => "?").join(", ")})`, ...filter.states);
  }
  if (filter.after !== undefined) {
    add("(run.created_at, run.run_id) < (?, ?)", filter.after.createdAt, filter.after.runId);
  }
  const sql = `SELECT run.run_id, run.created_at FROM ${source} ${join}
WHERE ${where.join(" AND ")} ORDER BY run.created_at DESC, run.run_id DESC LIMIT ?`;
  return { sql, values: [...values, filter.limit + 1] };
}

function indexOf(filter: RunFilter, split: boolean): string {
  if (filter.parentRunId !== undefined) return "run_parent";
  if (split) return "run_state";
  return filter.workflow === undefined ? "run_created" : "run_workflow";
}
