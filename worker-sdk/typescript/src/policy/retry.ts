import type { MessageInitShape } from "@bufbuild/protobuf";
import type { DurationSchema } from "@bufbuild/protobuf/wkt";
import { Backoff as BackoffKind, OnExhausted, type RetryPolicySchema } from "@pawl/proto";
import { type Duration, durationFromMs, durationMs, msFrom } from "../duration.ts";
import { UsageError } from "../errors.ts";
import { refuseUnknown, wholeNumber } from "../lib/options.ts";
import { limits } from "../limits.ts";
import { type Backoff, delays, exponential } from "./backoff.ts";

/** How a failed step is retried. A step without these options has one attempt. */
export interface RetryOptions {
  /** The number of attempts, including the first. Default: 3. After the last one `onExhausted` applies. */
  readonly maxAttempts?: number;
  /**
   * The delay before the next attempt. Default: `exponential()`, which gives an overloaded service more time
   * with each attempt. A list has the delays in order, and its last one repeats; a function receives the number
   * of failed attempts (from 1) and returns seconds. Delays over 2 s hold no worker.
   */
  readonly backoff?: Backoff | readonly Duration[] | ((failedAttempts: number) => number);
  /** No attempt starts later than this after the first one. Default: no limit. */
  readonly maxElapsed?: Duration;
  /**
   * 0 to 1: each delay is multiplied by a random factor between 1 - jitter and 1. Default: 0, so that delays
   * are predictable. Set it if many runs fail at the same time and would retry at the same time.
   */
  readonly jitter?: number;
  /** The names of error classes that are not retried. Default: none. `TerminalError` is never retried. */
  readonly nonRetryable?: readonly string[];
  /**
   * What happens when no attempt is left: `fail` throws the error into the workflow; `pause` pauses the run
   * (RETRIES_EXHAUSTED) until an operator fixes the cause and retries it. Default: `fail`.
   */
  readonly onExhausted?: "fail" | "pause";
  /**
   * The number of worker crashes during the step after which its run is paused (CRASH_LOOP). Crashes do not
   * count as attempts, because they say nothing about the step. Default: 3, so that a step that crashes its
   * worker does not take down every worker in turn.
   */
  readonly maxCrashes?: number;
}

/** The number of attempts, or detailed options. */
export type Retry = number | RetryOptions;

/** A retry policy, complete and checked. */
export interface RetryPolicy {
  readonly maxAttempts: number;
  readonly backoff: Backoff;
  readonly maxElapsedMs: number | undefined;
  readonly jitter: number;
  readonly nonRetryable: readonly string[];
  readonly onExhausted: "fail" | "pause";
  readonly maxCrashes: number | undefined;
}

const known = {
  maxAttempts: true,
  backoff: true,
  maxElapsed: true,
  jitter: true,
  nonRetryable: true,
  onExhausted: true,
  maxCrashes: true,
} satisfies Record<keyof RetryOptions, true>;

function isList(backoff: RetryOptions["backoff"]): backoff is readonly Duration[] {
  return Array.isArray(backoff);
}

function resolveBackoff(backoff: RetryOptions["backoff"], maxAttempts: number): Backoff {
  if (backoff === undefined) return exponential();
  if (isList(backoff)) return delays(backoff);
  if (typeof backoff !== "function") return backoff;
  const count = Math.max(1, Math.min(maxAttempts - 1, limits.delaysMax));
  return delays(Array.from({ length: count }, (_, i) => ({ seconds: backoff(i + 1) })));
}

/** Completes retry options; throws UsageError for what makes no sense. */
export function resolveRetry(retry: Retry): RetryPolicy {
  const options: RetryOptions = typeof retry === "number" ? { maxAttempts: retry } : retry;
  refuseUnknown(options, known, "a retry option");
  const { maxAttempts = 3, jitter = 0, nonRetryable = [], onExhausted = "fail" } = options;
  wholeNumber("maxAttempts, which counts the first attempt too,", maxAttempts, 1, 1_000_000);
  if (options.maxCrashes !== undefined) wholeNumber("maxCrashes", options.maxCrashes, 1, 1_000);
  if (!(jitter >= 0 && jitter <= 1))
    throw new UsageError(`jitter is between 0 and 1; it is ${jitter}`);
  return {
    maxAttempts,
    backoff: resolveBackoff(options.backoff, maxAttempts),
    maxElapsedMs: options.maxElapsed === undefined ? undefined : durationMs(options.maxElapsed),
    jitter,
    nonRetryable,
    onExhausted,
    maxCrashes: options.maxCrashes,
  };
}

function backoffMessage(backoff: Backoff) {
  switch (backoff.kind) {
    case "exponential":
      return {
        backoff: BackoffKind.EXPONENTIAL,
        initialInterval: durationFromMs(backoff.initialMs),
        coefficient: backoff.coefficient,
        ...(backoff.maxMs === undefined ? {} : { maxInterval: durationFromMs(backoff.maxMs) }),
      };
    case "linear":
      return {
        backoff: BackoffKind.LINEAR,
        initialInterval: durationFromMs(backoff.initialMs),
        increment: durationFromMs(backoff.incrementMs),
        ...(backoff.maxMs === undefined ? {} : { maxInterval: durationFromMs(backoff.maxMs) }),
      };
    case "constant":
      return { backoff: BackoffKind.CONSTANT, initialInterval: durationFromMs(backoff.initialMs) };
    case "delays":
      return { delays: backoff.delaysMs.map(durationFromMs) };
  }
}

/** The policy as the server wants it. */
export function retryMessage(policy: RetryPolicy): MessageInitShape<typeof RetryPolicySchema> {
  return {
    maxAttempts: policy.maxAttempts,
    ...backoffMessage(policy.backoff),
    ...(policy.maxElapsedMs === undefined
      ? {}
      : { maxElapsed: durationFromMs(policy.maxElapsedMs) }),
    jitter: policy.jitter,
    nonRetryableTypes: [...policy.nonRetryable],
    onExhausted: policy.onExhausted === "pause" ? OnExhausted.PAUSE : OnExhausted.FAIL,
    maxCrashes: policy.maxCrashes ?? 0,
  };
}

type PolicyMessage = MessageInitShape<typeof RetryPolicySchema>;

function cap(ms: number, policy: PolicyMessage): number {
  return policy.maxInterval === undefined ? ms : Math.min(ms, initMs(policy.maxInterval));
}

function initMs(duration: MessageInitShape<typeof DurationSchema> | undefined): number {
  return msFrom({ seconds: duration?.seconds ?? 0n, nanos: duration?.nanos ?? 0 });
}

/**
 * The delay after the n-th failed attempt (from 1), in ms, before jitter. The
 * server does this sum; a run without a server does it here.
 */
export function policyDelayMs(policy: PolicyMessage, failedAttempts: number): number {
  const { delays: list = [] } = policy;
  if (list.length > 0) return initMs(list[Math.min(failedAttempts, list.length) - 1]);
  const initialMs = initMs(policy.initialInterval);
  switch (policy.backoff) {
    case BackoffKind.EXPONENTIAL:
      return cap(initialMs * (policy.coefficient || 2) ** (failedAttempts - 1), policy);
    case BackoffKind.LINEAR:
      return cap(initialMs + initMs(policy.increment) * (failedAttempts - 1), policy);
    default:
      return cap(initialMs, policy);
  }
}
