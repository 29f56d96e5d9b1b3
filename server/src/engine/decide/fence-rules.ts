import { leaseLost, PawlError } from "../../model/errors.ts";
import { hasLapsed, isTerminal, type RunHeader } from "../../model/run.ts";
import type { Draft } from "../draft.ts";
import type { Directive } from "../steps/step-types.ts";

/** Refuses a write whose fence is not the run's current one; a lease that has merely ended is no reason. */
export function checkFence({ header, mayTakeBack }: Draft, fence: number): void {
  if (header.fence !== fence) throw leaseLost(header.runId, fence, header.fence);
  if (isTerminal(header.status)) {
    throw new PawlError(
      "RUN_TERMINAL",
      `Run "${header.runId}" has ended: it is ${header.status}. Nothing was written.`,
      {
        metadata: { run_id: header.runId, status: header.status },
      },
    );
  }
  if (header.status === "PAUSED") {
    throw new PawlError(
      "RUN_PAUSED",
      `Run "${header.runId}" is paused; nothing was written. Resume it first.`,
      {
        metadata: { run_id: header.runId, reason: header.reason },
      },
    );
  }
  if (header.lease === null && !mayTakeBack) throw leaseLost(header.runId, fence, header.fence);
}

/** What the holder should do next. */
export function directive(header: RunHeader): Directive {
  if (header.lease === null && !hasLapsed(header)) return "yield";
  if (header.status === "CANCELLING") return "cancel";
  return header.intent === "pause" ? "pause" : "continue";
}
