/** What a worker reports about a run as a whole. */
import type { Entry, Failure, StepKind } from "../../model/entry.ts";
import type { Payload } from "../../model/payload.ts";
import type { WaitTree } from "../../model/run.ts";
import type { Directive } from "../steps/step-types.ts";
import type { WaitSpec } from "../waits/wait-types.ts";

export interface NewWait {
  readonly key: string;
  readonly name: string;
  readonly kind: StepKind;
  readonly wait: WaitSpec;
}

export interface SuspendRun {
  readonly runId: string;
  readonly fence: number;
  readonly waits: readonly NewWait[];
  readonly tree?: WaitTree | undefined;
  /** All that the code waits for; undefined: not said. */
  readonly held?: readonly string[] | undefined;
  /** Recorded steps that the code has passed over, where the worker says so. */
  readonly unconsumed?: readonly string[];
}

/** Waits that the code has given up. */
export interface CloseWaits {
  readonly runId: string;
  readonly fence: number;
  readonly keys: readonly string[];
}

/** What a clean-up is going to undo, in this order. */
export interface BeginCleanUp {
  readonly runId: string;
  readonly fence: number;
  readonly compensations: readonly string[];
}

export interface SuspendReply {
  readonly resumed: boolean;
  readonly directive: Directive;
  readonly resolved: readonly Entry[];
}

export interface CompleteRun {
  readonly runId: string;
  readonly fence: number;
  readonly output: Payload;
  readonly unconsumed: readonly string[];
  /** The worker reports the run by a span. Default: no. */
  readonly traced?: boolean;
}

export interface NonDeterminism {
  readonly stepKey: string;
  readonly recorded: string;
  readonly attempted: string;
  readonly likelyCause: string;
}

export interface FailRun {
  readonly runId: string;
  readonly fence: number;
  readonly failure: Failure;
  readonly failedStepKeys: readonly string[];
  readonly nonDeterminism?: NonDeterminism | undefined;
  /** The worker reports the run by a span. Default: no. */
  readonly traced?: boolean;
}

export interface OutcomeReply {
  readonly directive: Directive;
}
