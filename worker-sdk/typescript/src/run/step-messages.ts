import { create } from "@bufbuild/protobuf";
import {
  type Payload,
  PayloadSchema,
  Recovery,
  type StepCompletedRequest,
  type StepFailedResponse_Retry,
  type StepStartedResponse_Conflict,
  type StepStartedResponse_Side,
  type StepStartedResponse_Wait,
} from "@pawl/proto";
import type { PayloadInit, ReceivedPayload } from "../codec/payload.ts";
import { durationFromMs, msFrom } from "../duration.ts";
import { NonDeterminismError, TerminalError } from "../errors.ts";
import type { FailureInit } from "../failure.ts";
import { limits } from "../limits.ts";
import { retryMessage } from "../policy/retry.ts";
import type { StepFailedInit, StepStartedInit } from "./link.ts";
import type { MemoRecord } from "./memo.ts";
import type { Run } from "./run.ts";
import type { StepCall } from "./step-settings.ts";

/** What all messages about a step begin with. */
function stepIdentity(run: Run, stepKey: string, call: StepCall) {
  const { input } = call;
  const identity = {
    runId: run.runId,
    fence: run.fence,
    stepKey,
    name: call.name,
    kind: call.kind,
    inputDigest: call.inputDigest,
    definitionDigest: call.settings.definitionDigest,
  };
  return input === undefined ? identity : { ...identity, input };
}

export function startMessage(run: Run, stepKey: string, call: StepCall): StepStartedInit {
  const { retry, timeoutMs, atMostOnce } = call.settings;
  return {
    ...stepIdentity(run, stepKey, call),
    recovery: atMostOnce ? Recovery.AT_MOST_ONCE : Recovery.RETRY,
    ...(retry === undefined ? {} : { retryPolicy: retryMessage(retry) }),
    ...(timeoutMs === undefined ? {} : { timeout: durationFromMs(timeoutMs) }),
  };
}

/** Complete, as `create` would make it: at the end of each step, filling in fields is what takes longest. */
export function completedMessage(
  run: Run,
  stepKey: string,
  call: StepCall,
  attempt: number,
  output: PayloadInit,
  latencyMs: number,
  deltas: number,
): StepCompletedRequest {
  return {
    $typeName: "pawl.v1.StepCompletedRequest",
    runId: run.runId,
    fence: run.fence,
    stepKey,
    attempt,
    output: payloadMessage(output),
    name: call.name,
    kind: call.kind,
    inputDigest: call.inputDigest,
    definitionDigest: call.settings.definitionDigest,
    startedAt: undefined,
    latencyMs,
    input: call.input === undefined ? undefined : payloadMessage(call.input),
    deltas,
  };
}

function payloadMessage(payload: PayloadInit): Payload {
  const { data, encoding, ref } = payload;
  if (data === undefined || encoding === undefined || ref !== undefined)
    return create(PayloadSchema, payload);
  return { $typeName: "pawl.v1.Payload", data, encoding, ref: undefined };
}

export function failedMessage(
  run: Run,
  stepKey: string,
  call: StepCall,
  attempt: number,
  failure: FailureInit,
  latencyMs: number,
  deltas: number,
): StepFailedInit {
  const { retry } = call.settings;
  return {
    ...stepIdentity(run, stepKey, call),
    attempt,
    failure,
    latencyMs,
    deltas,
    ...(retry === undefined ? {} : { retryPolicy: retryMessage(retry) }),
  };
}

/** A payload that was sent, as it will be read. */
export function sentPayload({ data, encoding = "", ref }: PayloadInit): ReceivedPayload {
  return {
    data: data ?? new Uint8Array(0),
    encoding,
    ref: ref === undefined ? undefined : { sha256: ref.sha256 ?? "", size: ref.size ?? 0 },
  };
}

/** How long to wait for the next attempt. */
export function retryDelayMs({ delay, at }: StepFailedResponse_Retry, serverNowMs: number): number {
  if (delay !== undefined) return msFrom(delay);
  return at === undefined ? 0 : Math.max(0, msFrom(at) - serverNowMs);
}

const noDetails = Object.freeze({});

/** The record of a step, as the journal will have it. */
export function stepRecord(
  call: StepCall,
  end: Pick<MemoRecord, "seq" | "attempt" | "payload" | "failure">,
): MemoRecord {
  return {
    ...end,
    late: false,
    kind: call.kind,
    outcome: "",
    details: noDetails,
    inputDigest: call.inputDigest,
    definitionDigest: call.settings.definitionDigest,
    childRunId: "",
  };
}

function describe(side: StepStartedResponse_Side | undefined): string {
  return `${side?.name ?? "nothing"} with input ${side?.inputDigest.slice(0, 12) || "none"}`;
}

/** The platform has the step under the same key, with other content. */
export function conflictError(
  stepKey: string,
  call: StepCall,
  { recorded, attempted }: StepStartedResponse_Conflict,
): NonDeterminismError {
  return new NonDeterminismError({
    stepKey,
    recorded: describe(recorded),
    attempted: attempted === undefined ? call.name : describe(attempted),
    likelyCause: "the step's arguments or definition are not those of the recorded one",
  });
}

export function unknownAnswer(): TerminalError {
  return new TerminalError(
    "the platform answered the start of a step with nothing that this SDK knows",
  );
}

/** How long to wait before the start is asked for again. */
export function waitMs({ until }: StepStartedResponse_Wait, serverNowMs: number): number {
  return Math.max(20, until === undefined ? limits.hotWaitMs : msFrom(until) - serverNowMs);
}
