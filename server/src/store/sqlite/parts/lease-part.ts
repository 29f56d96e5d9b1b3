import type { Part } from "./part.ts";

export const PUT_LEASE = `INSERT INTO lease (org_id, run_id, connection_id, worker_id, until)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET connection_id = excluded.connection_id, worker_id = excluded.worker_id,
  until = excluded.until`;
export const REMOVE_LEASE = "DELETE FROM lease WHERE org_id = ? AND run_id = ?";

export const lease: Part<"lease"> = {
  tables: ["lease"],
  apply(db, { org, runId }, change) {
    if (change === "remove") {
      db.prepare(REMOVE_LEASE).run(org, runId);
      return;
    }
    const { connectionId, workerId, until } = change;
    db.prepare(PUT_LEASE).run(org, runId, connectionId, workerId, until);
  },
};
