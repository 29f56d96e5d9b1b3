/** Payloads, failures, retry policies, times and kinds, both ways. */
import { create } from "@bufbuild/protobuf";
import type { Duration, Timestamp } from "@bufbuild/protobuf/wkt";
import {
  Backoff,
  Directive as DirectiveProto,
  type Failure as FailureProto,
  FailureSchema,
  OnExhausted,
  type Payload as PayloadProto,
  PayloadSchema,
  type RetryPolicy as RetryPolicyProto,
  RunStatus as RunStatusProto,
  StepKind as StepKindProto,
  WaitKind as WaitKindProto,
  WaitOutcome as WaitOutcomeProto,
} from "@pawl/proto";
import type { Directive } from "../../engine/engine-api.ts";
import { sha256 as digestOf } from "../../lib/ids.ts";
import { JsonError, parseJson } from "../../lib/json.ts";
import { BOUNDS } from "../../model/bounds.ts";
import {
  type ClosedWhy,
  type Failure,
  WAIT_KINDS as KINDS_OF_WAITS,
  type StepKind,
  WAIT_OUTCOMES,
  type WaitKind,
  type WaitOutcome,
} from "../../model/entry.ts";
import { invalid } from "../../model/errors.ts";
import type { Payload } from "../../model/payload.ts";
import type { RetryPolicy } from "../../model/retry.ts";
import { type OpenWait, RUN_STATUSES, type RunStatus } from "../../model/run.ts";
import { durationMs, number, payloadTooLarge, sha256, text } from "./fields.ts";

const NO_BYTES = new Uint8Array(0);
/** A run without an input, a signal without a payload. */
export const VOID: Payload = Object.freeze({ encoding: "void", data: NO_BYTES });
const LIST_MAX = 100;
/** What an exponential or linear policy starts with when it does not say. */
const INITIAL_INTERVAL_MS = 1_000;

export function timestamp(ms: number): Timestamp {
  const seconds = Math.floor(ms / 1_000);
  return {
    $typeName: "google.protobuf.Timestamp",
    seconds: BigInt(seconds),
    nanos: Math.round((ms - seconds * 1_000) * 1e6),
  };
}

/** 0 stands for "not yet" in the model. */
export function timestampOrUnset(ms: number | undefined): Timestamp | undefined {
  return ms === undefined || ms === 0 ? undefined : timestamp(ms);
}

export function duration(ms: number): Duration {
  const seconds = Math.floor(ms / 1_000);
  return {
    $typeName: "google.protobuf.Duration",
    seconds: BigInt(seconds),
    nanos: Math.round((ms - seconds * 1_000) * 1e6),
  };
}

export function payloadIn(field: string, value: PayloadProto): Payload {
  const encoding = value.encoding === "" ? "json" : text(`${field}.encoding`, value.encoding, 64);
  if (value.ref === undefined) {
    const size = value.data.byteLength;
    if (size > BOUNDS.payloadBytes) throw payloadTooLarge(field, size, BOUNDS.payloadBytes);
    if (size > 0 && encoding === "void")
      throw invalid(field, "has the encoding `void` but contains data");
    return { encoding, data: value.data };
  }
  if (value.data.byteLength > 0) throw invalid(field, "has both `data` and `ref`");
  if (value.ref.size > BOUNDS.payloadBytes) {
    throw payloadTooLarge(field, value.ref.size, BOUNDS.payloadBytes);
  }
  const ref = { sha256: sha256(`${field}.ref.sha256`, value.ref.sha256), size: value.ref.size };
  return { encoding, ref };
}

export function requiredPayload(field: string, value: PayloadProto | undefined): Payload {
  if (value === undefined) {
    throw invalid(field, "must be set; a step without a result sends the encoding `void`");
  }
  return payloadIn(field, value);
}

/** JSON from outside, which is refused where it could not be shown again. */
export function jsonIn(field: string, data: Uint8Array): unknown {
  try {
    return parseJson(data, BOUNDS.jsonDepth);
  } catch (error) {
    throw error instanceof JsonError ? invalid(field, error.message) : error;
  }
}

/** For values that the server may have to read: JSON that is none is refused here. */
export function readablePayload(field: string, value: PayloadProto | undefined): Payload {
  if (value === undefined) return VOID;
  const payload = payloadIn(field, value);
  if (payload.data !== undefined && payload.encoding === "json") {
    if (payload.data.byteLength === 0)
      throw invalid(`${field}.data`, "is empty, which the encoding `json` does not allow");
    jsonIn(`${field}.data`, payload.data);
  }
  return payload;
}

/**
 * Data of more than 1 MiB leaves as a reference, for it to fit a message with its neighbours:
 * the payload table has it under its digest, as all data of more than 64 KiB.
 */
export function payloadOut(value: Payload): PayloadProto {
  if (value.data !== undefined && value.data.byteLength <= BOUNDS.payloadPieceBytes) {
    return { $typeName: "pawl.v1.Payload", data: value.data, encoding: value.encoding };
  }
  const ref = value.ref ?? { sha256: digestOf(value.data), size: value.data.byteLength };
  return create(PayloadSchema, { encoding: value.encoding, ref });
}

/** Fails with the longest prefix that fits: a report of a failure must not fail itself. */
function shorten(value: string, maxBytes: number): string {
  const clean = value.toWellFormed().replaceAll("\0", "\ufffd");
  if (clean.length * 3 <= maxBytes || Buffer.byteLength(clean) <= maxBytes) return clean;
  const bytes = Buffer.from(clean).subarray(0, maxBytes - 3);
  return `${bytes.toString("utf8").replace(/\ufffd+$/, "")}…`;
}

export function failureIn(field: string, value: FailureProto | undefined, depth = 0): Failure {
  if (value === undefined) throw invalid(field, "must be set");
  const details = value.details;
  const tooLarge = details !== undefined && details.data.byteLength > BOUNDS.documentBytes;
  const note = tooLarge ? ` (its details of ${details.data.byteLength} bytes were dropped)` : "";
  const retryAfter = value.retryAfter;
  const cause = depth + 1 < BOUNDS.failureCauses ? value.cause : undefined;
  return {
    type: shorten(value.type === "" ? "Error" : value.type, BOUNDS.nameBytes),
    message: shorten(value.message, BOUNDS.failureMessageBytes) + note,
    ...(value.stack !== "" && { stack: shorten(value.stack, BOUNDS.failureStackBytes) }),
    ...(cause !== undefined && { cause: failureIn(`${field}.cause`, cause, depth + 1) }),
    ...(value.nonRetryable && { nonRetryable: true }),
    ...(retryAfter && { retryAfterMs: durationMs(`${field}.retry_after`, retryAfter) }),
    ...(details !== undefined &&
      !tooLarge &&
      details.ref === undefined && {
        details: {
          encoding: text(`${field}.details.encoding`, details.encoding, 64) || "json",
          data: Buffer.from(details.data).toString("base64"),
        },
      }),
  };
}

export function failureOut(value: Failure): FailureProto {
  return create(FailureSchema, {
    type: value.type,
    message: value.message,
    stack: value.stack ?? "",
    nonRetryable: value.nonRetryable ?? false,
    ...(value.cause !== undefined && { cause: failureOut(value.cause) }),
    ...(value.retryAfterMs !== undefined && { retryAfter: duration(value.retryAfterMs) }),
    ...(value.details !== undefined && {
      details: {
        encoding: value.details.encoding,
        data: Buffer.from(value.details.data, "base64"),
      },
    }),
  });
}

function backoffIn(value: Backoff): RetryPolicy["backoff"] {
  switch (value) {
    case Backoff.UNSPECIFIED:
    case Backoff.EXPONENTIAL:
      return "exponential";
    case Backoff.LINEAR:
      return "linear";
    case Backoff.CONSTANT:
      return "constant";
    default:
      throw invalid("retry_policy.backoff", `${value} is not known to this server`);
  }
}

export function retryPolicyIn(value: RetryPolicyProto | undefined): RetryPolicy | undefined {
  if (value === undefined) return undefined;
  const field = (name: string): string => `retry_policy.${name}`;
  const ms = (name: string, at: Duration): number => durationMs(field(name), at);
  if (value.delays.length > LIST_MAX) throw invalid(field("delays"), `has over ${LIST_MAX} items`);
  if (value.nonRetryableTypes.length > LIST_MAX) {
    throw invalid(field("non_retryable_types"), `has over ${LIST_MAX} items`);
  }
  if (value.onExhausted > OnExhausted.PAUSE) {
    throw invalid(field("on_exhausted"), `${value.onExhausted} is not known to this server`);
  }
  return {
    maxAttempts: Math.max(1, value.maxAttempts),
    backoff: backoffIn(value.backoff),
    initialMs: value.initialInterval
      ? ms("initial_interval", value.initialInterval)
      : INITIAL_INTERVAL_MS,
    coefficient: number(field("coefficient"), value.coefficient, 0, 1_000) || 2,
    incrementMs: value.increment ? ms("increment", value.increment) : 0,
    ...(value.maxInterval && { maxMs: ms("max_interval", value.maxInterval) }),
    ...(value.maxElapsed && { maxElapsedMs: ms("max_elapsed", value.maxElapsed) }),
    jitter: number(field("jitter"), value.jitter, 0, 1),
    nonRetryableTypes: value.nonRetryableTypes.map((type) =>
      text(field("non_retryable_types"), type, BOUNDS.nameBytes),
    ),
    onExhausted: value.onExhausted === OnExhausted.PAUSE ? "pause" : "fail",
    delaysMs: value.delays.map((delay) => ms("delays", delay)),
    ...(value.maxCrashes > 0 && { maxCrashes: value.maxCrashes }),
  };
}

export function stepKindIn(value: StepKindProto): StepKind {
  switch (value) {
    case StepKindProto.UNSPECIFIED:
    case StepKindProto.STEP:
      return "step";
    case StepKindProto.SLEEP:
      return "sleep";
    case StepKindProto.SIGNAL:
      return "signal";
    case StepKindProto.CHILD:
      return "child";
    case StepKindProto.VALUE:
      return "value";
    case StepKindProto.USER:
      return "user";
    case StepKindProto.CALLBACK:
      return "callback";
    default:
      throw invalid("kind", `${value} is not known to this server`);
  }
}

const STEP_KINDS: Readonly<Record<StepKind, StepKindProto>> = {
  step: StepKindProto.STEP,
  sleep: StepKindProto.SLEEP,
  signal: StepKindProto.SIGNAL,
  child: StepKindProto.CHILD,
  value: StepKindProto.VALUE,
  user: StepKindProto.USER,
  callback: StepKindProto.CALLBACK,
};

export function stepKindOut(value: StepKind): StepKindProto {
  return STEP_KINDS[value];
}

const WAIT_KINDS: Readonly<Record<OpenWait["kind"], WaitKindProto>> = {
  sleep: WaitKindProto.SLEEP,
  signal: WaitKindProto.SIGNAL,
  child: WaitKindProto.CHILD,
  user: WaitKindProto.USER,
  callback: WaitKindProto.CALLBACK,
  retry: WaitKindProto.RETRY,
};

export function waitKindIn(field: string, value: WaitKindProto): WaitKind {
  const kind = KINDS_OF_WAITS.find((known) => WAIT_KINDS[known] === value);
  if (kind === undefined) throw invalid(field, `${value} is not one that this server knows`);
  return kind;
}

export function waitKindOut(value: OpenWait["kind"]): WaitKindProto {
  return WAIT_KINDS[value];
}

const OUTCOMES: Readonly<Record<WaitOutcome | ClosedWhy, WaitOutcomeProto>> = {
  fired: WaitOutcomeProto.FIRED,
  signalled: WaitOutcomeProto.SIGNALLED,
  completed: WaitOutcomeProto.COMPLETED,
  failed: WaitOutcomeProto.FAILED,
  timed_out: WaitOutcomeProto.TIMED_OUT,
  cancelled: WaitOutcomeProto.CANCELLED,
  answered: WaitOutcomeProto.ANSWERED,
  skipped: WaitOutcomeProto.SKIPPED,
  lost: WaitOutcomeProto.LOST,
  withdrawn: WaitOutcomeProto.WITHDRAWN,
};

export function outcomeOut(value: WaitOutcome | ClosedWhy | undefined): WaitOutcomeProto {
  return value === undefined ? WaitOutcomeProto.UNSPECIFIED : OUTCOMES[value];
}

/** The other way of `outcomeOut`, for what is recorded. */
export function outcomeIn(value: WaitOutcomeProto): WaitOutcome | undefined {
  return WAIT_OUTCOMES.find((known) => OUTCOMES[known] === value);
}

const STATUSES_OUT: Readonly<Record<RunStatus, RunStatusProto>> = {
  QUEUED: RunStatusProto.QUEUED,
  RUNNING: RunStatusProto.RUNNING,
  WAITING: RunStatusProto.WAITING,
  PAUSED: RunStatusProto.PAUSED,
  CANCELLING: RunStatusProto.CANCELLING,
  COMPLETED: RunStatusProto.COMPLETED,
  FAILED: RunStatusProto.FAILED,
  CANCELLED: RunStatusProto.CANCELLED,
};

export function statusIn(value: RunStatusProto): RunStatus {
  const status = RUN_STATUSES.find((known) => STATUSES_OUT[known] === value);
  if (status === undefined) throw invalid("statuses", `${value} is not a status of runs`);
  return status;
}

export function statusOut(value: RunStatus): RunStatusProto {
  return STATUSES_OUT[value];
}

const DIRECTIVES: Readonly<Record<Directive, DirectiveProto>> = {
  continue: DirectiveProto.CONTINUE,
  cancel: DirectiveProto.CANCEL,
  pause: DirectiveProto.PAUSE,
  yield: DirectiveProto.YIELD,
};

export function directiveOut(value: Directive): DirectiveProto {
  return DIRECTIVES[value];
}
