import { PawlError } from "../../model/errors.ts";
import { runKey } from "../../model/ids.ts";
import type { Store } from "../../store/store.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { type LossReason, releaseLease } from "../decide/lease-rules.ts";
import type { EngineLog } from "../engine-log.ts";
import type { Writer } from "../writer.ts";

export interface ReleaseParts {
  readonly store: Store;
  readonly writer: Writer;
  readonly metrics: Metrics;
  readonly log: EngineLog;
}

/** Which lease of which holder. */
export interface HolderLease {
  readonly org: string;
  readonly runId: string;
  readonly fence: number;
  readonly connectionId: string;
}

/** Takes a run from its holder, if it still is the holder, and puts it back into the queue. */
export async function release(
  { store, writer, metrics, log }: ReleaseParts,
  lease: HolderLease,
  reason: LossReason,
  pauseMs = 0,
): Promise<void> {
  // Another server may have taken the worker over, which changes neither fence nor seq.
  if (store.replicas) writer.evict(runKey(lease.org, lease.runId));
  try {
    const lost = await writer.submit({
      org: lease.org,
      runId: lease.runId,
      bytes: 300,
      decide: (draft) => releaseLease(draft, lease.fence, lease.connectionId, reason, pauseMs),
    });
    if (lost) metrics.leasesLost.of(reason).inc();
  } catch (error) {
    // The lease expires by itself; the lease loop takes it then.
    if (error instanceof PawlError && error.reason === "NOT_FOUND") return;
    log.warn("lease.unreleased", {
      run_id: lease.runId,
      reason,
      error,
    });
  }
}
