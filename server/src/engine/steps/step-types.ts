/** What a worker says about a step, and what it is told to do. */
import type { Entry, Failure, StepKind, WaitOutcome } from "../../model/entry.ts";
import type { Payload } from "../../model/payload.ts";
import type { RetryPolicy } from "../../model/retry.ts";
import type { CallbackAddress, WaitSpec } from "../waits/wait-types.ts";

/** What names a step, in every message about one. */
export interface StepIdentity {
  readonly runId: string;
  readonly fence: number;
  readonly key: string;
  /** Empty: the key. */
  readonly name: string;
  readonly kind: StepKind;
  readonly inputDigest: string;
  readonly definitionDigest: string;
  readonly input?: Payload | undefined;
}

export interface StepStarted extends StepIdentity {
  readonly retryPolicy?: RetryPolicy | undefined;
  readonly timeoutMs?: number | undefined;
  readonly atMostOnce: boolean;
  readonly wait?: WaitSpec | undefined;
  /** The same id again gets the same answer, such as `execute` after a lost reply; may be empty. */
  readonly requestId: string;
}

export interface StepCompleted extends StepIdentity {
  readonly attempt: number;
  readonly output: Payload;
  readonly latencyMs: number;
  /** The number of the run's latest delta under this fence, where the attempt has sent any; or 0. */
  readonly deltas?: number;
}

export interface StepFailed extends StepIdentity {
  readonly attempt: number;
  readonly failure: Failure;
  readonly latencyMs: number;
  readonly retryPolicy?: RetryPolicy | undefined;
  /** Same as `StepCompleted.deltas`. */
  readonly deltas?: number;
  /** The attempt was stopped, which is not a failure. */
  readonly cancelled?: true;
}

export type Directive = "continue" | "cancel" | "pause" | "yield";

export interface StepSide {
  readonly name: string;
  readonly kind: StepKind;
  readonly inputDigest: string;
  readonly definitionDigest: string;
  readonly input?: Payload | undefined;
}

export type StepOutcome =
  | { readonly kind: "execute"; readonly attempt: number; readonly idempotencyKey: string }
  | {
      readonly kind: "replay";
      readonly seq: number;
      readonly output?: Payload;
      readonly failure?: Failure;
      readonly outcome?: WaitOutcome;
      /** The entry, where it ended a wait. */
      readonly resolved?: Entry;
      readonly callback?: CallbackAddress;
    }
  | {
      readonly kind: "wait";
      readonly until?: number;
      readonly why: "in_progress" | "backoff" | "wait";
      readonly attempt: number;
      readonly callback?: CallbackAddress;
    }
  | { readonly kind: "conflict"; readonly recorded: StepSide; readonly attempted: StepSide }
  | { readonly kind: "unknown_outcome"; readonly attempt: number; readonly startedAt: number }
  | {
      readonly kind: "stop";
      readonly reason: "LEASE_LOST" | "RUN_CANCELLED" | "RUN_PAUSED" | "RUN_TERMINAL";
      readonly fence: number;
    };

export interface StepStartedReply {
  readonly outcome: StepOutcome;
  /** The id of a wait. */
  readonly waitId?: string;
  readonly directive: Directive;
}

export interface StepCompletedReply {
  readonly directive: Directive;
  readonly seq: number;
}

export interface StepFailedReply {
  readonly next:
    | {
        readonly kind: "retry";
        readonly at: number;
        readonly attempt: number;
        readonly delayMs: number;
      }
    | { readonly kind: "final"; readonly action: "throw" | "pause" };
  readonly directive: Directive;
  readonly seq: number;
}

export interface ListSteps {
  readonly runId: string;
  readonly pageSize: number;
  /** Empty: the first page. */
  readonly pageToken: string;
}
