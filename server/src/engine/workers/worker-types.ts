/** Workers, what they are given, and the connection in between. */
import type { Caller } from "../../model/caller.ts";
import type { Entry } from "../../model/entry.ts";
import type { Payload } from "../../model/payload.ts";
import type { RunHeader } from "../../model/run.ts";
import type { StepStarted } from "../steps/step-types.ts";

/** A run handed to a worker. */
export interface WorkItem {
  readonly header: RunHeader;
  readonly leaseUntil: number;
  readonly input: Payload;
  /** All entries from the first, with `payloadSeq` already resolved. */
  readonly journal: readonly Entry[];
  readonly more: boolean;
  /** Every start is to be recorded before its step starts, until an end of a step or wait is. */
  readonly careful?: boolean;
  /** No step may begin before it was asked for: the run is only replayed. */
  readonly confirmStarts?: boolean;
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

/** A worker that comes with a connection, and the leases that it brings along. */
export interface AttachWorker {
  readonly worker: WorkerInfo;
  readonly held: readonly HeldLease[];
}

/** A worker that asks for at most `max` runs. */
export interface PollWork {
  readonly worker: WorkerInfo;
  readonly max: number;
  readonly waitMs: number;
}

export interface LeaseAnswer {
  readonly runId: string;
  readonly status: "renewed" | "lost" | "cancel" | "pause";
  readonly fence: number;
  readonly until: number;
}

/** What the engine sends down a connection. Implemented by the transport; never throws, never blocks. */
export interface ConnectionSink {
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
export interface WorkerConnection {
  readonly connectionId: string;
  /** The caller on whose behalf it sends its frames. */
  readonly caller: Caller;
  /** Those of the leases named in Hello that are still the worker's. */
  readonly survived: readonly {
    readonly runId: string;
    readonly fence: number;
    readonly attempt: number;
    readonly until: number;
  }[];
  credits(count: number): void;
  ack(runId: string, fence: number): void;
  nack(runId: string, fence: number, reason: string): void;
  /**
   * Renews the leases; the answers go down the sink.
   *
   * @param held the runs that the worker says it holds; undefined if it does not say
   */
  heartbeat(held?: readonly HeldLease[]): Promise<void>;
  draining(): void;
  /**
   * A start that rides ahead of its completion: shown live, written once it has run for a while.
   * Used for STEP and VALUE kinds that are not at-most-once and whose reply nobody awaits.
   */
  stepStartedLive(started: StepStarted): void;
  /** The stream has ended; leases are released after a grace unless the instance comes back. */
  closed(): void;
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
