import type { DuePage } from "../due.ts";
import { int, text, toDueItem } from "../row.ts";
import { encodeArray } from "./arrays.ts";
import type { Connection } from "./connection.ts";

export const READ_DUE = `SELECT d.*, EXISTS (
  SELECT FROM pawl.run AS r WHERE r.org_id = d.org_id AND r.run_id = d.run_id) AS has_run
FROM (SELECT org_id, run_id, kind, step_key, at, data FROM pawl.due
  WHERE at <= $1 ORDER BY at, org_id, run_id LIMIT $2) AS d
ORDER BY d.at, d.org_id, d.run_id`;
export const NEXT_DUE = "SELECT at FROM pawl.due WHERE at > $1 ORDER BY at LIMIT 1";
export const DROP_ORPHANS = `DELETE FROM pawl.due AS d
USING unnest($1::text[], $2::text[]) AS o(org_id, run_id)
WHERE d.org_id = o.org_id AND d.run_id = o.run_id AND NOT EXISTS (
  SELECT FROM pawl.run AS r WHERE r.org_id = o.org_id AND r.run_id = o.run_id)`;

/**
 * Takes what is due and makes it due later, past what others are taking at this moment. It waits for
 * no lock, so that it is in the way of nothing; if a server dies holding a row, the row is delayed by the hold.
 */
export const TAKE_DUE = `WITH taken AS MATERIALIZED (
  SELECT org_id, run_id, kind, step_key, at FROM pawl.due
  WHERE at <= $1 ORDER BY at, org_id, run_id LIMIT $2 FOR UPDATE SKIP LOCKED),
held AS (
  UPDATE pawl.due AS d SET at = $3 FROM taken
  WHERE d.org_id = taken.org_id AND d.run_id = taken.run_id AND d.kind = taken.kind
    AND d.step_key = taken.step_key
  RETURNING d.org_id, d.run_id, d.kind, d.step_key, d.data, taken.at, d.at AS held_until)
SELECT held.*, EXISTS (
  SELECT FROM pawl.run AS r WHERE r.org_id = held.org_id AND r.run_id = held.run_id) AS has_run
FROM held ORDER BY at, org_id, run_id`;

export async function readDue(
  db: Connection,
  now: number,
  limit: number,
  holdUntil: number | undefined,
): Promise<DuePage> {
  const read =
    holdUntil === undefined
      ? { name: "read due", text: READ_DUE, values: [now, limit] }
      : { name: "take due", text: TAKE_DUE, values: [now, limit, holdUntil] };
  const [rows = [], next = []] = await db.run([
    read,
    { name: "next due", text: NEXT_DUE, values: [now] },
  ]);
  // A child that ended in the moment in which its parent was deleted leaves such a row behind.
  const orphans = rows.filter((row) => row.has_run !== true);
  if (orphans.length > 0) {
    const keys = ["org_id", "run_id"].map((key) =>
      encodeArray(
        "text",
        orphans.map((row) => text(row, key)),
      ),
    );
    await db.one({ name: "drop orphans", text: DROP_ORPHANS, values: keys });
  }
  const [first] = next;
  return {
    items: rows.filter((row) => row.has_run === true).map(toDueItem),
    nextAt: first === undefined ? undefined : int(first, "at"),
  };
}
