import type { Failure } from "./entry.ts";

/** When a failed attempt is tried again. Times in ms. */
export interface RetryPolicy {
  /** Including the first; 0 and 1: no retry. */
  readonly maxAttempts: number;
  readonly backoff: "exponential" | "linear" | "constant";
  readonly initialMs: number;
  /** Used by exponential backoff. */
  readonly coefficient: number;
  /** Used by linear backoff. */
  readonly incrementMs: number;
  /** Caps each delay. */
  readonly maxMs?: number;
  /** No attempt starts later than this after the first one. */
  readonly maxElapsedMs?: number;
  /** 0 to 1: a delay is multiplied by a factor between 1 - jitter and 1. */
  readonly jitter: number;
  readonly nonRetryableTypes: readonly string[];
  readonly onExhausted: "fail" | "pause";
  /** Explicit delays instead of a formula; the last one repeats. */
  readonly delaysMs: readonly number[];
  /** How many deaths of workers in the middle of the step pause its run. Default: CRASHES_DEFAULT. */
  readonly maxCrashes?: number;
}

export const CRASHES_DEFAULT = 3;

export const NO_RETRY: RetryPolicy = Object.freeze({
  maxAttempts: 1,
  backoff: "constant",
  initialMs: 0,
  coefficient: 2,
  incrementMs: 0,
  jitter: 0,
  nonRetryableTypes: [],
  onExhausted: "fail",
  delaysMs: [],
});

/** A delay of more than ten years is a mistake in a formula, and overflows dates. */
const DELAY_MAX_MS = 10 * 365 * 86_400_000;

/**
 * The delay after the n-th failed attempt, n from 1, before jitter:
 * exponential `initial × coefficient^(n-1)`, linear `initial + increment × (n-1)`, constant `initial`.
 */
export function delayAfter(policy: RetryPolicy, failures: number): number {
  const delay = Math.min(rawDelay(policy, failures), policy.maxMs ?? DELAY_MAX_MS, DELAY_MAX_MS);
  return Number.isFinite(delay) && delay > 0 ? delay : 0;
}

function rawDelay(policy: RetryPolicy, failures: number): number {
  const explicit = policy.delaysMs[Math.min(failures, policy.delaysMs.length) - 1];
  if (explicit !== undefined) return explicit;
  switch (policy.backoff) {
    case "exponential":
      return policy.initialMs * policy.coefficient ** (failures - 1);
    case "linear":
      return policy.initialMs + policy.incrementMs * (failures - 1);
    case "constant":
      return policy.initialMs;
  }
}

export type RetryVerdict =
  | { readonly kind: "retry"; readonly at: number }
  | { readonly kind: "final"; readonly exhausted: boolean };

/**
 * What follows a failed attempt.
 *
 * @param failures failed attempts so far, with this one
 * @param firstAt when the first attempt started, in ms since the epoch
 * @param random between 0 and 1, for the jitter
 */
export function afterFailure(
  policy: RetryPolicy,
  failure: Failure,
  failures: number,
  firstAt: number,
  now: number,
  random: number,
): RetryVerdict {
  if (failure.nonRetryable === true || policy.nonRetryableTypes.includes(failure.type)) {
    return { kind: "final", exhausted: false };
  }
  if (failures >= policy.maxAttempts) return { kind: "final", exhausted: true };
  const jittered = delayAfter(policy, failures) * (1 - policy.jitter * random);
  const at = now + Math.round(failure.retryAfterMs ?? jittered);
  if (policy.maxElapsedMs !== undefined && at > firstAt + policy.maxElapsedMs) {
    return { kind: "final", exhausted: true };
  }
  return { kind: "retry", at };
}
