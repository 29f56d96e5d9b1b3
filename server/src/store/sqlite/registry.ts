import type { Tenant } from "../../model/caller.ts";
import { WORKFLOWS } from "../records.ts";
import type { WorkerRow, WorkflowRow } from "../registry.ts";
import { toWorker } from "../row.ts";
import type { Database } from "./database.ts";

export const LIST_WORKFLOWS = `SELECT ${WORKFLOWS.columns.join(", ")} FROM workflow
WHERE org_id = ? ORDER BY name`;
export const PUT_WORKER = `INSERT OR REPLACE INTO worker_process
  (org_id, worker_id, instance_id, connected, seen_at, info)
VALUES (?, ?, ?, ?, ?, ?)`;
export const LIST_WORKERS = `SELECT worker_id, instance_id, connected, seen_at, info FROM worker_process
WHERE org_id = ? AND seen_at >= ? ORDER BY seen_at DESC LIMIT ?`;

export const SWEEP_WORKERS = "DELETE FROM worker_process WHERE seen_at < ?";

export function listWorkflows(db: Database, { org }: Tenant): WorkflowRow[] {
  return db.prepare(LIST_WORKFLOWS).all(org).map(WORKFLOWS.read);
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
