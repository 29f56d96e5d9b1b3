import type { Tenant } from "../../model/caller.ts";
import type { LeasedRun } from "../leases.ts";
import { int, text, toLeasedRun } from "../row.ts";
import { comparableInt4, encodeArray } from "./arrays.ts";
import type { Connection } from "./connection.ts";

const LEASED = `SELECT lease.org_id, lease.run_id, connection_id, worker_id, until, fence
FROM pawl.lease AS lease
JOIN pawl.run AS run ON run.org_id = lease.org_id AND run.run_id = lease.run_id`;

export const EXPIRED_LEASES = `${LEASED} WHERE until < $1 ORDER BY until LIMIT $2`;
export const LIST_LEASES = `${LEASED} WHERE (lease.org_id, lease.run_id) > ($1, $2)
ORDER BY lease.org_id, lease.run_id LIMIT $3`;

/** Locks in the order of the keys, as commits do, so that the two never wait in a circle. */
export const RENEW_SESSION = `WITH held AS MATERIALIZED (
  SELECT org_id, run_id FROM pawl.lease WHERE connection_id = $1
  ORDER BY org_id, run_id FOR NO KEY UPDATE)
UPDATE pawl.lease AS lease SET until = $2
FROM held JOIN pawl.run AS run ON run.org_id = held.org_id AND run.run_id = held.run_id
WHERE lease.org_id = held.org_id AND lease.run_id = held.run_id
RETURNING lease.org_id, lease.run_id, connection_id, worker_id, until, run.fence`;

export const RENEW_LEASES = `WITH held AS MATERIALIZED (
  SELECT ref.ord, lease.org_id, lease.run_id
  FROM unnest($2::int4[], $3::text[], $4::int4[]) AS ref(ord, run_id, fence)
  JOIN pawl.run AS run ON run.org_id = $1 AND run.run_id = ref.run_id AND run.fence = ref.fence
  JOIN pawl.lease AS lease ON lease.org_id = $1 AND lease.run_id = ref.run_id
  ORDER BY lease.run_id FOR NO KEY UPDATE OF lease)
UPDATE pawl.lease AS lease SET until = $5
FROM held JOIN pawl.run AS run ON run.org_id = held.org_id AND run.run_id = held.run_id
WHERE lease.org_id = held.org_id AND lease.run_id = held.run_id
RETURNING held.ord, lease.org_id, lease.run_id, connection_id, worker_id, until, run.fence`;

export const COUNT_LEASES = `SELECT connection_id, count(*) AS n FROM pawl.lease
WHERE org_id = $1 GROUP BY connection_id`;

export async function expiredLeases(
  db: Connection,
  now: number,
  limit: number,
): Promise<LeasedRun[]> {
  const values = [now, limit];
  return (await db.one({ name: "expired leases", text: EXPIRED_LEASES, values })).map(toLeasedRun);
}

export async function listLeases(
  db: Connection,
  after: { org: string; runId: string } | undefined,
  limit: number,
): Promise<LeasedRun[]> {
  const values = [after?.org ?? "", after?.runId ?? "", limit];
  return (await db.one({ name: "list leases", text: LIST_LEASES, values })).map(toLeasedRun);
}

export async function renewSession(
  db: Connection,
  sessionId: string,
  until: number,
): Promise<LeasedRun[]> {
  const values = [sessionId, until];
  return (await db.one({ name: "renew session", text: RENEW_SESSION, values })).map(toLeasedRun);
}

export async function renewLeases(
  db: Connection,
  { org }: Tenant,
  leases: readonly { runId: string; fence: number }[],
  until: number,
): Promise<(LeasedRun | undefined)[]> {
  const rows = await db.one({
    name: "renew leases",
    text: RENEW_LEASES,
    values: [
      org,
      encodeArray("int4", [...leases.keys()]),
      encodeArray(
        "text",
        leases.map(({ runId }) => runId),
      ),
      encodeArray(
        "int4",
        leases.map(({ fence }) => comparableInt4(fence)),
      ),
      until,
    ],
  });
  const renewed = new Map(rows.map((row) => [int(row, "ord"), toLeasedRun(row)]));
  return leases.map((_, ord) => renewed.get(ord));
}

export async function countLeases(db: Connection, { org }: Tenant): Promise<Map<string, number>> {
  const rows = await db.one({ name: "count leases", text: COUNT_LEASES, values: [org] });
  return new Map(rows.map((row) => [text(row, "connection_id"), int(row, "n")]));
}
