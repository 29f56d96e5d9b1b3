import type { Tenant } from "../../model/caller.ts";
import type { WorkerRow, WorkflowRow } from "../registry.ts";
import { mergeVersions, text, toWorker, toWorkflow } from "../row.ts";
import type { Database } from "./database.ts";

const WORKFLOW_COLUMNS =
  "name, version, description, input_schema, output_schema, metadata, flow, timeouts, versions, registered_at";
export const GET_VERSIONS = "SELECT versions FROM workflow WHERE org_id = ? AND name = ?";
export const PUT_WORKFLOW = `INSERT OR REPLACE INTO workflow (org_id, ${WORKFLOW_COLUMNS})
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
export const LIST_WORKFLOWS = `SELECT ${WORKFLOW_COLUMNS} FROM workflow
WHERE org_id = ? ORDER BY name`;
export const PUT_WORKER = `INSERT OR REPLACE INTO worker_process
  (org_id, worker_id, instance_id, connected, seen_at, info)
VALUES (?, ?, ?, ?, ?, ?)`;
export const LIST_WORKERS = `SELECT worker_id, instance_id, connected, seen_at, info FROM worker_process
WHERE org_id = ? AND seen_at >= ? ORDER BY seen_at DESC LIMIT ?`;

export const SWEEP_WORKERS = "DELETE FROM worker_process WHERE seen_at < ?";

export function registerWorkflows(
  db: Database,
  { org }: Tenant,
  specs: readonly WorkflowRow[],
): void {
  db.transaction(() => {
    for (const spec of specs) {
      const row = db.prepare(GET_VERSIONS).get(org, spec.name);
      const before = row === undefined ? [] : (JSON.parse(text(row, "versions")) as string[]);
      db.prepare(PUT_WORKFLOW).run(
        org,
        spec.name,
        spec.version,
        spec.description,
        spec.inputSchema,
        spec.outputSchema,
        spec.metadata,
        spec.flow,
        spec.timeouts,
        JSON.stringify(mergeVersions(before, spec)),
        spec.registeredAt,
      );
    }
  });
}

export function listWorkflows(db: Database, { org }: Tenant): WorkflowRow[] {
  return db.prepare(LIST_WORKFLOWS).all(org).map(toWorkflow);
}

export function putWorker(db: Database, { org }: Tenant, worker: WorkerRow): void {
  const { workerId, instanceId, connected, seenAt, info } = worker;
  db.prepare(PUT_WORKER).run(org, workerId, instanceId, connected ? 1 : 0, seenAt, info);
}

export function listWorkers(
  db: Database,
  { org }: Tenant,
  since: number,
  limit: number,
): WorkerRow[] {
  return db.prepare(LIST_WORKERS).all(org, since, limit).map(toWorker);
}

export function sweepWorkers(db: Database, before: number): void {
  db.prepare(SWEEP_WORKERS).run(before);
}
