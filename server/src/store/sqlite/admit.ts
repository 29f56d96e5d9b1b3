import type { Admission } from "../admission.ts";
import type { Row } from "../row.ts";
import { int, text } from "../row.ts";
import type { Database } from "./database.ts";

/** Gates that are looked at in one transaction. */
const GATES = 200;

export const DUE_GATES = `SELECT org_id, gate, capacity, period_ms FROM gate
WHERE wake_at <= ? ORDER BY wake_at LIMIT ${GATES}`;
export const NEXT_GATE = "SELECT min(wake_at) AS at FROM gate WHERE wake_at IS NOT NULL";
export const EXPIRE = "DELETE FROM permit WHERE org_id = ? AND gate = ? AND until BETWEEN 1 AND ?";
export const USED = `SELECT count(*) AS used, min(until) AS first, max(until) AS last FROM permit
WHERE org_id = ? AND gate = ?`;
export const BEST = `SELECT run_id, next_gate, next_capacity, rank, fair, queue, lane FROM held
WHERE org_id = ? AND gate = ? ORDER BY rank, turn, held_at, run_id LIMIT ?`;
export const IS_HELD = "SELECT 1 FROM held WHERE org_id = ? AND gate = ? LIMIT 1";
export const PERMIT = `INSERT INTO permit (org_id, gate, run_id, until) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET until = excluded.until`;
export const PASS_RUN = `UPDATE run SET fence = fence + 1, reason = ?, updated_at = ?
WHERE org_id = ? AND run_id = ?`;
export const GO_ON = `UPDATE held SET gate = ?3, next_gate = '', turn = coalesce(
    (SELECT max(h.turn) + 1 FROM held AS h
      WHERE h.org_id = ?1 AND h.gate = ?3 AND h.fair = held.fair),
    (SELECT min(h.turn) FROM held AS h
      WHERE h.org_id = ?1 AND h.gate = ?3 AND h.rank = held.rank), 0)
WHERE org_id = ?1 AND run_id = ?2`;
export const POKE = `INSERT INTO gate (org_id, gate, capacity, period_ms, wake_at, version)
VALUES (?, ?, ?, 0, ?, 0)
ON CONFLICT DO UPDATE SET wake_at = excluded.wake_at, version = version + 1`;
export const NOT_HELD = "DELETE FROM held WHERE org_id = ? AND run_id = ?";
export const READY = `INSERT INTO ready (org_id, run_id, queue, lane, rank, ready_at)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET ready_at = excluded.ready_at`;
export const SET_WAKE = "UPDATE gate SET wake_at = ? WHERE org_id = ? AND gate = ?";
export const DROP_GATE = "DELETE FROM gate WHERE org_id = ? AND gate = ?";

/** Lets held runs pass the gates that have something to do. */
export function admit(db: Database, now: number, runsMax: number): Admission {
  const due = db.prepare(DUE_GATES).all(now);
  let admitted = 0;
  if (due.length > 0) {
    db.transaction(() => {
      for (const gate of due) admitted += open(db, gate, now, runsMax);
    });
  }
  const next = db.prepare(NEXT_GATE).get();
  return { admitted, nextAt: typeof next?.at === "number" ? next.at : undefined };
}

/** Returns how many runs passed. */
function open(db: Database, row: Row, now: number, runsMax: number): number {
  const [org, gate] = [text(row, "org_id"), text(row, "gate")];
  const [capacity, periodMs] = [int(row, "capacity"), int(row, "period_ms")];
  db.prepare(EXPIRE).run(org, gate, now);
  const used = int(db.prepare(USED).get(org, gate) ?? {}, "used");
  const free = Math.max(0, Math.min(capacity - used, runsMax));
  const runs = free === 0 ? [] : db.prepare(BEST).all(org, gate, free);
  for (const run of runs) {
    const runId = text(run, "run_id");
    const nextGate = text(run, "next_gate");
    db.prepare(PERMIT).run(org, gate, runId, periodMs === 0 ? 0 : now + periodMs);
    db.prepare(PASS_RUN).run(nextGate === "" ? "" : "CONCURRENCY_LIMIT", now, org, runId);
    if (nextGate === "") {
      db.prepare(NOT_HELD).run(org, runId);
      const place = [text(run, "queue"), text(run, "lane"), int(run, "rank")] as const;
      db.prepare(READY).run(org, runId, ...place, now);
    } else {
      db.prepare(GO_ON).run(org, runId, nextGate);
      db.prepare(POKE).run(org, nextGate, int(run, "next_capacity"), now);
    }
  }
  rest(db, org, gate, { capacity, periodMs, now });
  return runs.length;
}

/** When the gate is to be looked at again; one that nobody needs goes away. */
function rest(
  db: Database,
  org: string,
  gate: string,
  { capacity, periodMs, now }: { capacity: number; periodMs: number; now: number },
): void {
  const permits = db.prepare(USED).get(org, gate) ?? {};
  const used = int(permits, "used");
  const isHeld = db.prepare(IS_HELD).get(org, gate) !== undefined;
  if (!isHeld && used === 0) {
    db.prepare(DROP_GATE).run(org, gate);
    return;
  }
  let wakeAt: number | null = null;
  if (isHeld && used < capacity) wakeAt = now;
  else if (periodMs > 0) wakeAt = int(permits, isHeld ? "first" : "last");
  db.prepare(SET_WAKE).run(wakeAt, org, gate);
}
