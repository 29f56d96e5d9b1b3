import { type EndedPage, type EndedPlace, endedStatements, toEndedPage } from "../retention.ts";
import { text, toEndedRun } from "../row.ts";
import type { Connection } from "./connection.ts";
import { numbered } from "./runs.ts";

const STATEMENTS = endedStatements("pawl.");
export const ENDED_RUNS = numbered(STATEMENTS.page);
export const NEXT_ENDED_ORG = numbered(STATEMENTS.org);

export async function endedRuns(
  db: Connection,
  after: EndedPlace,
  before: number,
  limit: number,
): Promise<EndedPage> {
  const { org, endedAt, runId } = after;
  const [rows = [], [next] = []] = await db.run([
    { name: "ended runs", text: ENDED_RUNS, values: [org, endedAt, runId, before, limit] },
    { name: "next ended org", text: NEXT_ENDED_ORG, values: [org] },
  ]);
  return toEndedPage(rows.map(toEndedRun), limit, next && text(next, "org_id"));
}

/** PostgreSQL's own vacuum makes the space of deleted rows free for new ones. */
export function shrink(): Promise<boolean> {
  return Promise.resolve(false);
}
