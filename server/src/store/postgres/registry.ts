import type { Tenant } from "../../model/caller.ts";
import type { WorkerRow, WorkflowRow } from "../registry.ts";
import { mergeVersions, toWorker, toWorkflow } from "../row.ts";
import type { Connection } from "./connection.ts";

const WORKFLOW_COLUMNS =
  "name, version, description, input_schema, output_schema, metadata, flow, timeouts, versions, registered_at";

/** The versions ever registered, the latest registration last; the same as `mergeVersions`. */
const MERGED_VERSIONS = `(SELECT json_agg(v ORDER BY place)::text FROM (
    SELECT v, min(place) AS place FROM (
      SELECT * FROM json_array_elements_text(w.versions::json) WITH ORDINALITY AS old(v, place)
      UNION ALL
      SELECT v, 1000000 + place FROM json_array_elements_text(excluded.versions::json)
        WITH ORDINALITY AS new(v, place)) AS every
    WHERE v <> excluded.version GROUP BY v
    UNION ALL SELECT excluded.version, 2000000) AS merged)`;

const REPLACED = WORKFLOW_COLUMNS.split(", ").filter(
  (column) => column !== "name" && column !== "versions",
);

export const PUT_WORKFLOW = `INSERT INTO pawl.workflow AS w (org_id, ${WORKFLOW_COLUMNS})
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (org_id, name) DO UPDATE SET ${REPLACED.map((column) => `${column} = excluded.${column}`).join(", ")},
  versions = ${MERGED_VERSIONS}`;

export const LIST_WORKFLOWS = `SELECT ${WORKFLOW_COLUMNS} FROM pawl.workflow
WHERE org_id = $1 ORDER BY name`;

export const PUT_WORKER = `INSERT INTO pawl.worker_process
  (org_id, worker_id, instance_id, connected, seen_at, info)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (org_id, instance_id) DO UPDATE SET worker_id = excluded.worker_id,
  connected = excluded.connected, seen_at = excluded.seen_at, info = excluded.info`;

export const LIST_WORKERS = `SELECT worker_id, instance_id, connected, seen_at, info
FROM pawl.worker_process WHERE org_id = $1 AND seen_at >= $2 ORDER BY seen_at DESC LIMIT $3`;

export const SWEEP_WORKERS = "DELETE FROM pawl.worker_process WHERE seen_at < $1";

/** In the order of the names, so that replicas never wait for each other in a circle. */
export async function registerWorkflows(
  db: Connection,
  { org }: Tenant,
  specs: readonly WorkflowRow[],
): Promise<void> {
  const sorted = specs.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const puts = sorted.map((spec) => ({
    name: "put workflow",
    text: PUT_WORKFLOW,
    values: [
      org,
      spec.name,
      spec.version,
      spec.description,
      spec.inputSchema,
      spec.outputSchema,
      spec.metadata,
      spec.flow,
      spec.timeouts,
      JSON.stringify(mergeVersions([], spec)),
      spec.registeredAt,
    ],
  }));
  await db.run([{ text: "BEGIN" }, ...puts, { text: "COMMIT" }]);
}

export async function listWorkflows(db: Connection, { org }: Tenant): Promise<WorkflowRow[]> {
  const rows = await db.one({ name: "list workflows", text: LIST_WORKFLOWS, values: [org] });
  return rows.map(toWorkflow);
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
