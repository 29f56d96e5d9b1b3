import type { Tenant } from "../../model/caller.ts";
import type { RunHeader } from "../../model/run.ts";
import type { Dialect } from "../list-runs.ts";
import { headerSelect, listStatement } from "../list-runs.ts";
import { toHeader } from "../run-columns.ts";
import type { RunFilter, RunPage } from "../runs.ts";
import type { Database } from "./database.ts";

/** Without statistics SQLite chooses among the indexes by their shape alone, so they are named. */
export const DIALECT: Dialect = { schema: "", hint: (index) => `INDEXED BY ${index}` };

export const GET_RUN = `${headerSelect(DIALECT, "run")}
WHERE run.org_id = ? AND run.run_id = ?`;

export function getHeader(db: Database, org: string, runId: string): RunHeader | undefined {
  const row = db.prepare(GET_RUN).get(org, runId);
  return row === undefined ? undefined : toHeader(row);
}

export function listRuns(db: Database, { org }: Tenant, filter: RunFilter): RunPage {
  const { sql, values } = listStatement(DIALECT, org, filter);
  const rows = db.prepareOnce(sql).all(...values);
  const runs = rows.slice(0, filter.limit).map(toHeader);
  return { runs, more: rows.length > filter.limit };
}
