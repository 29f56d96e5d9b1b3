import type { Part } from "./part.ts";

export const PUT_NUDGE = `INSERT INTO nudge (org_id, run_id, replica_id)
VALUES (?, ?, ?)
ON CONFLICT DO NOTHING`;

export const nudge: Part<"nudge"> = {
  tables: ["nudge"],
  apply(db, { org, runId }, replicaId) {
    db.prepare(PUT_NUDGE).run(org, runId, replicaId);
  },
};
