import { type Context, IS_CONFIRMED, part } from "./part.ts";

const INPUTS = {
  held_put: {
    ord: "int4",
    org_id: "text",
    run_id: "text",
    gate: "text",
    next_gate: "text",
    next_capacity: "int4",
    rank: "int4",
    held_at: "int8",
    fair: "text",
    queue: "text",
    lane: "text",
  },
  held_gone: { ord: "int4", org_id: "text", run_id: "text" },
  gate_put: {
    ord: "int4",
    org_id: "text",
    gate: "text",
    capacity: "int4",
    period_ms: "int8",
    wake_at: "int8",
    latest: "int4",
  },
} as const;

/** A run that is deleted has ended: it stands before no gate, and its permits end by themselves. */
export const admission = part<"admission", typeof INPUTS>({
  tables: [],
  inputs: INPUTS,
  sections: [
    [["held_put"], heldPut],
    [["held_gone"], heldGone],
    [["gate_put"], gatePut],
  ],
  addRows(add, key, { hold, leave, gates }, _, now) {
    if (leave === true) add("held_gone", key);
    if (hold !== undefined) {
      const { gate, nextGate, nextCapacity, heldAt, fair } = hold;
      const { rank, queue, lane } = hold.ready;
      const next = { next_gate: nextGate, next_capacity: nextCapacity };
      add("held_put", { ...key, gate, ...next, rank, held_at: heldAt, fair, queue, lane });
    }
    const { ord, org_id } = key;
    for (const { name: gate, capacity, periodMs, isLatest } of gates) {
      const latest = isLatest ? 1 : 0;
      add("gate_put", { ord, org_id, gate, capacity, period_ms: periodMs, wake_at: now, latest });
    }
  },
});

/**
 * After the latest of its key; a key that has none starts with the round that is on. Rows of one
 * statement do not see each other, and are counted on.
 */
function heldPut(context: Context): string {
  const at = "h.org_id = p.org_id AND h.gate = p.gate";
  return `held_put AS MATERIALIZED (
  SELECT *, row_number() OVER (PARTITION BY org_id, gate, fair ORDER BY ord) - 1 AS place
  FROM ${context.from("held_put")} WHERE held_put.ord ${IS_CONFIRMED}),
held_put_done AS (
  INSERT INTO pawl.held (org_id, run_id, gate, next_gate, next_capacity, rank, turn, held_at, fair,
    queue, lane)
  SELECT org_id, run_id, gate, next_gate, next_capacity, rank, place + coalesce(
      (SELECT h.turn + 1 FROM pawl.held AS h WHERE ${at} AND h.fair = p.fair
        ORDER BY h.turn DESC LIMIT 1),
      (SELECT h.turn FROM pawl.held AS h WHERE ${at} AND h.rank = p.rank
        ORDER BY h.turn LIMIT 1), 0), held_at, fair, queue, lane
  FROM held_put AS p
  ON CONFLICT (org_id, run_id) DO UPDATE SET gate = excluded.gate, next_gate = excluded.next_gate,
    next_capacity = excluded.next_capacity,
    rank = excluded.rank, turn = excluded.turn, held_at = excluded.held_at, fair = excluded.fair)`;
}

function heldGone(context: Context): string {
  return `held_gone AS MATERIALIZED (
  SELECT * FROM ${context.from("held_gone")} WHERE held_gone.ord ${IS_CONFIRMED}),
held_gone_done AS (
  DELETE FROM pawl.held AS t USING held_gone
  WHERE t.org_id = held_gone.org_id AND t.run_id = held_gone.run_id),
permit_gone_done AS (
  DELETE FROM pawl.permit AS t USING held_gone
  WHERE t.org_id = held_gone.org_id AND t.run_id = held_gone.run_id AND t.until = 0)`;
}

/**
 * The version of a new row says whether its limits are the latest. In the order of the names, so that replicas never wait for
 * each other in a circle.
 */
function gatePut(context: Context): string {
  return `gate_put_done AS (
  INSERT INTO pawl.gate AS g (org_id, gate, capacity, period_ms, wake_at, version)
  SELECT DISTINCT ON (org_id, gate) org_id, gate, capacity, period_ms, wake_at, latest
  FROM ${context.from("gate_put")} WHERE gate_put.ord ${IS_CONFIRMED}
  ORDER BY org_id, gate, latest DESC, ord DESC
  ON CONFLICT (org_id, gate) DO UPDATE SET
    capacity = CASE excluded.version WHEN 1 THEN excluded.capacity ELSE g.capacity END,
    period_ms = CASE excluded.version WHEN 1 THEN excluded.period_ms ELSE g.period_ms END,
    version = g.version + 1,
    wake_at = least(coalesce(g.wake_at, excluded.wake_at), excluded.wake_at))`;
}
