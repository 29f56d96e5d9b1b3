import { uniqueId } from "../../lib/ids.ts";
import { PROBE } from "../probe.ts";
import type { Connection } from "./connection.ts";

export const TRY_WRITE = "INSERT INTO pawl.nudge (org_id, run_id, replica_id) VALUES ($1, $2, $3)";
export const UNDO_WRITE =
  "DELETE FROM pawl.nudge WHERE org_id = $1 AND run_id = $2 AND replica_id = $3";

export async function ping(db: Connection, writes = false): Promise<void> {
  if (writes) await tryWrite(db);
  else await db.one({ name: "ping", text: "SELECT 1" });
}

/** Goes to the disk, as every commit does, and leaves nothing behind. */
async function tryWrite(db: Connection): Promise<void> {
  const own = [...PROBE.slice(0, 2), uniqueId()];
  await db.run([
    { text: "BEGIN" },
    { text: TRY_WRITE, values: own },
    { text: UNDO_WRITE, values: own },
    { text: "COMMIT" },
  ]);
}
