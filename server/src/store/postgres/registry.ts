import type { Tenant } from "../../model/caller.ts";
import { WORKFLOWS } from "../records.ts";
import type { WorkerRow, WorkflowRow } from "../registry.ts";
import { toWorker } from "../row.ts";
import type { Connection } from "./connection.ts";

export const LIST_WORKFLOWS = `SELECT ${WORKFLOWS.columns.join(", ")} FROM pawl.workflow
WHERE org_id = $1 ORDER BY name`;

export const PUT_WORKER = `INSERT INTO pawl.worker_process
  (org_id, worker_id, instance_id, connected, seen_at, info)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (org_id, instance_id) DO UPDATE SET worker_id = excluded.worker_id,
  connected = excluded.connected, seen_at = excluded.seen_at, info = excluded.info`;

export const LIST_WORKERS = `SELECT worker_id, instance_id, connected, seen_at, info
FROM pawl.worker_process WHERE org_id = $1 AND seen_at >= $2 ORDER BY seen_at DESC LIMIT $3`;

export const SWEEP_WORKERS = "DELETE FROM pawl.worker_process WHERE seen_at < $1";

export async function listWorkflows(db: Connection, { org }: Tenant): Promise<WorkflowRow[]> {
  const rows = await db.one({ name: "list workflows", text: LIST_WORKFLOWS, values: [org] });
  return rows.map(WORKFLOWS.read);
}

export async function putWorker(db: Connection, { org }: Tenant, worker: WorkerRow): Promise<void> {
  const { workerId, instanceId, connected, seenAt, info } = worker;
  const values = [org, workerId, instanceId, connected ? 1 : 0, seenAt, info];
  await db.one({ name: "put worker", text: PUT_WORKER, values });
}

export async function listWorkers(
  db: Connection,
  { org }: Tenant,
  since: number,
  limit: number,
): Promise<WorkerRow[]> {
  const values = [org, since, limit];
  return (await db.one({ name: "list workers", text: LIST_WORKERS, values })).map(toWorker);
}

export async function sweepWorkers(db: Connection, before: number): Promise<void> {
  await db.one({ name: "sweep workers", text: SWEEP_WORKERS, values: [before] });
}
