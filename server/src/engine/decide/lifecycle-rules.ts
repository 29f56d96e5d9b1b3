import { BOUNDS } from "../../model/bounds.ts";
import { illegalTransition, invalid, PawlError } from "../../model/errors.ts";
import { isTerminal } from "../../model/run.ts";
import type { Draft } from "../draft.ts";
import { type StepRecord, satisfied } from "../journal/run-memory.ts";
import type { CancelOptions } from "../runs/run-types.ts";
import {
  canCleanUp,
  cancelled,
  giveUpCleanUp,
  isOfCompensation,
  startCleanUp,
  undoneOf,
} from "./clean-up.ts";
import { pauseNow, setRetryTimers } from "./outcome-rules.ts";
import { endRun, failRun } from "./run-end.ts";
import { remindLater } from "./wait-changes.ts";

/**
 * A run that has started is cleaned up, by its holder or by the next worker that serves it, for
 * `graceMs` from when one has it for that; all others end at once.
 * With `force`, at once in any case, also where the run is being cleaned up.
 */
export function cancelRun(draft: Draft, { reason, graceMs, force = false }: CancelOptions): void {
  const { header } = draft;
  if (header.status === "CANCELLED") return;
  const isForced = force || graceMs === 0;
  if (header.status === "CANCELLING") {
    if (!isForced) return;
    giveUpCleanUp(draft, "Somebody ended the run without waiting for it.");
    draft.raiseFence();
    return;
  }
  if (isTerminal(header.status))
    throw illegalTransition(header.runId, header.status, "cancelled", "CANCELLED");
  const meta = reason === "" ? {} : { reason };
  if (!isForced && canCleanUp(draft)) {
    startCleanUp(draft, meta, graceMs);
    return;
  }
  const undone = undoneOf(draft, false);
  if (reason !== "") draft.patch({ notes: { ...header.notes, cancelReason: reason } });
  endRun(draft, "CANCELLED", undone);
  draft.raiseFence();
  const left = undone === undefined ? {} : { undone };
  draft.append("run.cancelled", "", 0, { ...meta, ...left, failure: cancelled(reason) });
}

/** Ends a child as its start says for a child without its parent. */
export function cancelChild(draft: Draft, reason: string): void {
  if (draft.header.options.parentClose === "cancel")
    cancelRun(draft, { reason, graceMs: BOUNDS.cancelGraceMs });
}

/** The run's time is up: it fails, after a clean-up like that of a cancelled one. */
export function timeOut(draft: Draft): void {
  const { header } = draft;
  // It is being ended already, and its clean-up has a limit of its own.
  if (header.status === "CANCELLING") return;
  const limit = header.options.runTimeoutMs ?? 0;
  const message = `The run did not end within ${limit} ms of its start.`;
  const failure = { type: "RunTimeout", message };
  if (canCleanUp(draft)) {
    startCleanUp(draft, { reason: message, failure }, BOUNDS.cancelGraceMs);
    return;
  }
  const undone = undoneOf(draft, false);
  failRun(draft, failure, { fence: header.fence }, undone);
  draft.raiseFence();
}

/** At once where nobody holds the run; else at its next step boundary. */
export function pauseRun(draft: Draft, reason: string): void {
  const { header } = draft;
  if (header.status === "PAUSED" || header.intent === "pause") return;
  if (isTerminal(header.status) || header.status === "CANCELLING") {
    throw illegalTransition(header.runId, header.status, "paused", "PAUSED");
  }
  if (reason !== "") draft.patch({ notes: { ...header.notes, pauseReason: reason } });
  if (header.lease !== null) draft.patch({ intent: "pause" });
  else pauseNow(draft, "PAUSED_BY_OPERATOR", {});
}

/** Continues where it stopped: waiting if what it waits for is still to come, else queued. */
export function resumeRun(draft: Draft): void {
  const { header } = draft;
  if (isTerminal(header.status) || header.status === "CANCELLING") {
    throw illegalTransition(header.runId, header.status, "resumed", "QUEUED");
  }
  if (header.intent === "pause") {
    draft.patch({ intent: "resume", notes: {} });
    return;
  }
  if (header.status !== "PAUSED") return;
  requeue(draft);
  draft.append("run.resumed", "", 0, {});
}

function requeue(draft: Draft): void {
  const { header, state } = draft;
  if (header.waiting !== null && !satisfied(state, header.waiting.tree, draft.now)) {
    draft.patch({ status: "WAITING", reason: "", crashes: 0, notes: {} });
    // One may have fired while the run was paused, before the clock was set back.
    setRetryTimers(draft, header.waiting.tree);
    return;
  }
  draft.patch({ status: "QUEUED", reason: "", crashes: 0, endedAt: 0, waiting: null, notes: {} });
  const startAt = header.startedAt === 0 ? Math.max(header.startAt, draft.now) : draft.now;
  const limit = header.options.queueTimeoutMs;
  if (limit !== undefined && header.startedAt === 0) draft.due.put("queue", "", startAt + limit);
  if (startAt > draft.now) draft.due.put("start", "", startAt);
  else draft.makeReady(draft.now);
}

/** The end of a run takes away all that was due; what it still waits for is due again. */
function rearmWaits(draft: Draft): void {
  for (const [key, step] of draft.state.steps) {
    if (step.status !== "waiting") continue;
    draft.waits.list(key);
    remindLater(draft, key);
    if (step.until !== 0) draft.due.put("wait", key, step.until);
    if (step.childRunId !== "") draft.due.put("child", key, draft.now, step.childRunId);
  }
}

/**
 * Continues a run from its failed step: what ended it is superseded, and all other results stay.
 * This is idempotent until the run stops again.
 */
export function retryRun(draft: Draft): void {
  const { header, state } = draft;
  if (state.retried && !isTerminal(header.status) && header.status !== "PAUSED") return;
  const paused = header.status === "PAUSED" && header.reason !== "PAUSED_BY_OPERATOR";
  const isCleaned = header.status === "CANCELLED" || isUndone(draft);
  if (header.status !== "FAILED" && header.status !== "CANCELLED" && !paused)
    throw illegalTransition(header.runId, header.status, "retried", "QUEUED");
  if (isCleaned && header.notes.undone === undefined) throw allUndone(draft);
  const { timeout: failure } = state;
  const keys = isCleaned ? [...state.steps.keys()].filter(isOfCompensation) : state.failedKeys;
  const superseded = keys.filter((key) => hasFailed(state.steps.get(key)));
  const reason = failure?.message ?? header.notes.cancelReason;
  draft.append("run.retried", "", 0, { superseded });
  if (isCleaned && (failure !== undefined || header.status === "CANCELLED")) {
    // Nothing in the journal would make the code fail again: it has to be told again.
    const why = reason === undefined ? {} : { reason };
    const end = failure === undefined ? {} : { failure };
    startCleanUp(draft, { ...why, ...end }, BOUNDS.cancelGraceMs);
    return;
  }
  draft.raiseFence();
  if (header.status === "FAILED") rearmWaits(draft);
  requeue(draft);
  const timeout = header.options.runTimeoutMs;
  if (timeout !== undefined) draft.due.put("run", "", draft.now + timeout);
}

/** Does what `retryRun` does for a child whose parent is retried, if the child can continue. */
export function retryChild(draft: Draft): void {
  if (draft.header.status === "FAILED" && !isUndone(draft)) retryRun(draft);
}

/** Whether its compensations have started, so that what its own steps did is no more. */
function isUndone({ header, state }: Draft): boolean {
  if (header.status !== "FAILED") return false;
  if (header.notes.undone !== undefined || state.compensations !== undefined) return true;
  return [...state.steps.keys()].some(isOfCompensation);
}

function hasFailed(step: StepRecord | undefined): boolean {
  switch (step?.status) {
    case "resolved":
      return step.failure !== undefined;
    // One that was stopped may have had its effect: it is named where a person had to decide that.
    case "cancelled":
    case "failed":
    case "started":
    case "backoff":
      return true;
    default:
      return false;
  }
}

function allUndone({ header }: Draft): PawlError {
  return new PawlError(
    "ILLEGAL_TRANSITION",
    `Run "${header.runId}" is ${header.status}, and nothing is left to be undone; it cannot be retried. Start a new run.`,
    { metadata: { run_id: header.runId, from: header.status, to: "QUEUED" } },
  );
}

export function deleteRun(draft: Draft): void {
  const { header } = draft;
  if (!isTerminal(header.status))
    throw illegalTransition(header.runId, header.status, "deleted", "deleted");
  draft.deleteRun();
}

/** As `deleteRun`, unless the run is no longer one that ended before that time; returns whether it deletes. */
export function pruneRun(draft: Draft, before: number): boolean {
  const { status, endedAt } = draft.header;
  const isOld = isTerminal(status) && endedAt < before;
  if (isOld) draft.deleteRun();
  return isOld;
}

export function updateTags(
  draft: Draft,
  set: Readonly<Record<string, string>>,
  remove: readonly string[],
): void {
  const tags: Record<string, string> = { ...draft.header.tags, ...set };
  for (const key of remove) delete tags[key];
  if (Object.keys(tags).length > BOUNDS.tags) {
    throw invalid(
      "set",
      `the run would have ${Object.keys(tags).length} tags; at most ${BOUNDS.tags} are kept`,
    );
  }
  const before = JSON.stringify(Object.entries(draft.header.tags).sort());
  if (before === JSON.stringify(Object.entries(tags).sort())) return;
  draft.patch({ tags });
  draft.append("run.tags.changed", "", 0, { details: tags });
}
