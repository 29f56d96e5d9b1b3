import { BOUNDS } from "../../model/bounds.ts";
import { isTerminal, type RunHeader } from "../../model/run.ts";
import type { Draft } from "../draft.ts";
import { isForgotten, type RunMemory, type StepRecord } from "../journal/run-memory.ts";
import type { StepOutcome, StepStarted } from "../steps/step-types.ts";
import { askOthers } from "./answer-rules.ts";
import { differs } from "./step-identity.ts";
import { stepMeta } from "./step-meta.ts";
import { checkWait, createWait } from "./wait-rules.ts";

/** Like StepOutcome, but names the entry of what is recorded, for the caller to read. */
export type StartDecision =
  | Exclude<StepOutcome, { kind: "replay" }>
  | { readonly kind: "replay"; readonly seq: number };

/** May this step run? Commits the start when it may. */
export function stepStarted(draft: Draft, command: StepStarted): StartDecision {
  const { header, state } = draft;
  const stop = stopped(draft, command.fence);
  if (stop !== undefined) return stop;

  const step = state.steps.get(command.key);
  if (step !== undefined) {
    if (!isForgotten(step) && differs(step, command)) return conflict(step, command);
    const known = recorded(draft, step, command);
    if (known !== undefined) return known;
  }
  if (header.intent === "pause" && !isInsideStep(command.key))
    return { kind: "stop", reason: "RUN_PAUSED", fence: header.fence };

  if (command.kind !== "step" && command.kind !== "value") {
    checkWait(draft, command.kind, command.wait);
    draft.takeBack();
    const { key, name, kind } = command;
    const attempt = (step?.attempt ?? 0) + 1;
    createWait(draft, attempt, command.fence, header.lease?.workerId ?? "", {
      key,
      name,
      kind,
      wait: command.wait ?? {},
    });
    const made = state.steps.get(key);
    if (made?.status === "resolved") {
      draft.noteReplied(made.seq);
      return { kind: "replay", seq: made.seq };
    }
    return { kind: "wait", why: "wait", attempt, ...(made?.until ? { until: made.until } : {}) };
  }
  const attempt = nextAttempt(state, step);
  draft.takeBack();
  recordStart(draft, command, attempt, header.lease?.workerId ?? "");
  return { kind: "execute", attempt, idempotencyKey: idempotencyKey(header, command.key) };
}

/**
 * A step around it is in flight, which cannot end without it: a pause lets that finish. What has a
 * namespace is a scope, as is the item behind a map; but for compensations.
 */
function isInsideStep(key: string): boolean {
  const around = key.split("/").slice(0, -1);
  return around.some(
    (segment, at) =>
      segment.startsWith("compensate:") ||
      (!segment.includes(":") && around[at - 1]?.startsWith("map:") !== true),
  );
}

/** Skips a number where an attempt may have started that nobody wrote down: none is used twice. */
function nextAttempt({ careful, unnumbered }: RunMemory, step: StepRecord | undefined): number {
  const next = (step?.attempt ?? 0) + 1;
  if (!careful || unnumbered === 0) return next;
  const { fence = 0, status } = step ?? {};
  const isNumbered =
    fence > unnumbered ||
    (fence === unnumbered && (status === "started" || status === "superseded"));
  return isNumbered ? next : next + 1;
}

/** The same for all attempts of the step, and for no step of another run under the same id. */
function idempotencyKey({ runUid }: RunHeader, key: string): string {
  return `${runUid}/${key}`;
}

/** A start that was live for a while is written down, if the step is still the running one. */
export function recordLiveStart(draft: Draft, command: StepStarted): void {
  const { header, state } = draft;
  if (header.fence !== command.fence || header.lease === null) return;
  const step = state.steps.get(command.key);
  const startable =
    step === undefined ||
    isForgotten(step) ||
    step.status === "backoff" ||
    (step.status === "started" && step.fence !== command.fence);
  if (!startable) return;
  recordStart(draft, command, (step?.attempt ?? 0) + 1, header.lease.workerId);
}

function recordStart(draft: Draft, command: StepStarted, attempt: number, worker: string): void {
  const meta = stepMeta(command, worker);
  if (command.atMostOnce) meta.atMostOnce = true;
  if (command.retryPolicy !== undefined) meta.retryPolicy = command.retryPolicy;
  if (command.requestId !== "") meta.requestId = command.requestId;
  if (command.timeoutMs !== undefined) {
    meta.timeoutMs = command.timeoutMs;
    const at = draft.now + command.timeoutMs + BOUNDS.stepTimeoutSlackMs;
    draft.due.put("attempt", command.key, at, String(attempt));
  }
  draft.append("workflow.step.started", command.key, attempt, meta);
}

/** Why no step of this lease may run any more. */
function stopped(draft: Draft, fence: number): StartDecision | undefined {
  const { header, mayTakeBack } = draft;
  const stop = (
    reason: "LEASE_LOST" | "RUN_CANCELLED" | "RUN_PAUSED" | "RUN_TERMINAL",
  ): StartDecision => ({
    kind: "stop",
    reason,
    fence: header.fence,
  });
  if (header.fence === fence && (header.lease !== null || mayTakeBack)) return undefined;
  if (header.status === "CANCELLED") return stop("RUN_CANCELLED");
  // The clean-up is its last holder's, whose lease the cancel renewed; who lost it before stays out.
  const cleaning = header.status === "CANCELLING" && header.lease !== null;
  if (cleaning && header.fence === fence + 1) return stop("RUN_CANCELLED");
  if (isTerminal(header.status)) return stop("RUN_TERMINAL");
  return stop(header.status === "PAUSED" ? "RUN_PAUSED" : "LEASE_LOST");
}

/** The answer for a step that the journal knows, unless it is to be executed (again). */
function recorded(draft: Draft, step: StepRecord, command: StepStarted): StartDecision | undefined {
  const { header } = draft;
  switch (step.status) {
    case "completed":
    case "failed":
    case "resolved":
      return { kind: "replay", seq: step.seq };
    case "waiting":
      if (command.wait?.question !== undefined)
        askOthers(draft, command.key, command.wait.question);
      if (step.status !== "waiting") {
        draft.noteReplied(step.seq);
        return { kind: "replay", seq: step.seq };
      }
      return {
        kind: "wait",
        why: "wait",
        attempt: step.attempt,
        ...(step.until === 0 ? {} : { until: step.until }),
      };
    case "backoff":
      if (step.until <= draft.now) return undefined;
      return { kind: "wait", why: "backoff", attempt: step.attempt + 1, until: step.until };
    case "started":
      if (step.fence === header.fence) return inFlight(draft, step, command);
      return unlessAtMostOnce(draft, step, command.key);
    case "cancelled":
      return unlessAtMostOnce(draft, step, command.key);
    case "superseded":
    case "closed":
      return undefined;
  }
}

/** Nobody knows whether it had its effect: it is executed again, or a person decides. */
function unlessAtMostOnce(draft: Draft, step: StepRecord, key: string): StartDecision | undefined {
  if (!step.atMostOnce) return undefined;
  askPerson(draft, key, step);
  return { kind: "unknown_outcome", attempt: step.attempt, startedAt: step.at };
}

/** Somebody with this lease runs it: the asker itself, whose answer was lost, or another. */
function inFlight(draft: Draft, step: StepRecord, command: StepStarted): StartDecision {
  if (step.requestId !== "" && step.requestId === command.requestId) {
    return {
      kind: "execute",
      attempt: step.attempt,
      idempotencyKey: idempotencyKey(draft.header, command.key),
    };
  }
  const until = draft.header.lease?.until;
  return {
    kind: "wait",
    why: "in_progress",
    attempt: step.attempt,
    ...(until === undefined ? {} : { until }),
  };
}

/** Whether an at-most-once step had its effect is for a person to find out; a run being cancelled ends all the same. */
function askPerson(draft: Draft, key: string, step: StepRecord): void {
  if (draft.header.status === "CANCELLING") return;
  const fence = draft.header.fence;
  draft.patch({ status: "PAUSED", reason: "UNKNOWN_OUTCOME", intent: "none" });
  draft.raiseFence();
  draft.dropLease();
  draft.append("run.paused", "", 0, {
    fence,
    reason: "UNKNOWN_OUTCOME",
    failedKeys: [key],
    details: { step_key: key, attempt: String(step.attempt) },
  });
}

function conflict(step: StepRecord, command: StepStarted): StartDecision {
  const { name, kind, inputDigest, definitionDigest } = step;
  return {
    kind: "conflict",
    recorded: { name, kind, inputDigest, definitionDigest },
    attempted: {
      name: command.name === "" ? command.key : command.name,
      kind: command.kind,
      inputDigest: command.inputDigest,
      definitionDigest: command.definitionDigest,
      input: command.input,
    },
  };
}
