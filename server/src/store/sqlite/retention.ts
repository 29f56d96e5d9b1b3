import { type EndedPage, type EndedPlace, endedStatements, toEndedPage } from "../retention.ts";
import { text, toEndedRun } from "../row.ts";
import type { Database } from "./database.ts";

export const { page: ENDED_RUNS, org: NEXT_ENDED_ORG } = endedStatements("");

/** Free pages that are kept, since what comes next fills them: 8 MB, and a tenth of the file. */
const FREE_PAGES = 2_000;
const FREE_SHARE = 0.1;

export function endedRuns(
  db: Database,
  after: EndedPlace,
  before: number,
  limit: number,
): EndedPage {
  const { org, endedAt, runId } = after;
  const rows = db.prepare(ENDED_RUNS).all(org, endedAt, runId, before, limit);
  const next = db.prepare(NEXT_ENDED_ORG).get(org);
  return toEndedPage(rows.map(toEndedRun), limit, next && text(next, "org_id"));
}

/** A file that was made without incremental vacuum keeps its size, and uses the free pages again. */
export function shrink(db: Database, pages: number): boolean {
  const excess = excessPages(db);
  if (excess <= 0) return false;
  db.exec(`PRAGMA incremental_vacuum(${Math.min(pages, excess)})`);
  const left = excessPages(db);
  return left > 0 && left < excess;
}

function excessPages(db: Database): number {
  const free = Number(db.prepare("PRAGMA freelist_count").get()?.freelist_count);
  const total = Number(db.prepare("PRAGMA page_count").get()?.page_count);
  return Math.floor(free - Math.max(FREE_PAGES, total * FREE_SHARE));
}
