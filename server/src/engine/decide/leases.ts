import { LIMITS } from "../../model/limits.ts";
import type { Lease } from "../../model/run.ts";
import type { Draft } from "../draft.ts";
import { endRun } from "./common.ts";
import { pauseNow } from "./outcome.ts";

/** Why a worker no longer has a run that it was given. */
export type LossReason = "disconnected" | "expired" | "refused" | "unacknowledged" | "restarted";

/** Takes a lease away from its holder, if it still has it; the run goes back to the queue. */
export function releaseLease(
  draft: Draft,
  fence: number,
  sessionId: string,
  reason: LossReason,
): boolean {
  const { header } = draft;
  if (header.fence !== fence || header.lease?.sessionId !== sessionId) return false;
  const worker = header.lease.workerId;
  const meta = { worker, fence, reason };
  if (header.state === "CANCELLING") {
    endRun(draft, "CANCELLED");
    draft.raiseFence();
    draft.append("run.cancelled", "", 0, meta);
    return true;
  }
  if (header.intent === "pause") {
    pauseNow(draft, "PAUSED_BY_OPERATOR", { ...meta, reason: "PAUSED_BY_OPERATOR" });
    return true;
  }
  draft.dropLease();
  draft.patch({ state: "QUEUED", intent: "none" });
  draft.raiseFence();
  // A worker that refused the run, or never got it, says nothing about the run.
  if (reason === "restarted") draft.append("run.recovered", "", 0, meta);
  if (reason === "disconnected" || reason === "expired") {
    draft.append("run.recovered", "", 0, meta);
    draft.patch({ crashes: header.crashes + 1 });
    if (header.crashes >= LIMITS.crashLoopAttempts) {
      pauseNow(draft, "CRASH_LOOP", {
        reason: "CRASH_LOOP",
        details: { crashes: String(header.crashes) },
      });
      return true;
    }
  }
  // By its age, so that it goes before what arrived later.
  draft.makeReady(header.createdAt);
  return true;
}

/** A worker that came back keeps its run under the same fence. */
export function rebindLease(draft: Draft, fence: number, lease: Lease): boolean {
  const { header } = draft;
  if (header.fence !== fence || header.lease === null || header.lease.workerId !== lease.workerId)
    return false;
  draft.giveLease(lease);
  return true;
}
