/**
 * Steps, both ways. `stepCompletedIn` and `stepCompletedOut` are the hot path of a connection: they
 * build objects of one shape, without spreading, and touch no 64-bit times.
 */
import { create } from "@bufbuild/protobuf";
import {
  StepFailedResponse_Final_Action as FinalAction,
  type ListStepsRequest,
  type Payload as PayloadProto,
  Recovery,
  type StepCompletedRequest,
  type StepCompletedResponse,
  type StepFailedRequest,
  type StepFailedResponse,
  StepFailedResponseSchema,
  type StepKind as StepKindProto,
  type StepStartedRequest,
  type StepStartedResponse,
  StepStartedResponseSchema,
  StepStartedResponse_Stop_Reason as StopReason,
  type WaitSpec as WaitSpecProto,
  StepStartedResponse_Wait_Why as Why,
} from "@pawl/proto";
import type {
  CallbackAddress,
  ListSteps,
  StepCompleted,
  StepCompletedReply,
  StepFailed,
  StepFailedReply,
  StepOutcome,
  StepSide,
  StepStarted,
  StepStartedReply,
  WaitSpec,
} from "../../engine/engine-api.ts";
import { BOUNDS } from "../../model/bounds.ts";
import type { StepKind } from "../../model/entry.ts";
import { invalid } from "../../model/errors.ts";
import type { Payload } from "../../model/payload.ts";
import {
  directiveOut,
  duration,
  failureIn,
  failureOut,
  payloadIn,
  payloadOut,
  requiredPayload,
  retryPolicyIn,
  stepKindIn,
  stepKindOut,
  timestamp,
  outcomeOut as waitOutcomeOut,
} from "./common-messages.ts";
import { detailsOut } from "./entry-codec.ts";
import { durationMs, fence, name, pageSize, runId, stepKey, text, timestampMs } from "./fields.ts";
import { questionIn } from "./question-messages.ts";

const DIGEST_BYTES = 128;
/** What is recorded of an attempt that was stopped, which is not a failure. */
const CANCELLED_FAILURE = Object.freeze({ type: "Cancelled", message: "The attempt was stopped." });
/** A year; a clock that says more is broken. */
const LATENCY_MAX_MS = 365 * 86_400_000;

function optionalPayload(field: string, value: PayloadProto | undefined): Payload | undefined {
  return value === undefined ? undefined : payloadIn(field, value);
}

function latencyIn(value: number): number {
  return value >= 0 && value <= LATENCY_MAX_MS ? value : 0;
}

function attemptIn(value: number): number {
  if (value === 0) throw invalid("attempt", "must be set: attempts count from 1");
  return value;
}

function digestIn(field: string, value: string): string {
  return text(field, value, DIGEST_BYTES);
}

export function waitSpecIn(kind: StepKind, wait: WaitSpecProto | undefined): WaitSpec | undefined {
  if (kind === "step" || kind === "value") {
    if (wait !== undefined) throw invalid("wait", `is not allowed for the kind ${kind}`);
    return undefined;
  }
  if (wait === undefined) throw invalid("wait", `must be set for the kind ${kind}`);
  const times = [wait.duration, wait.until, wait.cron || undefined];
  const timesSet = times.filter((one) => one !== undefined).length;
  if (timesSet > 1) {
    throw invalid(
      "wait.until",
      "cannot be combined with wait.duration or wait.cron: one is enough",
    );
  }
  if (kind === "sleep" && timesSet === 0) {
    throw invalid("wait.duration", "or wait.until or wait.cron must be set for a sleep");
  }
  if (wait.cron !== "" && kind !== "sleep")
    throw invalid("wait.cron", "is only allowed for a sleep");
  if (wait.timeZone !== "" && wait.cron === "") {
    throw invalid("wait.time_zone", "requires wait.cron");
  }
  if (kind === "signal" && wait.signalName === "") {
    throw invalid("wait.signal_name", "must be set for the kind signal");
  }
  if (kind === "child" && wait.childRunId === "") {
    throw invalid("wait.child_run_id", "must be set for the kind child");
  }
  return {
    ...(wait.duration && { durationMs: durationMs("wait.duration", wait.duration) }),
    ...(wait.until && { until: timestampMs("wait.until", wait.until) }),
    ...(wait.cron !== "" && {
      cron: name("wait.cron", wait.cron),
      timeZone: name("wait.time_zone", wait.timeZone) || "UTC",
    }),
    ...(wait.question && { question: questionIn(wait.question) }),
    ...(kind === "signal" && { signalName: name("wait.signal_name", wait.signalName) }),
    ...(kind === "child" && { childRunId: runId(wait.childRunId, "wait.child_run_id") }),
  };
}

function recoveryIn(value: Recovery): boolean {
  if (value > Recovery.AT_MOST_ONCE) {
    throw invalid("recovery", `${value} is not known to this server`);
  }
  return value === Recovery.AT_MOST_ONCE;
}

export function stepStartedIn(request: StepStartedRequest): StepStarted {
  const kind = stepKindIn(request.kind);
  return {
    runId: runId(request.runId),
    fence: fence(request.fence),
    key: stepKey(request.stepKey),
    name: name("name", request.name),
    kind,
    inputDigest: digestIn("input_digest", request.inputDigest),
    definitionDigest: digestIn("definition_digest", request.definitionDigest),
    input: optionalPayload("input", request.input),
    retryPolicy: retryPolicyIn(request.retryPolicy),
    timeoutMs: request.timeout === undefined ? undefined : durationMs("timeout", request.timeout),
    atMostOnce: recoveryIn(request.recovery),
    wait: waitSpecIn(kind, request.wait),
    requestId: text("request_id", request.requestId, BOUNDS.idBytes),
  };
}

/** Whether a start in a connection may ride ahead of its completion without an answer. */
export function ridesAhead(kind: StepKindProto, recovery: Recovery): boolean {
  const known = stepKindIn(kind);
  return (known === "step" || known === "value") && recovery !== Recovery.AT_MOST_ONCE;
}

export function stepCompletedIn(request: StepCompletedRequest): StepCompleted {
  return {
    runId: runId(request.runId),
    fence: fence(request.fence),
    key: stepKey(request.stepKey),
    name: name("name", request.name),
    kind: stepKindIn(request.kind),
    inputDigest: digestIn("input_digest", request.inputDigest),
    definitionDigest: digestIn("definition_digest", request.definitionDigest),
    input: optionalPayload("input", request.input),
    attempt: attemptIn(request.attempt),
    output: requiredPayload("output", request.output),
    latencyMs: latencyIn(request.latencyMs),
    ...(request.deltas > 0 && { deltas: request.deltas }),
  };
}

export function stepCompletedOut(reply: StepCompletedReply): StepCompletedResponse {
  return {
    $typeName: "pawl.v1.StepCompletedResponse",
    directive: directiveOut(reply.directive),
    seq: reply.seq,
  };
}

export function stepFailedIn(request: StepFailedRequest): StepFailed {
  return {
    runId: runId(request.runId),
    fence: fence(request.fence),
    key: stepKey(request.stepKey),
    name: name("name", request.name),
    kind: stepKindIn(request.kind),
    inputDigest: digestIn("input_digest", request.inputDigest),
    definitionDigest: digestIn("definition_digest", request.definitionDigest),
    input: optionalPayload("input", request.input),
    attempt: attemptIn(request.attempt),
    failure: request.cancelled ? CANCELLED_FAILURE : failureIn("failure", request.failure),
    ...(request.cancelled && { cancelled: true }),
    latencyMs: latencyIn(request.latencyMs),
    ...(request.deltas > 0 && { deltas: request.deltas }),
    retryPolicy: retryPolicyIn(request.retryPolicy),
  };
}

export function stepFailedOut(reply: StepFailedReply): StepFailedResponse {
  const { next } = reply;
  return create(StepFailedResponseSchema, {
    directive: directiveOut(reply.directive),
    seq: reply.seq,
    next:
      next.kind === "retry"
        ? {
            case: "retry",
            value: {
              at: timestamp(next.at),
              attempt: next.attempt,
              delay: duration(next.delayMs),
            },
          }
        : {
            case: "final",
            value: { action: next.action === "pause" ? FinalAction.PAUSE : FinalAction.THROW },
          },
  });
}

function sideOut(side: StepSide) {
  return {
    name: side.name,
    kind: stepKindOut(side.kind),
    inputDigest: side.inputDigest,
    definitionDigest: side.definitionDigest,
    ...(side.input !== undefined && { input: payloadOut(side.input) }),
  };
}

function callbackOut(callback: CallbackAddress | undefined) {
  return callback && { callbackToken: callback.token, callbackUrl: callback.url };
}

function replayOut(outcome: Extract<StepOutcome, { kind: "replay" }>, waitId: string) {
  const said = {
    seq: outcome.seq,
    outcome: waitOutcomeOut(outcome.outcome),
    ...(outcome.resolved && { details: detailsOut(outcome.resolved.meta), waitId }),
    ...callbackOut(outcome.callback),
  };
  if (outcome.failure !== undefined) {
    const result = { case: "failure" as const, value: failureOut(outcome.failure) };
    return { case: "replay" as const, value: { ...said, result } };
  }
  if (outcome.output === undefined) return { case: "replay" as const, value: said };
  const result = { case: "output" as const, value: payloadOut(outcome.output) };
  return { case: "replay" as const, value: { ...said, result } };
}

const WHY = {
  in_progress: Why.IN_PROGRESS,
  backoff: Why.BACKOFF,
  wait: Why.WAIT,
} as const;

const STOP_REASONS = {
  LEASE_LOST: StopReason.LEASE_LOST,
  RUN_CANCELLED: StopReason.RUN_CANCELLED,
  RUN_PAUSED: StopReason.RUN_PAUSED,
  RUN_TERMINAL: StopReason.RUN_TERMINAL,
} as const;

function outcomeOut(outcome: StepOutcome, waitId: string) {
  switch (outcome.kind) {
    case "execute": {
      const { attempt, idempotencyKey } = outcome;
      return { case: "execute" as const, value: { attempt, idempotencyKey } };
    }
    case "replay":
      return replayOut(outcome, waitId);
    case "wait": {
      const { why, attempt } = outcome;
      const until = outcome.until === undefined ? {} : { until: timestamp(outcome.until) };
      const named = why === "wait" ? { waitId, ...callbackOut(outcome.callback) } : {};
      return { case: "wait" as const, value: { why: WHY[why], attempt, ...until, ...named } };
    }
    case "conflict": {
      const value = { recorded: sideOut(outcome.recorded), attempted: sideOut(outcome.attempted) };
      return { case: "conflict" as const, value };
    }
    case "unknown_outcome": {
      const value = { attempt: outcome.attempt, startedAt: timestamp(outcome.startedAt) };
      return { case: "unknownOutcome" as const, value };
    }
    case "stop":
      return {
        case: "stop" as const,
        value: { reason: STOP_REASONS[outcome.reason], fence: outcome.fence },
      };
  }
}

export function stepStartedOut(reply: StepStartedReply): StepStartedResponse {
  return create(StepStartedResponseSchema, {
    outcome: outcomeOut(reply.outcome, reply.waitId ?? ""),
    directive: directiveOut(reply.directive),
  });
}

const PAGE_TOKEN_BYTES = 64;

export function listStepsIn(request: ListStepsRequest): ListSteps {
  return {
    runId: runId(request.runId),
    pageSize: pageSize(request.pageSize, BOUNDS.listPageDefault, BOUNDS.listPageMax),
    pageToken: text("page_token", request.pageToken, PAGE_TOKEN_BYTES),
  };
}
