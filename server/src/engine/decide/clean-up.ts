/**
 * The clean-up of a run that is cancelled, or whose time is up: how it starts, how long it may take,
 * and what is known to be left undone when it ends. Nothing that was to be undone is dropped without
 * a word.
 */
import type { EntryMeta, Failure, Undone } from "../../model/entry.ts";
import type { Draft } from "../draft.ts";
import type { StepRecord } from "../journal/run-memory.ts";
import type { BeginCleanUp } from "../outcomes/outcome-types.ts";
import type { Directive } from "../steps/step-types.ts";
import { checkFence, directive } from "./fence-rules.ts";
import { endRun, noteFailure } from "./run-end.ts";
import { forgetDue } from "./wait-changes.ts";

/** Whether a run has done anything, and can be executed to undo it. */
export function canCleanUp({ header }: Draft): boolean {
  // No worker can read the journal of a damaged one; a retry undoes it, once it has been restored.
  return header.lease !== null || (header.startedAt !== 0 && header.reason !== "DATA_CORRUPTED");
}

/**
 * From now on the code is given nothing that it waited for, and its holder, or the next worker that
 * serves it, cleans up.
 *
 * @param meta `failure`: what the run fails with in the end; without one it is cancelled
 */
export function startCleanUp(draft: Draft, meta: EntryMeta, graceMs: number): void {
  const isHeld = draft.header.lease !== null;
  const open = [...draft.state.steps].filter(([, step]) => step.status === "waiting");
  for (const [key, step] of open) {
    forgetDue(draft, key, step);
    draft.waits.list(key);
  }
  const { failure, reason = "" } = meta;
  draft.patch({
    status: "CANCELLING",
    intent: "none",
    reason: failure === undefined ? "" : "RUN_TIMEOUT",
    waiting: null,
    endedAt: 0,
    notes: {
      ...(failure === undefined && reason !== "" ? { cancelReason: reason } : {}),
      cleanUp: { graceMs, since: 0, crashes: 0 },
    },
  });
  draft.raiseFence();
  // A clean-up is not held back by the limits of its workflow.
  if (!isHeld) draft.makeReady(draft.now, true);
  draft.append("run.cancelling", "", 0, { ...meta, details: { grace_ms: String(graceMs) } });
}

/**
 * A worker has the run for its clean-up: from now on its grace counts. One that held the run when it
 * was cancelled has to be heard of first: it may hang, and never learn of the cancel.
 */
export function startGrace(draft: Draft): void {
  const { status, lease, notes } = draft.header;
  const { cleanUp } = notes;
  if (status !== "CANCELLING" || lease === null || cleanUp === undefined || cleanUp.since !== 0)
    return;
  // The intent is part of what every write compares: no other server overwrites this, or misses it.
  draft.patch({ intent: "cancel", notes: { ...notes, cleanUp: { ...cleanUp, since: draft.now } } });
  draft.due.put("grace", "", draft.now + cleanUp.graceMs);
}

/**
 * The worker has the run no more, and the next one gets what is left of the grace.
 *
 * @param isCrash whether it died in the clean-up; otherwise it never started
 * @returns false where nothing is left, so that the clean-up is over
 */
export function stopGrace(draft: Draft, isCrash: boolean): boolean {
  const { notes } = draft.header;
  const { graceMs, since, crashes } = notes.cleanUp ?? NO_CLEAN_UP;
  const used = isCrash && since !== 0 ? Math.max(0, draft.now - since) : 0;
  const left = { graceMs: graceMs - used, since: 0, crashes: crashes + (isCrash ? 1 : 0) };
  if (left.graceMs <= 0 || left.crashes >= CRASHES_MAX) return false;
  draft.patch({ intent: "none", notes: { ...notes, cleanUp: left } });
  draft.due.remove("grace", "");
  return true;
}

const NO_CLEAN_UP = { graceMs: 0, since: 0, crashes: 0 };

/** A clean-up that takes one worker after the other down is given up. */
const CRASHES_MAX = 5;

export function graceOver(draft: Draft): void {
  const { status, notes, intent } = draft.header;
  const { graceMs, since } = notes.cleanUp ?? NO_CLEAN_UP;
  if (status !== "CANCELLING") return;
  if (since === 0) {
    // Read before the run went from one worker to the next; or it is this state that is old, in
    // which case the write is refused for its intent.
    draft.patch({ intent });
    return;
  }
  // Read before the clock was set back.
  if (since + graceMs > draft.now) {
    draft.due.put("grace", "", since + graceMs);
    return;
  }
  giveUpCleanUp(draft, "Its grace was over.");
  draft.raiseFence();
}

/** Ends the clean-up without its worker's word. */
export function giveUpCleanUp(draft: Draft, why: string): void {
  endCleanUp(draft, { details: { clean_up: `It did not end: ${why}` } }, false);
}

/**
 * Ends a run that was being cleaned up, as whatever made it end says.
 *
 * @param meta of the last entry; a failure in it is what the worker reported
 * @param isDone whether the clean-up came to its end, by its worker's word
 */
export function endCleanUp(draft: Draft, meta: EntryMeta, isDone: boolean): void {
  const { timeout } = draft.state;
  const { cancelReason: reason } = draft.header.notes;
  const undone = undoneOf(draft, isDone);
  endRun(draft, timeout === undefined ? "CANCELLED" : "FAILED", undone);
  const known: EntryMeta = { ...meta, ...(undone === undefined ? {} : { undone }) };
  if (timeout === undefined) {
    const failure = meta.failure ?? cancelled(reason);
    const why = reason === undefined ? {} : { reason };
    draft.append("run.cancelled", "", 0, { ...known, ...why, failure });
    return;
  }
  // A worker that only repeats why it was cancelled has nothing to add.
  const { failure: cause } = meta;
  const isNews = cause !== undefined && cause.message !== timeout.message;
  noteFailure(draft, timeout);
  draft.append("run.failed", "", 0, {
    ...known,
    failure: isNews ? { ...timeout, cause } : timeout,
  });
}

export function cancelled(reason = ""): Failure {
  return { type: "Cancelled", message: reason === "" ? "The run was cancelled." : reason };
}

/** What a worker is about to undo, so that it is known what is left if that does not end. */
export function beginCleanUp(draft: Draft, { fence, compensations }: BeginCleanUp): Directive {
  const { header, state } = draft;
  checkFence(draft, fence);
  draft.takeBack();
  const before = state.compensations ?? [];
  // What a worker before this one had listed may be undone by yet another version of the code.
  const all = [...before, ...compensations.filter((key) => !before.includes(key))];
  if (state.compensations === undefined || all.length > before.length) {
    const worker = header.lease?.workerId ?? "";
    draft.append("run.cleanup.started", "", 0, { compensations: all, fence, worker });
  }
  return directive(draft.header);
}

/** What was to be undone and is not, when a run ends. */
export function undoneOf({ header, state }: Draft, isDone: boolean): Undone | undefined {
  const listed = state.compensations ?? [];
  const begun = [...state.steps.keys()].filter((key) => isCompensation(key));
  const left = [...new Set([...listed, ...begun])].filter((key) => !isUndone(state.steps.get(key)));
  if (left.length > 0) return left;
  const isKnown = isDone || state.compensations !== undefined || header.startedAt === 0;
  return isKnown ? undefined : "unknown";
}

function isUndone(step: StepRecord | undefined): boolean {
  return step?.status === "completed";
}

/** The steps of a run's clean-up have a namespace of their own; see docs/protocol.md. */
function isCompensation(key: string): boolean {
  return key.slice(key.lastIndexOf("/") + 1).startsWith("compensate:");
}

/** A compensation, or a step in one. */
export function isOfCompensation(key: string): boolean {
  return key.startsWith("compensate:") || key.includes("/compensate:");
}
