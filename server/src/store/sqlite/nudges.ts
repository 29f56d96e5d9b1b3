import { text } from "../row.ts";
import type { Database } from "./database.ts";

export const TAKE_NUDGES = "DELETE FROM nudge WHERE replica_id = ? RETURNING org_id, run_id";

export function takeNudges(db: Database, replicaId: string): { org: string; runId: string }[] {
  const rows = db.prepare(TAKE_NUDGES).all(replicaId);
  return rows.map((row) => ({ org: text(row, "org_id"), runId: text(row, "run_id") }));
}
