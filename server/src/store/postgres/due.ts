import { int, toDueItem } from "../row.ts";
import type { DueItem } from "../store.ts";
import type { Connection } from "./connection.ts";

export const READ_DUE = `SELECT org_id, run_id, kind, step_key, at, data FROM pawl.due
WHERE at <= $1 ORDER BY at, org_id, run_id LIMIT $2`;
export const NEXT_DUE = "SELECT at FROM pawl.due WHERE at > $1 ORDER BY at LIMIT 1";
/** A child that ended in the moment in which its parent was deleted leaves such a row behind. */
export const DROP_ORPHANS = `DELETE FROM pawl.due AS d
WHERE d.at <= $1 AND NOT EXISTS (
  SELECT FROM pawl.run AS r WHERE r.org_id = d.org_id AND r.run_id = d.run_id)`;

export async function readDue(
  db: Connection,
  now: number,
  limit: number,
): Promise<{ items: DueItem[]; nextAt: number | undefined }> {
  const [, rows = [], next = []] = await db.run([
    { name: "drop orphans", text: DROP_ORPHANS, values: [now] },
    { name: "read due", text: READ_DUE, values: [now, limit] },
    { name: "next due", text: NEXT_DUE, values: [now] },
  ]);
  const [first] = next;
  return {
    items: rows.map(toDueItem),
    nextAt: first === undefined ? undefined : int(first, "at"),
  };
}
