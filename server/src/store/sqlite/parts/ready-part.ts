import type { Part } from "./part.ts";

export const PUT_READY = `INSERT INTO ready (org_id, run_id, queue, lane, rank, ready_at)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET queue = excluded.queue, lane = excluded.lane, rank = excluded.rank,
  ready_at = excluded.ready_at`;
export const REMOVE_READY = "DELETE FROM ready WHERE org_id = ? AND run_id = ?";

export const ready: Part<"ready"> = {
  tables: ["ready"],
  apply(db, { org, runId }, change) {
    if (change === "remove") {
      db.prepare(REMOVE_READY).run(org, runId);
      return;
    }
    const { queue, lane, rank, readyAt } = change;
    db.prepare(PUT_READY).run(org, runId, queue, lane, rank, readyAt);
  },
};
