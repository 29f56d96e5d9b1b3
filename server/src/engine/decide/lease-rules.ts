import { BOUNDS } from "../../model/bounds.ts";
import type { EntryMeta } from "../../model/entry.ts";
import { CRASHES_DEFAULT } from "../../model/retry.ts";
import { hasLapsed, type Lease } from "../../model/run.ts";
import type { Draft } from "../draft.ts";
import { endCleanUp, giveUpCleanUp, startGrace, stopGrace } from "./clean-up.ts";
import { pauseNow } from "./outcome-rules.ts";

/** Why a worker no longer has a run that it was given. */
export type LossReason =
  | "disconnected"
  | "expired"
  | "refused"
  | "unacknowledged"
  | "restarted"
  | "forgotten";

function isCrash(reason: LossReason): boolean {
  return reason === "disconnected" || reason === "expired";
}

/**
 * Takes a lease away from its holder, if it still has it; the run goes back to the queue.
 *
 * @param pauseMs how long nobody is to be given the run: for one that is refused again and again
 */
export function releaseLease(
  draft: Draft,
  fence: number,
  connectionId: string,
  reason: LossReason,
  pauseMs = 0,
): boolean {
  const { header } = draft;
  if (header.fence !== fence || header.lease?.connectionId !== connectionId) return false;
  const worker = header.lease.workerId;
  const meta = { worker, fence, reason };
  if (header.status === "CANCELLING") {
    // Another worker continues with the clean-up, in what is left of the grace.
    const goesOn = stopGrace(draft, isCrash(reason));
    if (isCrash(reason)) draft.append("run.recovered", "", 0, meta);
    if (!goesOn) giveUpCleanUp(draft, "Its workers died in it.");
    draft.dropLease();
    if (reason === "refused" || !goesOn) draft.raiseFence();
    if (goesOn) draft.makeReady(draft.now, true);
    return true;
  }
  if (header.intent === "pause") {
    pauseNow(draft, "PAUSED_BY_OPERATOR", { worker, fence });
    return true;
  }
  draft.dropLease();
  // Its holder may take it back, and may not know yet that a pause was taken back.
  draft.patch({ status: "QUEUED", intent: header.intent === "resume" ? "resume" : "none" });
  // All others may continue, as long as nobody else was given the run.
  if (reason === "refused") draft.raiseFence();
  // A worker that refused the run, or never got it, says nothing about the run.
  const mayHaveBegun = reason === "restarted" || reason === "forgotten";
  if (mayHaveBegun || (reason === "unacknowledged" && hasBegun(draft, fence)))
    draft.append("run.recovered", "", 0, meta);
  if (isCrash(reason)) {
    draft.append("run.recovered", "", 0, meta);
    draft.patch({ crashes: header.crashes + 1 });
    if (pauseCrashLoop(draft, fence)) return true;
  }
  if (pauseMs > 0) draft.due.put("start", "", draft.now + pauseMs);
  // The run is queued by its age, so that it goes before what arrived later; one that was refused is
  // queued by the present time, so that it is in the way of nothing.
  else draft.makeReady(reason === "refused" ? draft.now : header.createdAt, true);
  return true;
}

/** A run whose workers keep dying, most likely of it, stops until somebody has had a look. */
function pauseCrashLoop(draft: Draft, fence: number): boolean {
  const { header, state } = draft;
  const found = [...state.steps].findLast(
    ([, { status, fence: of, deaths, retryPolicy }]) =>
      status === "started" &&
      of === fence &&
      deaths.length >= (retryPolicy?.maxCrashes ?? CRASHES_DEFAULT),
  );
  if (found === undefined && header.crashes < BOUNDS.crashLoopAttempts) return false;
  const meta: EntryMeta = { details: { crashes: String(header.crashes) } };
  if (found !== undefined) {
    const [stepKey, { deaths }] = found;
    const workers = deaths.map(({ worker }) => worker);
    draft.patch({ notes: { ...header.notes, crash: { stepKey, workers } } });
    meta.failedKeys = [stepKey];
    meta.details = {
      step_key: stepKey,
      crashes: String(workers.length),
      workers: JSON.stringify(workers),
    };
  }
  pauseNow(draft, "CRASH_LOOP", { ...meta, reason: "CRASH_LOOP" });
  return true;
}

/** A dispatch that was not acknowledged, but has had steps begin. */
function hasBegun({ state }: Draft, fence: number): boolean {
  for (const step of state.steps.values())
    if (step.status === "started" && step.fence === fence) return true;
  return false;
}

/** A worker that came back keeps its run under the same fence; also one whose lease had lapsed. */
export function rebindLease(draft: Draft, fence: number, lease: Lease): boolean {
  const { header } = draft;
  if (header.fence !== fence) return false;
  if (hasLapsed(header)) {
    draft.offerLease(lease);
    draft.takeBack();
    startGrace(draft);
    return true;
  }
  if (header.lease?.workerId !== lease.workerId) return false;
  draft.giveLease(lease);
  startGrace(draft);
  return true;
}

/** No worker can continue with a run whose journal is damaged; `entry` is the place. */
export function pauseDamaged(draft: Draft, fence: number, entry: string): boolean {
  const { header } = draft;
  if (header.fence !== fence || header.lease === null) return false;
  if (header.status === "CANCELLING") {
    endCleanUp(draft, { details: { clean_up: "The run's journal is damaged." } }, false);
    draft.raiseFence();
    return true;
  }
  pauseNow(draft, "DATA_CORRUPTED", {
    reason: "DATA_CORRUPTED",
    failure: {
      type: "DataCorrupted",
      message: `Entry ${entry} of the run's journal is damaged on disk.`,
    },
  });
  return true;
}
