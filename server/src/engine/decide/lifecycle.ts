import type { EntryMeta } from "../../model/entry.ts";
import { illegalTransition, invalid, PawlError } from "../../model/errors.ts";
import { LIMITS } from "../../model/limits.ts";
import { isTerminal, type RunReason } from "../../model/run.ts";
import type { Draft } from "../draft.ts";
import { satisfied } from "../state.ts";
import { endRun, failRun } from "./common.ts";
import { pauseNow } from "./outcome.ts";
import { remindLater } from "./waits.ts";

/**
 * Its holder gets `graceMs` to clean up under a new fence. A run that has begun and that nobody
 * holds is handed out once more for that, if `served`; all others end at once.
 *
 * @param served whether a live worker would take the run
 */
export function cancelRun(draft: Draft, reason: string, graceMs: number, served: boolean): void {
  const { header } = draft;
  if (header.state === "CANCELLED" || header.state === "CANCELLING") return;
  if (isTerminal(header.state))
    throw illegalTransition(header.runId, header.state, "cancelled", "CANCELLED");
  const meta = reason === "" ? {} : { reason };
  if (graceMs > 0 ? canCleanUp(draft, served) : header.lease !== null) {
    startCleanup(draft, meta, graceMs);
    return;
  }
  endRun(draft, "CANCELLED");
  draft.raiseFence();
  draft.append("run.cancelled", "", 0, meta);
}

/** The run's time is up: it fails, after a clean-up like that of a cancelled one. */
export function timeOut(draft: Draft, served: boolean): void {
  const { header } = draft;
  // It is being ended already, and its clean-up has a limit of its own.
  if (header.state === "CANCELLING") return;
  const limit = header.options.runTimeoutMs ?? 0;
  const message = `The run did not end within ${limit} ms of its start.`;
  const failure = { type: "RunTimeout", message };
  if (canCleanUp(draft, served)) {
    startCleanup(draft, { reason: message, failure }, LIMITS.cancelGraceMs);
    return;
  }
  failRun(draft, failure, { fence: header.fence });
  draft.raiseFence();
}

function canCleanUp({ header }: Draft, served: boolean): boolean {
  return header.lease !== null || (header.startedAt !== 0 && !UNFIT.has(header.reason) && served);
}

/** `meta.failure`: what the run fails with in the end; without one it is cancelled. */
function startCleanup(draft: Draft, meta: EntryMeta, graceMs: number): void {
  const isHeld = draft.header.lease !== null;
  const reason = meta.failure === undefined ? "" : "RUN_TIMEOUT";
  draft.patch({ state: "CANCELLING", intent: "cancel", reason, waiting: null, endedAt: 0 });
  draft.raiseFence();
  // A clean-up is not held back by the limits of its workflow.
  if (!isHeld) draft.makeReady(draft.now, true);
  draft.append("run.cancelling", "", 0, { ...meta, details: { grace_ms: String(graceMs) } });
  draft.putDue("grace", "", draft.now + graceMs);
}

/** Paused for reasons that would keep a clean-up from getting anywhere, too. */
const UNFIT: ReadonlySet<RunReason> = new Set(["CRASH_LOOP", "DATA_CORRUPTED", "NON_DETERMINISM"]);

/** At once where nobody holds the run; else at its next step boundary. */
export function pauseRun(draft: Draft, reason: string): void {
  const { header } = draft;
  if (header.state === "PAUSED" || header.intent === "pause") return;
  if (isTerminal(header.state) || header.state === "CANCELLING") {
    throw illegalTransition(header.runId, header.state, "paused", "PAUSED");
  }
  if (header.lease !== null) {
    draft.patch({ intent: "pause" });
    return;
  }
  pauseNow(draft, "PAUSED_BY_OPERATOR", { reason: reason === "" ? "PAUSED_BY_OPERATOR" : reason });
}

/** Continues where it stopped: waiting if what it waits for is still to come, else queued. */
export function resumeRun(draft: Draft): void {
  const { header } = draft;
  if (isTerminal(header.state) || header.state === "CANCELLING") {
    throw illegalTransition(header.runId, header.state, "resumed", "QUEUED");
  }
  if (header.intent === "pause") {
    draft.patch({ intent: "resume" });
    return;
  }
  if (header.state !== "PAUSED") return;
  requeue(draft);
  draft.append("run.resumed", "", 0, {});
}

function requeue(draft: Draft): void {
  const { header, state } = draft;
  if (header.waiting !== null && !satisfied(state, header.waiting.tree, draft.now)) {
    draft.patch({ state: "WAITING", reason: "", crashes: 0 });
    return;
  }
  draft.patch({ state: "QUEUED", reason: "", crashes: 0, endedAt: 0, waiting: null });
  const startAt = header.startedAt === 0 ? Math.max(header.startAt, draft.now) : draft.now;
  const limit = header.options.queueTimeoutMs;
  if (limit !== undefined && header.startedAt === 0) draft.putDue("queue", "", startAt + limit);
  if (startAt > draft.now) draft.putDue("start", "", startAt);
  else draft.makeReady(draft.now);
}

/** The end of a run takes away all that was due; what it still waits for is due again. */
function rearmWaits(draft: Draft): void {
  for (const [key, step] of draft.state.steps) {
    if (step.status !== "waiting") continue;
    draft.listWait(key);
    remindLater(draft, key);
    if (step.until !== 0) draft.putDue("wait", key, step.until);
    if (step.childRunId !== "") draft.putDue("child", key, draft.now, step.childRunId);
  }
}

/** The steps of a run's clean-up have a namespace of their own; see docs/protocol.md. */
function isCompensation(key: string): boolean {
  return key.startsWith("compensate:") || key.includes("/compensate:");
}

const UNDONE_LATER: ReadonlySet<string> = new Set(["failed", "started", "backoff", "superseded"]);

/** What a run that was undone can go on with: not its own steps, whose effects are gone. */
function failedCompensations(draft: Draft): string[] {
  const { header, state } = draft;
  // Where the time of the clean-up was up as well, some have not ended.
  const keys = [...state.steps].flatMap(([key, { status }]) =>
    isCompensation(key) && UNDONE_LATER.has(status) ? [key] : [],
  );
  if (keys.length > 0) return keys;
  throw new PawlError(
    "ILLEGAL_TRANSITION",
    `Run "${header.runId}" is FAILED, and its compensations have undone what its steps did; it cannot be retried. Start a new run.`,
    { metadata: { run_id: header.runId, from: header.state, to: "QUEUED" } },
  );
}

/** From its failed step: what ended it is superseded, all other results stay. Idempotent until it stops again. */
export function retryRun(draft: Draft): void {
  const { header, state } = draft;
  if (state.retried && !isTerminal(header.state) && header.state !== "PAUSED") return;
  const paused = header.state === "PAUSED" && header.reason !== "PAUSED_BY_OPERATOR";
  if (header.state !== "FAILED" && !paused)
    throw illegalTransition(header.runId, header.state, "retried", "QUEUED");
  const undone = header.state === "FAILED" && [...state.steps.keys()].some(isCompensation);
  const { timeout: failure } = state;
  const superseded = (undone ? failedCompensations(draft) : state.failedKeys).filter((key) => {
    const step = state.steps.get(key);
    const failedWait = step?.status === "resolved" && step.failure !== undefined;
    return (
      step?.status === "failed" ||
      step?.status === "started" ||
      step?.status === "backoff" ||
      failedWait
    );
  });
  draft.append("run.retried", "", 0, { superseded });
  if (undone && failure !== undefined) {
    // Nothing in the journal would make the code fail again: it has to be told again.
    startCleanup(draft, { reason: failure.message, failure }, LIMITS.cancelGraceMs);
    return;
  }
  draft.raiseFence();
  if (header.state === "FAILED") rearmWaits(draft);
  requeue(draft);
  const timeout = header.options.runTimeoutMs;
  if (timeout !== undefined) draft.putDue("run", "", draft.now + timeout);
}

export function deleteRun(draft: Draft): void {
  const { header } = draft;
  if (!isTerminal(header.state))
    throw illegalTransition(header.runId, header.state, "deleted", "deleted");
  draft.deleteRun();
}

export function updateTags(
  draft: Draft,
  set: Readonly<Record<string, string>>,
  remove: readonly string[],
): void {
  const tags: Record<string, string> = { ...draft.header.tags, ...set };
  for (const key of remove) delete tags[key];
  if (Object.keys(tags).length > LIMITS.tags) {
    throw invalid(
      "set",
      `the run would have ${Object.keys(tags).length} tags; at most ${LIMITS.tags} are kept`,
    );
  }
  const before = JSON.stringify(Object.entries(draft.header.tags).sort());
  if (before === JSON.stringify(Object.entries(tags).sort())) return;
  draft.patch({ tags });
  draft.append("run.tags.changed", "", 0, { details: tags });
}
