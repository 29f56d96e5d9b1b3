import type { Tenant } from "../../model/caller.ts";
import { listWaitsStatement } from "../list-waits.ts";
import { text } from "../row.ts";
import type { WaitChanges, WaitFilter, WaitPage } from "../waits.ts";
import { toListedWait } from "../waits.ts";
import type { Database } from "./database.ts";
import { DIALECT } from "./runs.ts";

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

export const PUT_SECRET = `INSERT INTO secret (org_id, name, value) VALUES (?, ?, ?)
ON CONFLICT DO NOTHING`;
export const GET_SECRET = "SELECT value FROM secret WHERE org_id = ? AND name = ?";

export function changeWaits(db: Database, org: string, runId: string, waits: WaitChanges): void {
  for (const { key, isQuestion } of waits.gone) {
    db.prepare(REMOVE_WAIT).run(org, runId, key);
    if (isQuestion) db.prepare(REMOVE_ASSIGNEES).run(org, runId, key);
  }
  for (const key of waits.unasked ?? []) db.prepare(REMOVE_ASSIGNEES).run(org, runId, key);
  for (const { key, kind, workflow, since, until, data, assignees } of waits.put) {
    db.prepare(PUT_WAIT).run(org, runId, key, kind, workflow, since, until, data);
    for (const assignee of assignees ?? []) {
      db.prepare(PUT_ASSIGNEE).run(org, assignee, since, runId, key);
    }
  }
}

export function listWaits(db: Database, { org }: Tenant, filter: WaitFilter): WaitPage {
  const { sql, values } = listWaitsStatement(DIALECT, org, filter);
  const rows = db.prepareOnce(sql).all(...values);
  const waits = rows.slice(0, filter.limit).map(toListedWait);
  return { waits, more: rows.length > filter.limit };
}

export function secret(
  db: Database,
  { org }: Tenant,
  name: string,
  candidate: string | undefined,
): string | undefined {
  if (candidate !== undefined) db.prepare(PUT_SECRET).run(org, name, candidate);
  const row = db.prepare(GET_SECRET).get(org, name);
  return row === undefined ? undefined : text(row, "value");
}
