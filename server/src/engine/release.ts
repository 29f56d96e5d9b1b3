import { PawlError } from "../model/errors.ts";
import type { Core } from "./core.ts";
import { type LossReason, releaseLease } from "./decide/leases.ts";
import { runKey } from "./run-cache.ts";

/** Takes a run from its holder, if it still is the holder, and puts it back into the queue. */
export async function release(
  core: Core,
  lease: { org: string; runId: string; fence: number; sessionId: string },
  reason: LossReason,
  pauseMs = 0,
): Promise<void> {
  // Another server may have taken the worker over, which changes neither fence nor seq.
  if (core.store.replicas) core.writer.evict(runKey(lease.org, lease.runId));
  try {
    const lost = await core.writer.submit({
      org: lease.org,
      runId: lease.runId,
      bytes: 300,
      decide: (draft) => releaseLease(draft, lease.fence, lease.sessionId, reason, pauseMs),
    });
    if (lost) core.metrics.leasesLost.of(reason).inc();
  } catch (error) {
    // The lease expires by itself; the lease loop takes it then.
    if (error instanceof PawlError && error.reason === "NOT_FOUND") return;
    core.log.warn("lease.unreleased", {
      run_id: lease.runId,
      reason,
      error,
    });
  }
}
