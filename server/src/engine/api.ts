/**
 * The use cases of the engine in the model's words. `rpc/` and `http/` convert the wire to
 * these and back; nothing here knows protobuf.
 */
import type { Caller } from "../model/caller.ts";
import type { Entry, EntryHead, Failure, StepKind, WaitOutcome } from "../model/entry.ts";
import type { FlowControl } from "../model/flow.ts";
import type { Payload, PayloadRef } from "../model/payload.ts";
import type { RetryPolicy } from "../model/retry.ts";
import type { OpenWait, RunHeader, RunState, StatusReason, WaitTree } from "../model/run.ts";
import type { CallbackAddress, WaitSpec, WaitsApi } from "./api-waits.ts";
import type {
  ListEvents,
  ListSignals,
  ListSteps,
  NewEvent,
  Published,
  RunEvent,
  RunsEvents,
  SignalView,
  WatchRun,
  WatchRuns,
} from "./event-api.ts";

export type * from "./event-api.ts";

/** A run as people and programs see it. */
export interface RunView {
  readonly header: RunHeader;
  /** What is going on and what to do next, where that is not plain from the state. */
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
  /** Who executes it, with `claim`. */
  readonly workerId: string;
}

export interface StartedRun {
  readonly run: RunView;
  readonly existing: boolean;
  readonly claimed?: WorkItem;
}

/** A run handed to a worker. */
export interface WorkItem {
  readonly header: RunHeader;
  readonly leaseUntil: number;
  readonly input: Payload;
  /** From the first entry, `payloadSeq` already resolved. */
  readonly journal: readonly Entry[];
  readonly more: boolean;
  /** Every start is to be recorded before its step starts, until an end of a step or wait is. */
  readonly careful?: boolean;
  /** No step may begin before it was asked for: the run is only replayed. */
  readonly confirmStarts?: boolean;
}

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
  /** Of a wait. */
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

export interface WorkflowSpec {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  /** JSON Schema as JSON text; empty: none. */
  readonly inputSchema: string;
  readonly outputSchema: string;
  /** JSON text of an object. */
  readonly metadata: string;
  /** The limits of its runs as JSON text; empty: none. */
  readonly flow: string;
  /** The time limits of its runs (`RunTimeouts`) as JSON text; empty: none. */
  readonly timeouts: string;
}

export interface WorkerInfo {
  readonly workerId: string;
  readonly instanceId: string;
  readonly language: string;
  readonly sdkVersion: string;
  readonly buildVersion: string;
  readonly workflows: readonly WorkflowSpec[];
  /** Never empty. */
  readonly queues: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly slots: number;
}

export interface HeldLease {
  readonly runId: string;
  readonly fence: number;
}

export interface LeaseAnswer {
  readonly runId: string;
  readonly status: "renewed" | "lost" | "cancel" | "pause";
  readonly fence: number;
  readonly until: number;
}

/** What the engine sends down a session. Implemented by the transport; never throws, never blocks. */
export interface SessionSink {
  dispatch(item: WorkItem): void;
  cancel(runId: string, fence: number, reason: string, graceMs: number): void;
  pause(runId: string, fence: number): void;
  waitResolved(runId: string, fence: number, entry: Entry): void;
  /**
   * Frames that report a run's later entries are held back until the returned function is called.
   */
  reserve(runId: string, seq: number): () => void;
  /** The same until the holder's request about that step or wait is answered, if there is one. */
  reserveReply(runId: string, key: string, seq: number): void;
  /** `renewed` is undefined where this is not the answer to a heartbeat. */
  leaseResults(results: readonly LeaseAnswer[], renewed: number | undefined): void;
  /** The server is going away. */
  drain(): void;
  /** The stream is of no more use: the worker is replaced by a newer connection of the same instance. */
  close(reason: string): void;
}

/** One worker connection. */
export interface WorkerSession {
  readonly sessionId: string;
  /** On whose behalf its frames are. */
  readonly caller: Caller;
  /** Of the leases named in Hello, those that are still the worker's. */
  readonly survived: readonly {
    readonly runId: string;
    readonly fence: number;
    readonly attempt: number;
    readonly until: number;
  }[];
  credits(count: number): void;
  ack(runId: string, fence: number): void;
  nack(runId: string, fence: number, reason: string): void;
  /** Renews the leases; the answers go down the sink. */
  heartbeat(): Promise<void>;
  draining(): void;
  /**
   * A start that rides ahead of its completion: shown live, written once it has run for a while.
   * Used for STEP and VALUE kinds that are not at-most-once and whose reply nobody awaits.
   */
  stepStartedLive(started: StepStarted): void;
  /** The stream has ended; leases are released after a grace unless the instance comes back. */
  closed(): void;
}

export interface ListRuns {
  readonly states: readonly RunState[];
  readonly workflow: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly parentRunId: string;
  readonly pageSize: number;
  readonly pageToken: string;
}

export interface WorkflowView {
  readonly spec: WorkflowSpec;
  readonly versions: readonly string[];
  readonly servedBy: readonly string[];
  readonly registeredAt: number;
}

export interface WorkerView {
  readonly info: WorkerInfo;
  readonly connected: boolean;
  readonly seenAt: number;
  readonly inFlight: number;
}

/** Everything that the outside can ask of the engine. Rejects with PawlError. */
export interface EngineApi extends WaitsApi {
  startRun(caller: Caller, start: StartRun): Promise<StartedRun>;
  getRun(caller: Caller, runId: string, view?: "basic" | "full"): Promise<RunView>;
  waitRun(caller: Caller, runId: string, timeoutMs: number, signal: AbortSignal): Promise<RunView>;
  listRuns(caller: Caller, list: ListRuns): Promise<{ runs: RunView[]; nextPageToken: string }>;
  getJournal(
    caller: Caller,
    runId: string,
    afterSeq: number,
    entriesMax: number,
  ): Promise<{ entries: Entry[]; more: boolean }>;
  /** `force`: at once, without a clean-up. */
  cancelRun(
    caller: Caller,
    runId: string,
    reason: string,
    graceMs: number,
    force: boolean,
  ): Promise<RunView>;
  pauseRun(caller: Caller, runId: string, reason: string): Promise<RunView>;
  resumeRun(caller: Caller, runId: string): Promise<RunView>;
  retryRun(caller: Caller, runId: string): Promise<RunView>;
  deleteRun(caller: Caller, runId: string): Promise<void>;
  updateTags(
    caller: Caller,
    runId: string,
    set: Readonly<Record<string, string>>,
    remove: readonly string[],
  ): Promise<RunView>;

  stepStarted(caller: Caller, started: StepStarted): Promise<StepStartedReply>;
  stepCompleted(caller: Caller, completed: StepCompleted): Promise<StepCompletedReply>;
  stepFailed(caller: Caller, failed: StepFailed): Promise<StepFailedReply>;
  getStep(caller: Caller, runId: string, key: string): Promise<Entry | undefined>;
  listSteps(
    caller: Caller,
    list: ListSteps,
  ): Promise<{ steps: EntryHead[]; nextPageToken: string }>;

  suspendRun(caller: Caller, suspend: SuspendRun): Promise<SuspendReply>;
  completeRun(caller: Caller, complete: CompleteRun): Promise<OutcomeReply>;
  failRun(caller: Caller, fail: FailRun): Promise<OutcomeReply>;
  closeWaits(caller: Caller, close: CloseWaits): Promise<OutcomeReply>;
  beginCleanUp(caller: Caller, begin: BeginCleanUp): Promise<OutcomeReply>;

  /** Rejects with VERSION_UNSUPPORTED or INVALID_ARGUMENT for a Hello that cannot be served. */
  openSession(
    caller: Caller,
    worker: WorkerInfo,
    held: readonly HeldLease[],
    sink: SessionSink,
  ): Promise<WorkerSession>;
  pollWork(
    caller: Caller,
    worker: WorkerInfo,
    max: number,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<WorkItem[]>;
  heartbeatLeases(caller: Caller, leases: readonly HeldLease[]): Promise<LeaseAnswer[]>;
  listWorkers(caller: Caller): Promise<WorkerView[]>;
  listWorkflows(caller: Caller): Promise<WorkflowView[]>;
  getWorkflow(caller: Caller, name: string): Promise<WorkflowView>;

  sendSignal(
    caller: Caller,
    runId: string,
    name: string,
    signalId: string,
    payload: Payload,
    actor: string,
  ): Promise<{ signalId: string; duplicate: boolean }>;
  listSignals(
    caller: Caller,
    list: ListSignals,
  ): Promise<{ signals: SignalView[]; nextPageToken: string }>;

  /**
   * Takes deltas at once; returns when they are on record, or were dropped. They come before
   * whatever is written about the run from now on.
   *
   * @param first the number of the first event under this fence; 0: counted here
   */
  publishEvents(
    caller: Caller,
    runId: string,
    fence: number,
    events: readonly (NewEvent | undefined)[],
    first: number,
  ): Promise<Published>;
  /** Where a watcher starts that wants only what is new from now on. */
  cursorNow(caller: Caller, watch: WatchRun): Promise<string>;
  /** Batches of events in order; ends after the terminal event, or when `signal` fires. */
  watchRun(
    caller: Caller,
    watch: WatchRun,
    signal: AbortSignal,
  ): AsyncIterable<readonly RunEvent[]>;
  listEvents(caller: Caller, list: ListEvents): Promise<{ events: RunEvent[]; nextCursor: string }>;
  /** Never ends by itself, until `signal` fires. */
  watchRuns(caller: Caller, watch: WatchRuns, signal: AbortSignal): AsyncIterable<RunsEvents>;

  putPayload(caller: Caller, data: Uint8Array): Promise<PayloadRef>;
  getPayload(
    caller: Caller,
    sha256: string,
    offset: number,
    limit: number,
  ): Promise<{ data: Uint8Array; size: number }>;

  /** Whether the store answers. */
  ready(): boolean;
}
