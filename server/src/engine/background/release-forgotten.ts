import { BOUNDS } from "../../model/bounds.ts";
import { parseConnectionId, runKey } from "../../model/ids.ts";
import type { Connections } from "../workers/connections.ts";
import { type ReleaseParts, release } from "../workers/release-lease.ts";

export interface ReleaseForgottenParts extends ReleaseParts {
  readonly connections: Connections;
  readonly replicaId: string;
  readonly process: string | undefined;
}

/**
 * After a start: the leases of this server's former life, whose workers did not come back in time. A
 * lease that was given in this life, and is on its way to its worker, lasts longer than those can.
 */
export async function releaseForgotten(
  parts: ReleaseForgottenParts,
  startedAt: number,
): Promise<void> {
  const { store, connections } = parts;
  let after: { org: string; runId: string } | undefined;
  for (;;) {
    const page = await store.listLeases(after, BOUNDS.expiredLeases);
    for (const { org, runId, fence, lease } of page) {
      after = { org, runId };
      const { connectionId } = lease;
      if (lease.until > startedAt + BOUNDS.leaseMs) continue;
      const isHeld = connections.holder(runKey(org, runId)) !== undefined;
      if (isHeld || !isOurs(parts, connectionId)) continue;
      await release(parts, { org, runId, fence, connectionId }, "restarted");
    }
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
