import { PROBE } from "../probe.ts";
import type { Database } from "./database.ts";

export const TRY_READ = "SELECT 1 FROM run LIMIT 1";
export const TRY_WRITE = "INSERT INTO nudge (org_id, run_id, replica_id) VALUES (?, ?, ?)";
export const UNDO_WRITE = "DELETE FROM nudge WHERE org_id = ? AND run_id = ? AND replica_id = ?";

export function ping(db: Database, writes = false): void {
  if (writes) tryWrite(db);
  else db.prepare(TRY_READ).get();
}

/** Goes to the disk, as every commit does, and leaves nothing behind. */
function tryWrite(db: Database): void {
  db.transaction(() => {
    for (const sql of [TRY_WRITE, UNDO_WRITE]) db.prepare(sql).run(...PROBE);
  });
}
