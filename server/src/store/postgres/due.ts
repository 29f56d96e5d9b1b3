import type { DuePage } from "../due.ts";
import { text, toDueItem } from "../row.ts";
import { encodeArray } from "./arrays.ts";
import type { Connection } from "./connection.ts";

/** The organizations that have something due at any time; one look-up for each. */
const ORGS = `WITH RECURSIVE org AS (
  (SELECT org_id FROM pawl.due WHERE org_id > '' ORDER BY org_id LIMIT 1)
  UNION ALL
  SELECT (SELECT d.org_id FROM pawl.due AS d WHERE d.org_id > org.org_id ORDER BY d.org_id LIMIT 1)
  FROM org WHERE org.org_id IS NOT NULL)`;

/** What is due by $1, at most $2 rows of which each organization has an equal share. */
const READY = `${ORGS},
ready AS MATERIALIZED (
  SELECT org_id FROM (
    SELECT org_id, (SELECT d.at FROM pawl.due AS d WHERE d.org_id = org.org_id AND d.at <= $1
      ORDER BY d.at LIMIT 1) AS first FROM org) AS each
  WHERE first IS NOT NULL ORDER BY first LIMIT $2),
share AS MATERIALIZED (SELECT ceil($2::float8 / count(*))::int8 AS rows FROM ready HAVING count(*) > 0)`;

const SHARE = `WHERE d.org_id = ready.org_id AND d.at <= $1
    ORDER BY d.at, d.subject LIMIT (SELECT rows FROM share)`;

/** Whether what it is for exists; only runs leave rows behind. */
const hasSubject = (row: string): string => `(${row}.subject NOT LIKE 'run/%' OR EXISTS (
  SELECT FROM pawl.run AS r WHERE r.org_id = ${row}.org_id AND r.run_id = substr(${row}.subject, 5)))`;

export const READ_DUE = `${READY}
SELECT d.*, ${hasSubject("d")} AS has_subject
FROM ready CROSS JOIN LATERAL (
  SELECT d.org_id, d.subject, d.kind, d.step_key, d.at, d.data FROM pawl.due AS d
  ${SHARE}) AS d
ORDER BY d.at, d.org_id, d.subject`;
export const NEXT_DUE = `${ORGS}
SELECT min((SELECT d.at FROM pawl.due AS d WHERE d.org_id = org.org_id AND d.at > $1
  ORDER BY d.at LIMIT 1)) AS at FROM org`;
export const DROP_ORPHANS = `DELETE FROM pawl.due AS d
USING unnest($1::text[], $2::text[]) AS o(org_id, subject)
WHERE d.org_id = o.org_id AND d.subject = o.subject AND NOT ${hasSubject("o")}`;

/**
 * Takes what is due and makes it due later, past what others are taking at this moment. It waits for
 * no lock, so that it is in the way of nothing; if a server dies holding a row, the row is delayed by the hold.
 */
export const TAKE_DUE = `${READY},
taken AS MATERIALIZED (
  SELECT mine.* FROM ready CROSS JOIN LATERAL (
    SELECT d.org_id, d.subject, d.kind, d.step_key, d.at FROM pawl.due AS d
    ${SHARE} FOR UPDATE SKIP LOCKED) AS mine),
held AS (
  UPDATE pawl.due AS d SET at = $3 FROM taken
  WHERE d.org_id = taken.org_id AND d.subject = taken.subject AND d.kind = taken.kind
    AND d.step_key = taken.step_key
  RETURNING d.org_id, d.subject, d.kind, d.step_key, d.data, taken.at, d.at AS held_until)
SELECT held.*, ${hasSubject("held")} AS has_subject
FROM held ORDER BY at, org_id, subject`;

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
  const [rows = [], [next] = []] = await db.run([
    read,
    { name: "next due", text: NEXT_DUE, values: [now] },
  ]);
  // A child that ended in the moment in which its parent was deleted leaves such a row behind.
  const orphans = rows.filter((row) => row.has_subject !== true);
  if (orphans.length > 0) {
    const keys = ["org_id", "subject"].map((key) =>
      encodeArray(
        "text",
        orphans.map((row) => text(row, key)),
      ),
    );
    await db.one({ name: "drop orphans", text: DROP_ORPHANS, values: keys });
  }
  return {
    items: rows.filter((row) => row.has_subject === true).map(toDueItem),
    nextAt: typeof next?.at === "number" ? next.at : undefined,
  };
}
