/** Runs in the model's words: what the edge asks of the engine and shows to people and programs. */
import type { FlowControl } from "../../model/admission.ts";
import type { Failure } from "../../model/entry.ts";
import type { Payload } from "../../model/payload.ts";
import type { OpenWait, RunHeader, RunStatus, StatusReason } from "../../model/run.ts";
import type { WorkItem } from "../workers/worker-types.ts";

/** A run as people and programs see it. */
export interface RunView {
  readonly header: RunHeader;
  /** What is going on and what to do next, where that is not plain from the status. */
  readonly reason: StatusReason;
  readonly detail: string;
  readonly input?: Payload;
  readonly output?: Payload;
  readonly failure?: Failure;
  /** What is open beside what a worker executes now. */
  readonly waits?: readonly OpenWait[];
}

export interface StartRun {
  readonly workflow: string;
  readonly input: Payload;
  /** Empty: chosen by the server. */
  readonly runId: string;
  readonly idempotencyKey: string;
  readonly queue: string;
  readonly priority: number;
  readonly version: string;
  readonly sessionId: string;
  readonly userId: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly runTimeoutMs?: number;
  readonly queueTimeoutMs?: number;
  readonly delayMs?: number;
  /** In ms since the epoch. */
  readonly startAt?: number;
  readonly parent?: {
    readonly runId: string;
    readonly key: string;
    readonly fence: number;
    /** It is cancelled when its parent ends before it; default: it continues. */
    readonly close?: "cancel";
  };
  readonly traceparent: string;
  /** Joins starts of the workflow with the same key into one run. */
  readonly debounce?: {
    readonly key: string;
    readonly periodMs: number;
    readonly maxWaitMs?: number;
  };
  /** Replaces what the workflow declares, limit by limit. */
  readonly flow?: Partial<FlowControl>;
  readonly claim: boolean;
  /** The worker that executes it; used together with `claim`. */
  readonly workerId: string;
}

export interface StartedRun {
  readonly run: RunView;
  readonly existing: boolean;
  readonly claimed?: WorkItem;
}

export interface ListRuns {
  readonly statuses: readonly RunStatus[];
  readonly workflow: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly parentRunId: string;
  readonly pageSize: number;
  readonly pageToken: string;
}

export interface WaitRun {
  readonly runId: string;
  readonly timeoutMs: number;
}

export interface GetJournal {
  readonly runId: string;
  readonly afterSeq: number;
  readonly entriesMax: number;
}

/** How a run is cancelled. */
export interface CancelOptions {
  readonly reason: string;
  readonly graceMs: number;
  /** At once, without a clean-up. Default: no. */
  readonly force?: boolean;
}

export interface CancelRun extends CancelOptions {
  readonly runId: string;
}

export interface UpdateTags {
  readonly runId: string;
  readonly set: Readonly<Record<string, string>>;
  readonly remove: readonly string[];
}
