import { BOUNDS } from "../../model/bounds.ts";
import { parseConnectionId, runKey } from "../../model/ids.ts";
import type { LeasedRun } from "../../store/leases.ts";
import type { Connections } from "../workers/connections.ts";
import { type ReleaseParts, release } from "../workers/release-lease.ts";

export interface ReleaseForgottenParts extends ReleaseParts {
  readonly connections: Connections;
  readonly replicaId: string;
  readonly process: string | undefined;
}

/** Names the leases of this server's former life, if it is asked before any is given in this one. */
export async function formerLeases(parts: ReleaseForgottenParts): Promise<ReadonlySet<string>> {
  const former = new Set<string>();
  for await (const leased of allLeases(parts))
    if (isOurs(parts, leased.lease.connectionId)) former.add(nameOf(leased));
  return former;
}

/**
 * After a start: releases the leases of this server's former life whose workers did not come back in
 * time. A lease that was given in this life may still be on its way to its worker.
 */
export async function releaseForgotten(
  parts: ReleaseForgottenParts,
  former: ReadonlySet<string>,
): Promise<void> {
  for await (const leased of allLeases(parts)) {
    const { org, runId, fence, lease } = leased;
    const isHeld = parts.connections.holder(runKey(org, runId)) !== undefined;
    if (isHeld || !former.has(nameOf(leased))) continue;
    await release(parts, { org, runId, fence, connectionId: lease.connectionId }, "restarted");
  }
}

/** Without the fence, which a cancel raises while the lease stays. */
function nameOf({ org, runId, lease }: LeasedRun): string {
  return JSON.stringify([org, runId, lease.connectionId]);
}

async function* allLeases({ store }: ReleaseForgottenParts): AsyncGenerator<LeasedRun, void, void> {
  let last: LeasedRun | undefined;
  for (;;) {
    const page = await store.listLeases(last, BOUNDS.expiredLeases);
    yield* page;
    last = page.at(-1);
    if (page.length < BOUNDS.expiredLeases) return;
  }
}

/** Whether a lease is of a connection of this server's former life, under any name. Pollers and claimers live on. */
function isOurs(
  { store, replicaId, process }: ReleaseForgottenParts,
  connectionId: string,
): boolean {
  // Nobody else has the file, and nobody else calls.
  if (!store.replicas && process !== undefined) return true;
  const id = parseConnectionId(connectionId);
  return id.kind === "attached" && (!store.replicas || id.replica === replicaId);
}
