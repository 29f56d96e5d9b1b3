import type { Part } from "./part.ts";

const LEAVE_HELD = "DELETE FROM held WHERE org_id = ? AND run_id = ?";
const LEAVE_PERMITS = "DELETE FROM permit WHERE org_id = ? AND run_id = ? AND until = 0";

/** After the latest of its key; a key that has none starts with the round that is on. */
const TURN = `coalesce(
    (SELECT max(turn) + 1 FROM held WHERE org_id = ?1 AND gate = ?3 AND fair = ?8),
    (SELECT min(turn) FROM held WHERE org_id = ?1 AND gate = ?3 AND rank = ?5), 0)`;
export const HOLD = `INSERT INTO held (org_id, run_id, gate, next_gate, rank, turn, held_at, fair, queue, lane,
  next_capacity)
VALUES (?1, ?2, ?3, ?4, ?5, ${TURN}, ?6, ?8, ?7, ?9, ?10)
ON CONFLICT DO UPDATE SET gate = excluded.gate, next_gate = excluded.next_gate,
  next_capacity = excluded.next_capacity,
  rank = excluded.rank, turn = excluded.turn, held_at = excluded.held_at, fair = excluded.fair`;
/** The version of a new row says whether its limits are the latest. */
export const PUT_GATE = `INSERT INTO gate (org_id, gate, capacity, period_ms, wake_at, version)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
  capacity = CASE excluded.version WHEN 1 THEN excluded.capacity ELSE capacity END,
  period_ms = CASE excluded.version WHEN 1 THEN excluded.period_ms ELSE period_ms END,
  wake_at = min(coalesce(wake_at, excluded.wake_at), excluded.wake_at), version = version + 1`;

/** A run that is deleted has ended: it stands before no gate, and its permits end by themselves. */
export const admission: Part<"admission"> = {
  tables: [],
  apply(db, { org, runId }, { hold, leave, gates }, now) {
    if (leave === true) {
      db.prepare(LEAVE_HELD).run(org, runId);
      db.prepare(LEAVE_PERMITS).run(org, runId);
    }
    if (hold !== undefined) {
      const { gate, nextGate, nextCapacity, heldAt, fair, ready } = hold;
      const place = [ready.rank, heldAt, ready.queue, fair, ready.lane] as const;
      db.prepare(HOLD).run(org, runId, gate, nextGate, ...place, nextCapacity);
    }
    for (const { name, capacity, periodMs, isLatest } of gates) {
      db.prepare(PUT_GATE).run(org, name, capacity, periodMs, now, isLatest ? 1 : 0);
    }
  },
};
