import { text } from "../row.ts";
import type { Connection } from "./connection.ts";

export const TAKE_NUDGES = `DELETE FROM pawl.nudge WHERE replica_id = $1
RETURNING org_id, run_id`;

export async function takeNudges(
  db: Connection,
  replicaId: string,
): Promise<{ org: string; runId: string }[]> {
  const rows = await db.one({ name: "take nudges", text: TAKE_NUDGES, values: [replicaId] });
  return rows.map((row) => ({ org: text(row, "org_id"), runId: text(row, "run_id") }));
}
