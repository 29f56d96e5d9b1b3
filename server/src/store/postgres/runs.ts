import type { Tenant } from "../../model/caller.ts";
import type { Dialect } from "../list-runs.ts";
import { listStatement } from "../list-runs.ts";
import { toHeader } from "../run-columns.ts";
import type { RunFilter, RunPage } from "../runs.ts";
import type { Connection } from "./connection.ts";

/** PostgreSQL has statistics to choose the index by. */
export const DIALECT: Dialect = { schema: "pawl.", hint: () => "" };

/** Replaces each `?` by `$1`, `$2` and so on. */
export function numbered(sql: string): string {
  let place = 0;
  return sql.replaceAll("?", () => {
    place += 1;
    return `$${place}`;
  });
}

export async function listRuns(
  db: Connection,
  { org }: Tenant,
  filter: RunFilter,
): Promise<RunPage> {
  const { sql, values } = listStatement(DIALECT, org, filter);
  const rows = await db.one({ text: numbered(sql), values });
  const runs = rows.slice(0, filter.limit).map(toHeader);
  return { runs, more: rows.length > filter.limit };
}
