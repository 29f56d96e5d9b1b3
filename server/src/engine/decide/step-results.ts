import type { Failure } from "../../model/entry.ts";
import { invalid, PawlError } from "../../model/errors.ts";
import { afterFailure, NO_RETRY, type RetryPolicy } from "../../model/retry.ts";
import type { RunHeader } from "../../model/run.ts";
import type { Draft } from "../draft.ts";
import type { StepRecord } from "../journal/run-memory.ts";
import type {
  StepCompleted,
  StepFailed,
  StepFailedReply,
  StepIdentity,
} from "../steps/step-types.ts";
import { isOfCompensation } from "./clean-up.ts";
import { checkFence, directive } from "./fence-rules.ts";
import { describe, differs } from "./step-identity.ts";
import { noteProgress, stepMeta } from "./step-meta.ts";

/** The content of StepCompletedReply; `duplicateOf` names the entry to compare the result with. */
export interface CompletionDecision {
  readonly seq: number;
  readonly duplicateOf: number | undefined;
}

export function stepCompleted(draft: Draft, result: StepCompleted): CompletionDecision {
  const { header, state } = draft;
  const step = state.steps.get(result.key);
  const command = withKind(step, result);
  checkResult(draft, step, command, command.attempt);
  if (step?.status === "completed") {
    if (step.attempt === command.attempt) return { seq: step.seq, duplicateOf: step.seq };
    throw commitConflict(command, step);
  }
  const wasInTime = command.latencyMs > 0 && command.latencyMs <= (step?.timeoutMs ?? 0);
  if (!(wasInTime && isOverruled(step, command))) {
    if (step?.status === "failed" || attemptFailed(step, command.attempt))
      throw commitConflict(command, step);
    checkAttempt(header, step, command);
  }
  draft.takeBack();

  const meta = stepMeta(command, header.lease?.workerId ?? "");
  if (command.latencyMs > 0) meta.ms = Math.round(command.latencyMs * 1000) / 1000;
  if (command.deltas !== undefined && command.deltas > 0) meta.deltas = command.deltas;
  if (step !== undefined && step.timeoutMs > 0) draft.due.remove("attempt", command.key);
  const entry = draft.append(
    "workflow.step.completed",
    command.key,
    command.attempt,
    meta,
    command.output,
  );
  noteProgress(draft);
  return { seq: entry.seq, duplicateOf: undefined };
}

export function stepFailed(draft: Draft, result: StepFailed): StepFailedReply {
  const { header, state } = draft;
  const step = state.steps.get(result.key);
  const command = withKind(step, result);
  checkResult(draft, step, command, command.attempt);
  if (command.cancelled === true) return stepCancelled(draft, step, command);
  if (step?.status === "completed") throw commitConflict(command, step);
  if (isOverruled(step, command)) {
    // No attempt is counted twice; what comes after the last one is what the code is given, too.
    if (step?.status === "backoff")
      return retryReply(draft, step.until, step.attempt + 1, step.seq);
  } else if (step?.status === "failed" || attemptFailed(step, command.attempt)) {
    return failedBefore(draft, step, command);
  } else checkAttempt(header, step, command);
  draft.takeBack();
  const meta = stepMeta(command, header.lease?.workerId ?? "");
  if (command.latencyMs > 0) meta.ms = Math.round(command.latencyMs * 1000) / 1000;
  if (command.deltas !== undefined && command.deltas > 0) meta.deltas = command.deltas;
  if (step !== undefined && step.timeoutMs > 0) draft.due.remove("attempt", command.key);
  noteProgress(draft);
  return recordFailure(
    draft,
    command.key,
    command.attempt,
    meta,
    command.failure,
    command.retryPolicy,
  );
}

/** An attempt that was stopped. One that had ended before is left as it is. */
function stepCancelled(
  draft: Draft,
  step: StepRecord | undefined,
  command: StepFailed,
): StepFailedReply {
  const { header } = draft;
  const next = { kind: "final", action: "throw" } as const;
  const hasEnded = step?.status === "completed" || step?.status === "failed";
  const isOver =
    hasEnded || (step?.status !== "started" && command.attempt <= (step?.attempt ?? 0));
  if (step !== undefined && isOver) return { next, directive: directive(header), seq: step.seq };
  // An attempt that was in flight when its run was cancelled has the fence before.
  const isInFlight = step?.status === "started" && step.attempt === command.attempt;
  if (!isInFlight) checkAttempt(header, step, command);
  draft.takeBack();
  const meta = stepMeta(command, header.lease?.workerId ?? "");
  if (command.latencyMs > 0) meta.ms = Math.round(command.latencyMs * 1000) / 1000;
  if (step !== undefined && step.timeoutMs > 0) draft.due.remove("attempt", command.key);
  const { seq } = draft.append("workflow.step.cancelled", command.key, command.attempt, meta);
  noteProgress(draft);
  return { next, directive: directive(header), seq };
}

/** The server's own verdict on an attempt that its worker never ended. */
export function attemptTimedOut(draft: Draft, key: string, attempt: number): void {
  const step = draft.state.steps.get(key);
  if (step === undefined || step.status !== "started" || step.attempt !== attempt) return;
  // Its lease is gone: the attempt ended in a crash, which costs none of the step's attempts.
  if (step.fence !== draft.header.fence || draft.header.lease === null) return;
  const failure: Failure = {
    type: "StepTimeout",
    message: `The step "${step.name}" did not end within ${step.timeoutMs} ms, nor did its worker report so.`,
  };
  recordFailure(draft, key, attempt, { fence: step.fence }, failure, undefined);
}

function recordFailure(
  draft: Draft,
  key: string,
  attempt: number,
  meta: ReturnType<typeof stepMeta>,
  failure: Failure,
  given: RetryPolicy | undefined,
): StepFailedReply {
  const step = draft.state.steps.get(key);
  const policy = given ?? step?.retryPolicy ?? NO_RETRY;
  const failures = (step?.failures ?? 0) + 1;
  const firstAt = step?.firstAt ?? draft.now - (meta.ms ?? 0);
  const verdict = afterFailure(policy, failure, failures, firstAt, draft.now, draft.random);
  meta.failure = failure;
  if (verdict.kind === "retry") {
    meta.until = verdict.at;
    const entry = draft.append("workflow.step.retrying", key, attempt, meta);
    return retryReply(draft, verdict.at, attempt + 1, entry.seq);
  }
  if (verdict.exhausted && policy.onExhausted === "pause" && draft.header.status !== "CANCELLING") {
    meta.until = draft.now;
    const entry = draft.append("workflow.step.retrying", key, attempt, meta);
    const fence = draft.header.fence;
    draft.patch({ status: "PAUSED", reason: "RETRIES_EXHAUSTED", intent: "none" });
    draft.raiseFence();
    draft.dropLease();
    draft.append("run.paused", "", 0, {
      fence,
      reason: "RETRIES_EXHAUSTED",
      failure,
      failedKeys: [key],
    });
    return { next: { kind: "final", action: "pause" }, directive: "yield", seq: entry.seq };
  }
  const entry = draft.append("workflow.step.failed", key, attempt, meta);
  return {
    next: { kind: "final", action: "throw" },
    directive: directive(draft.header),
    seq: entry.seq,
  };
}

/** The same failure again, or another one for an attempt that has failed. */
function failedBefore(
  draft: Draft,
  step: StepRecord | undefined,
  command: StepFailed,
): StepFailedReply {
  if (
    step === undefined ||
    step.attempt !== command.attempt ||
    !sameFailure(step.failure, command.failure)
  ) {
    throw commitConflict(command, step);
  }
  if (step.status === "backoff") return retryReply(draft, step.until, step.attempt + 1, step.seq);
  return {
    next: { kind: "final", action: "throw" },
    directive: directive(draft.header),
    seq: step.seq,
  };
}

function retryReply(draft: Draft, at: number, attempt: number, seq: number): StepFailedReply {
  const delayMs = Math.max(0, at - draft.now);
  return { next: { kind: "retry", at, attempt, delayMs }, directive: directive(draft.header), seq };
}

function sameFailure(a: Failure | undefined, b: Failure): boolean {
  return a !== undefined && a.type === b.type && a.message === b.message;
}

/**
 * Whether the worker reports the end of an attempt that the server has taken for failed, since the
 * report did not come in time: while the server was away, it could not. Nobody else has been given the
 * step, so the worker's word counts: that it failed, or that it was done before its time was up.
 */
function isOverruled(
  step: StepRecord | undefined,
  { attempt, fence }: { readonly attempt: number; readonly fence: number },
): boolean {
  if (step === undefined || (step.status !== "backoff" && step.status !== "failed")) return false;
  return step.isVerdict && step.attempt === attempt && step.fence === fence;
}

function attemptFailed(step: StepRecord | undefined, attempt: number): boolean {
  return step?.status === "backoff" && attempt <= step.attempt;
}

/** A result need not repeat the kind that its start named; the default says nothing. */
function withKind<T extends StepIdentity>(step: StepRecord | undefined, result: T): T {
  const said = step === undefined || result.kind !== "step" || step.kind === "step";
  return said ? result : { ...result, kind: step.kind };
}

/** Lease, identity and attempt of a result, before it is compared with what is recorded. */
function checkResult(
  draft: Draft,
  step: StepRecord | undefined,
  command: StepIdentity,
  attempt: number,
): void {
  const { header } = draft;
  // The same result again is fine even after the run has ended, as long as the lease is the same.
  const again =
    step?.status === "completed" && step.fence === command.fence && header.fence === command.fence;
  if (!again) checkFence(draft, command.fence);
  if (command.kind !== "step" && command.kind !== "value") {
    throw invalid(
      "kind",
      `a ${command.kind} is ended by the server, not by a result of its worker`,
    );
  }
  if (attempt < 1)
    throw invalid(
      "attempt",
      "must be 1 or more: as answered by StepStarted, or counted from the journal",
    );
  if (step !== undefined && step.status !== "superseded" && differs(step, command)) {
    throw new PawlError(
      "STEP_INPUT_MISMATCH",
      `Step "${command.key}" is recorded as ${describe(step)}; this result is for ${describe(command)}. ` +
        "Give the step a key of its own, or keep its input as it was.",
      {
        metadata: { step_key: command.key, recorded: describe(step), attempted: describe(command) },
      },
    );
  }
}

function checkAttempt(
  { fence }: RunHeader,
  step: StepRecord | undefined,
  { key, attempt }: { readonly key: string; readonly attempt: number },
): void {
  const running = step?.status === "started" && step.fence === fence ? step.attempt : undefined;
  const expected = running ?? (step?.attempt ?? 0) + 1;
  // What was in flight when the run was cancelled is under the fence before: no result of it counts,
  // unless it is of the clean-up, which a cancel does not stop.
  const goesOn = step?.status === "started" && step.attempt === attempt && isOfCleanUp(key);
  if (attempt !== expected && !goesOn) {
    throw invalid("attempt", `is ${attempt}, but the attempt that may end now is ${expected}`);
  }
}

/** Compensations, and steps of a scope that cleans up; see docs/protocol.md. */
function isOfCleanUp(key: string): boolean {
  return isOfCompensation(key) || key.startsWith("cleanup:") || key.includes("/cleanup:");
}

function commitConflict(command: StepIdentity, step: StepRecord | undefined): PawlError {
  const recorded = step === undefined ? "nothing" : `${step.status}, attempt ${step.attempt}`;
  return new PawlError(
    "COMMIT_CONFLICT",
    `Step "${command.key}" of run "${command.runId}" has another outcome already: ${recorded}. Read it with GetStep.`,
    {
      metadata: {
        run_id: command.runId,
        step_key: command.key,
        recorded,
        recorded_seq: String(step?.seq ?? 0),
      },
    },
  );
}
