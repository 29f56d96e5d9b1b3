import type { Tenant } from "../../model/caller.ts";
import type { LeasedRun } from "../leases.ts";
import { text, toLeasedRun } from "../row.ts";
import type { Database } from "./database.ts";

const LEASED = `SELECT lease.org_id, lease.run_id, connection_id, worker_id, until, fence FROM lease
JOIN run ON run.org_id = lease.org_id AND run.run_id = lease.run_id`;

export const EXPIRED_LEASES = `${LEASED} WHERE until < ? ORDER BY until LIMIT ?`;
export const LIST_LEASES = `${LEASED} WHERE (lease.org_id, lease.run_id) > (?, ?)
ORDER BY lease.org_id, lease.run_id LIMIT ?`;
export const SESSION_LEASES = `${LEASED} WHERE connection_id = ?`;
export const ONE_LEASE = `${LEASED} WHERE lease.org_id = ? AND lease.run_id = ? AND fence = ?`;
export const RENEW_SESSION = "UPDATE lease SET until = ? WHERE connection_id = ?";
export const RENEW_LEASE = "UPDATE lease SET until = ? WHERE org_id = ? AND run_id = ?";
export const COUNT_LEASES = `SELECT connection_id, count(*) AS n FROM lease
WHERE org_id = ? GROUP BY connection_id`;

export function expiredLeases(db: Database, now: number, limit: number): LeasedRun[] {
  return db.prepare(EXPIRED_LEASES).all(now, limit).map(toLeasedRun);
}

export function listLeases(
  db: Database,
  after: { org: string; runId: string } | undefined,
  limit: number,
): LeasedRun[] {
  const { org, runId } = after ?? { org: "", runId: "" };
  return db.prepare(LIST_LEASES).all(org, runId, limit).map(toLeasedRun);
}

export function renewSession(db: Database, sessionId: string, until: number): LeasedRun[] {
  return db.transaction(() => {
    db.prepare(RENEW_SESSION).run(until, sessionId);
    return db.prepare(SESSION_LEASES).all(sessionId).map(toLeasedRun);
  });
}

export function renewLeases(
  db: Database,
  { org }: Tenant,
  leases: readonly { runId: string; fence: number }[],
  until: number,
): (LeasedRun | undefined)[] {
  return db.transaction(() =>
    leases.map(({ runId, fence }) => {
      const row = db.prepare(ONE_LEASE).get(org, runId, fence);
      if (row === undefined) return undefined;
      db.prepare(RENEW_LEASE).run(until, org, runId);
      return toLeasedRun({ ...row, until });
    }),
  );
}

export function countLeases(db: Database, { org }: Tenant): Map<string, number> {
  const rows = db.prepare(COUNT_LEASES).all(org);
  return new Map(rows.map((row) => [text(row, "connection_id"), Number(row.n)]));
}
