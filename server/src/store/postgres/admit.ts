import type { Admission } from "../admission.ts";
import { int, text } from "../row.ts";
import { encodeArray } from "./arrays.ts";
import type { Connection } from "./connection.ts";

/** Gates that are looked at in one transaction. */
const GATES = 200;

export const DUE_GATES = `SELECT org_id, gate, version FROM pawl.gate
WHERE wake_at <= $1 ORDER BY wake_at LIMIT ${GATES}`;
export const NEXT_GATE =
  "SELECT wake_at AS at FROM pawl.gate WHERE wake_at IS NOT NULL ORDER BY wake_at LIMIT 1";

/**
 * One server at a time lets runs pass. What is counted after that lock holds: permits are only
 * given below it.
 */
export const LOCK = "SELECT pg_advisory_xact_lock(hashtext('pawl.admit'))";

const LISTED = `listed AS MATERIALIZED (
  SELECT g.*, d.expected FROM unnest($1::text[], $2::text[], $3::int4[]) AS d(org_id, gate, expected)
  CROSS JOIN LATERAL (SELECT * FROM pawl.gate AS g
    WHERE g.org_id = d.org_id AND g.gate = d.gate LIMIT 1) AS g)`;

const LIVE =
  "p.org_id = listed.org_id AND p.gate = listed.gate AND (p.until = 0 OR p.until > $4::int8)";

/**
 * A run is let pass under the lock of its row, and its version is raised, so that any process that changes
 * it at the same time finds it changed. One that another transaction has locked is passed over. A
 * row of `held` that was removed meanwhile is not returned, and its run goes nowhere.
 */
export const PASS = `WITH ${LISTED},
picked AS MATERIALIZED (
  SELECT listed.org_id, listed.gate, listed.period_ms, best.run_id
  FROM listed
  CROSS JOIN LATERAL (SELECT count(*) AS used FROM pawl.permit AS p WHERE ${LIVE}) AS permits
  CROSS JOIN LATERAL (
    SELECT h.run_id FROM pawl.held AS h CROSS JOIN LATERAL (
      SELECT true FROM pawl.run AS r WHERE r.org_id = h.org_id AND r.run_id = h.run_id
      FOR NO KEY UPDATE SKIP LOCKED) AS mine
    WHERE h.org_id = listed.org_id AND h.gate = listed.gate
    ORDER BY h.rank, h.turn, h.held_at, h.run_id
    LIMIT least(greatest(listed.capacity - permits.used, 0), $5::int8)) AS best),
passed AS (
  DELETE FROM pawl.held AS h USING picked
  WHERE h.org_id = picked.org_id AND h.run_id = picked.run_id AND h.gate = picked.gate
    AND h.next_gate = ''
  RETURNING h.org_id, h.run_id, h.gate, h.rank, h.queue, h.lane, picked.period_ms),
moved AS (
  UPDATE pawl.held AS h SET gate = h.next_gate, next_gate = '', turn = coalesce(
    (SELECT n.turn + 1 FROM pawl.held AS n
      WHERE n.org_id = h.org_id AND n.gate = h.next_gate AND n.fair = h.fair
      ORDER BY n.turn DESC LIMIT 1),
    (SELECT n.turn FROM pawl.held AS n
      WHERE n.org_id = h.org_id AND n.gate = h.next_gate AND n.rank = h.rank
      ORDER BY n.turn LIMIT 1), 0)
  FROM picked
  WHERE h.org_id = picked.org_id AND h.run_id = picked.run_id AND h.gate = picked.gate
    AND h.next_gate <> ''
  RETURNING h.org_id, h.run_id, picked.gate, h.gate AS to_gate, h.next_capacity,
    picked.period_ms),
permitted AS (
  INSERT INTO pawl.permit (org_id, gate, run_id, until)
  SELECT org_id, gate, run_id, CASE period_ms WHEN 0 THEN 0 ELSE $4::int8 + period_ms END
  FROM (SELECT org_id, gate, run_id, period_ms FROM passed
    UNION ALL SELECT org_id, gate, run_id, period_ms FROM moved) AS through
  ON CONFLICT (org_id, run_id, gate) DO UPDATE SET until = excluded.until),
readied AS (
  INSERT INTO pawl.ready (org_id, run_id, queue, lane, rank, ready_at)
  SELECT org_id, run_id, queue, lane, rank, $4::int8 FROM passed
  ON CONFLICT (org_id, run_id) DO UPDATE SET ready_at = excluded.ready_at),
touched AS (
  UPDATE pawl.run AS r SET fence = fence + 1, reason = through.reason, updated_at = $4::int8
  FROM (SELECT org_id, run_id, '' AS reason FROM passed
    UNION ALL SELECT org_id, run_id, 'CONCURRENCY_LIMIT' FROM moved) AS through
  WHERE r.org_id = through.org_id AND r.run_id = through.run_id),
poked AS (
  INSERT INTO pawl.gate AS g (org_id, gate, capacity, period_ms, wake_at, version)
  SELECT DISTINCT ON (org_id, to_gate) org_id, to_gate, next_capacity, 0, $4::int8, 0 FROM moved
  ORDER BY org_id, to_gate
  ON CONFLICT (org_id, gate) DO UPDATE SET wake_at = excluded.wake_at, version = g.version + 1)
SELECT (SELECT count(*) FROM passed) + (SELECT count(*) FROM moved) AS admitted`;

export const EXPIRE = `WITH ${LISTED}
DELETE FROM pawl.permit AS p USING listed
WHERE p.org_id = listed.org_id AND p.gate = listed.gate AND p.until > 0 AND p.until <= $4::int8`;

/**
 * When each gate is to be looked at again; one that nobody needs goes away. A gate that somebody
 * changed meanwhile stays as it is: due.
 */
export const REST = `WITH ${LISTED},
state AS MATERIALIZED (
  SELECT listed.*, permits.*, coalesce(held.is_held, false) AS is_held
  FROM listed LEFT JOIN LATERAL (
    SELECT true AS is_held FROM pawl.held AS h
    WHERE h.org_id = listed.org_id AND h.gate = listed.gate LIMIT 1) AS held ON true
  CROSS JOIN LATERAL (
    SELECT count(*) AS used, min(until) AS first, max(until) AS last FROM pawl.permit AS p
    WHERE p.org_id = listed.org_id AND p.gate = listed.gate) AS permits),
dropped AS (
  DELETE FROM pawl.gate AS g USING state
  WHERE g.org_id = state.org_id AND g.gate = state.gate AND g.version = state.expected
    AND NOT state.is_held AND state.used = 0)
UPDATE pawl.gate AS g SET wake_at = CASE
    WHEN state.is_held AND state.used < state.capacity THEN $4::int8 + 20
    WHEN state.period_ms = 0 THEN NULL
    WHEN state.is_held THEN state.first
    ELSE state.last END
FROM state
WHERE g.org_id = state.org_id AND g.gate = state.gate AND g.version = state.expected
  AND (state.is_held OR state.used > 0)`;

/** Lets held runs pass the gates that have something to do. */
export async function admit(
  reads: Connection,
  commits: Connection,
  now: number,
  runsMax: number,
): Promise<Admission> {
  const due = await reads.one({ name: "due gates", text: DUE_GATES, values: [now] });
  let admitted = 0;
  if (due.length > 0) {
    const gates = [
      encodeArray(
        "text",
        due.map((row) => text(row, "org_id")),
      ),
      encodeArray(
        "text",
        due.map((row) => text(row, "gate")),
      ),
      encodeArray(
        "int4",
        due.map((row) => int(row, "version")),
      ),
      now,
    ];
    const results = await commits.run([
      { text: "BEGIN" },
      { name: "lock gates", text: LOCK },
      { name: "expire permits", text: EXPIRE, values: gates },
      { name: "pass gates", text: PASS, values: [...gates, runsMax] },
      { name: "rest gates", text: REST, values: gates },
      { text: "COMMIT" },
    ]);
    admitted = Number(results[3]?.[0]?.admitted ?? 0);
  }
  const next = (await reads.one({ name: "next gate", text: NEXT_GATE }))[0];
  return { admitted, nextAt: next === undefined ? undefined : int(next, "at") };
}
