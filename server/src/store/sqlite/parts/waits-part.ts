import type { Part } from "./part.ts";

export const PUT_WAIT = `INSERT INTO wait (org_id, run_id, step_key, kind, workflow, since, until, data)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET kind = excluded.kind, since = excluded.since, until = excluded.until,
  data = excluded.data`;
export const REMOVE_WAIT = "DELETE FROM wait WHERE org_id = ? AND run_id = ? AND step_key = ?";
export const PUT_ASSIGNEE = `INSERT INTO wait_assignee (org_id, assignee, since, run_id, step_key)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING`;
export const REMOVE_ASSIGNEES = `DELETE FROM wait_assignee
WHERE org_id = ? AND run_id = ? AND step_key = ?`;

export const waits: Part<"waits"> = {
  tables: ["wait", "wait_assignee"],
  apply(db, { org, runId }, { put, gone, unasked = [] }) {
    for (const { key, isQuestion } of gone) {
      db.prepare(REMOVE_WAIT).run(org, runId, key);
      if (isQuestion) db.prepare(REMOVE_ASSIGNEES).run(org, runId, key);
    }
    for (const key of unasked) db.prepare(REMOVE_ASSIGNEES).run(org, runId, key);
    for (const { key, kind, workflow, since, until, data, assignees } of put) {
      db.prepare(PUT_WAIT).run(org, runId, key, kind, workflow, since, until, data);
      for (const assignee of assignees ?? []) {
        db.prepare(PUT_ASSIGNEE).run(org, assignee, since, runId, key);
      }
    }
  },
};
