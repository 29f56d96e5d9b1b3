import type { DueItem } from "../due.ts";
import { int, toDueItem } from "../row.ts";
import type { Database } from "./database.ts";

export const READ_DUE = `SELECT org_id, run_id, kind, step_key, at, data FROM due
WHERE at <= ? ORDER BY at, org_id, run_id LIMIT ?`;
export const NEXT_DUE = "SELECT at FROM due WHERE at > ? ORDER BY at LIMIT 1";

/** There is no other server that it would have to be held against. */
export function readDue(
  db: Database,
  now: number,
  limit: number,
): { items: DueItem[]; nextAt: number | undefined } {
  const items = db.prepare(READ_DUE).all(now, limit).map(toDueItem);
  const next = db.prepare(NEXT_DUE).get(now);
  return { items, nextAt: next === undefined ? undefined : int(next, "at") };
}
