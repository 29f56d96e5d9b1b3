import { formatSubject } from "../../../model/ids.ts";
import { ANY_TIME, type DueRow } from "../../due.ts";
import type { Database } from "../database.ts";
import type { Part } from "./part.ts";

export const PUT_DUE = `INSERT INTO due (org_id, subject, kind, step_key, at, data)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET at = excluded.at, data = excluded.data`;
export const REMOVE_DUE = `DELETE FROM due
WHERE org_id = ? AND subject = ? AND kind = ? AND step_key = ? AND at <= ?`;
export const CLEAR_DUE = "DELETE FROM due WHERE org_id = ? AND subject = ?";
export const HAS_RUN = "SELECT 1 FROM run WHERE org_id = ? AND run_id = ?";

export const due: Part<"due"> = {
  tables: [],
  subjectTables: ["due"],
  apply(db, { org, runId }, { put, remove, isCleared }) {
    const subject = formatSubject("run", runId);
    if (isCleared === true) db.prepare(CLEAR_DUE).run(org, subject);
    for (const { kind, key, upTo } of remove) {
      db.prepare(REMOVE_DUE).run(org, subject, kind, key, upTo ?? ANY_TIME);
    }
    for (const row of put) putDue(db, org, subject, row);
  },
  /**
   * After all writes of the batch, so that none of them clears it away. The other run may have been
   * deleted: due work without a run would never go away.
   */
  finish(db, { org }, { elsewhere }) {
    for (const { runId, row } of elsewhere) {
      if (db.prepare(HAS_RUN).get(org, runId) !== undefined)
        putDue(db, org, formatSubject("run", runId), row);
    }
  },
};

function putDue(db: Database, org: string, subject: string, row: DueRow): void {
  db.prepare(PUT_DUE).run(org, subject, row.kind, row.key, row.at, row.data);
}
