import type { Tenant } from "../model/caller.ts";
import type { Lease } from "../model/run.ts";

/** Who holds which run. Only a commit gives a lease or takes it away. */
export interface LeaseStore {
  /** Runs whose lease ran out before `now`. */
  expiredLeases(now: number, limit: number): Promise<LeasedRun[]>;
  /** Every lease there is, page by page in key order; for a restarted server. */
  listLeases(
    after: { org: string; runId: string } | undefined,
    limit: number,
  ): Promise<LeasedRun[]>;
  /** Prolongs all leases of a session, and returns which those are. */
  renewSession(sessionId: string, until: number): Promise<LeasedRun[]>;
  /** Prolongs single leases if the fence is right; returns them in the order asked, `undefined` for lost ones. */
  renewLeases(
    caller: Tenant,
    leases: readonly { runId: string; fence: number }[],
    until: number,
  ): Promise<(LeasedRun | undefined)[]>;
  /** How many runs each session holds now. */
  countLeases(caller: Tenant): Promise<Map<string, number>>;
}

export interface LeasedRun {
  readonly org: string;
  readonly runId: string;
  readonly fence: number;
  readonly lease: Lease;
}
