import type { Tenant } from "../model/caller.ts";
import type { Entry, EntryHead } from "../model/entry.ts";
import type { PayloadBlob, PayloadRef } from "../model/payload.ts";
import type { Lease, RunHeader, RunState } from "../model/run.ts";
import type { DeltaStore, NewChunk, Written } from "./deltas.ts";
import type { FlowStore, FlowWrite, ReadyQueue } from "./flow.ts";
import type { HeaderPatch } from "./run-columns.ts";
import type { RunVersion } from "./version.ts";
import type { WaitChanges, WaitFilter, WaitPage } from "./wait.ts";

/**
 * What the engine needs of a database, and all that it knows of one.
 *
 * Invariants, upheld by every implementation and tested by one suite:
 *
 * 1. `commit` is one transaction, durable before it returns (fsync, synchronous commit).
 * 2. A write is applied only if the run's fence and seq are the expected ones (or, for a new
 *    run, if there is none); otherwise nothing of that write is applied, the others are.
 * 3. A run is claimed by at most one slot; a claim raises its fence and attempt by one.
 * 4. Journal entries of a run are numbered without a gap.
 * 5. Every key starts with the organization.
 *
 * All times are in ms since the epoch and come from the caller. A method rejects with
 * `StoreError`; after a rejected `commit` it is unknown whether it was applied, and the engine
 * finds out by reading again.
 */
export interface Store extends DeltaStore, FlowStore {
  readonly kind: "sqlite" | "postgres";
  /** Whether several servers may share it. */
  readonly replicas: boolean;

  /** Applies the writes, then the claims, in one transaction. */
  commit(batch: Batch): Promise<BatchResult>;

  /** Headers with their leases, and the journal heads after `afterSeq`; `undefined` where there is no run. */
  loadRuns(refs: readonly LoadRef[]): Promise<(LoadedRun | undefined)[]>;
  /** Whole entries in order. At least one if there is any, then up to the limits. */
  readJournal(caller: Tenant, runId: string, after: number, limit: PageLimit): Promise<JournalPage>;
  /** Whole entries by seq, in the order asked, `undefined` where missing. */
  readEntries(
    caller: Tenant,
    runId: string,
    seqs: readonly number[],
  ): Promise<(Entry | undefined)[]>;
  /** Headers by creation, newest first. */
  listRuns(caller: Tenant, filter: RunFilter): Promise<RunPage>;
  /** Open waits, oldest first. */
  listWaits(caller: Tenant, filter: WaitFilter): Promise<WaitPage>;

  /**
   * Due work, oldest first, with the time of the next one that is not due yet. With `holdUntil` it
   * is the caller's until then: where servers share the store, it is due for the others only after
   * that.
   */
  due(now: number, limit: number, holdUntil?: number): Promise<DuePage>;
  /** Runs in the ready queues by queue; of more than `rowsMax`, some `rowsMax` of them are looked at. */
  readyQueues(rowsMax: number): Promise<ReadyQueue[]>;
  /** Runs whose lease ran out before `now`. */
  expiredLeases(now: number, limit: number): Promise<LeasedRun[]>;
  /** Every lease there is, page by page in key order; for a restarted server. */
  listLeases(
    after: { org: string; runId: string } | undefined,
    limit: number,
  ): Promise<LeasedRun[]>;
  /** Prolongs all leases of a session, and returns which those are. */
  renewSession(sessionId: string, until: number): Promise<LeasedRun[]>;
  /** Prolongs single leases if the fence is right; returns them in the order asked, `undefined` for lost ones. */
  renewLeases(
    caller: Tenant,
    leases: readonly { runId: string; fence: number }[],
    until: number,
  ): Promise<(LeasedRun | undefined)[]>;

  /** Workflows as registered by workers; a later registration replaces the schemas of its name. */
  registerWorkflows(caller: Tenant, specs: readonly WorkflowRow[]): Promise<void>;
  listWorkflows(caller: Tenant): Promise<WorkflowRow[]>;
  /** Inserts or replaces a worker by the id of its process. */
  putWorker(caller: Tenant, worker: WorkerRow): Promise<void>;
  /** Seen since then, latest first. */
  listWorkers(caller: Tenant, since: number, limit: number): Promise<WorkerRow[]>;
  /** Deletes workers that were last seen before then. */
  sweepWorkers(before: number): Promise<void>;
  /** How many runs each session holds now. */
  countLeases(caller: Tenant): Promise<Map<string, number>>;

  putPayload(caller: Tenant, blob: PayloadBlob, now: number): Promise<void>;
  /** `undefined` when there is none. */
  getPayload(
    caller: Tenant,
    sha256: string,
    offset: number,
    limit: number,
  ): Promise<{ data: Uint8Array; size: number } | undefined>;
  /** Deletes payloads that no run refers to and that are older than `before`; returns how many. */
  sweepPayloads(before: number, limit: number): Promise<number>;

  /** The organization's secret of that name; `candidate`, if any, becomes it where there is none. */
  secret(caller: Tenant, name: string, candidate?: string): Promise<string | undefined>;

  /** Takes the runs that other replicas changed while a session of this one holds them. */
  takeNudges(replicaId: string): Promise<{ org: string; runId: string }[]>;
  /** Tells the other replicas what was written; loses nothing but latency when it fails. */
  wake(what: Written): Promise<void>;
  /** Calls back when another replica woke this one, and after the connection was lost and found. */
  onWake(listener: (what: Written) => void): void;

  /** Resolves when a trivial read works, or a trivial write that leaves nothing behind. */
  ping(writes?: boolean): Promise<void>;
  close(): Promise<void>;
}

/**
 * What is to be done about a failed call. `away`: the same call may work later. `data`: the database
 * refused what it was given, so that the same call never works, and others do. `damaged`: what the
 * database keeps cannot be read, which only a backup mends.
 */
export type StoreFault = "away" | "data" | "damaged";

/**
 * The database did not do what was asked; the engine retries or returns STORE_UNAVAILABLE, or
 * DATA_CORRUPTED where `corrupted` says which entry failed its checksum.
 */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly corrupted: { readonly runId: string; readonly seq: number } | undefined;
  readonly fault: StoreFault;

  constructor(
    message: string,
    options: { cause?: unknown; fault?: StoreFault } = {},
    corrupted?: { readonly runId: string; readonly seq: number },
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.corrupted = corrupted;
    this.fault = options.fault ?? "away";
  }
}

export interface Batch {
  readonly now: number;
  /** At most one per run. */
  readonly writes: readonly RunWrite[];
  readonly claims: readonly ClaimRequest[];
}

export interface BatchResult {
  /**
   * For each write, whether it was applied: the run was as expected, and each of `payloadRefs` was
   * stored before the batch or is in the write's own `payloads`.
   */
  readonly confirmed: boolean[];
  /** For each claim, the runs that it got. */
  readonly claimed: ClaimedRun[][];
}

/** All that one commit changes about one run. */
export interface RunWrite {
  readonly org: string;
  readonly runId: string;
  /** The version that must be there; `null`: the run must not exist. */
  readonly expect: RunVersion | null;
  /** The seq after this write; always `expect.seq + entries.length`. */
  readonly seq: number;
  readonly updatedAt: number;
  /** The new run, when `expect` is null. */
  readonly insert?: RunHeader;
  /** What changes besides seq and updatedAt; absent for the hot path, a step of a running run. */
  readonly patch?: HeaderPatch;
  readonly entries: readonly Entry[];
  /** Payloads that the entries refer to, to be stored if they are new. */
  readonly payloads: readonly PayloadBlob[];
  /** References held by the entries, also to payloads uploaded before. */
  readonly payloadRefs: readonly PayloadRef[];
  /** Puts the run into its ready queue, or takes it out. */
  readonly ready?: ReadyRow | "remove";
  readonly duePut: readonly DueRow[];
  readonly dueRemove: readonly DueRemoval[];
  /** Removes all due work of the run before `duePut`. */
  readonly dueClear: boolean;
  /** What becomes of its open waits; absent where they stay as they are. */
  readonly waits?: WaitChanges;
  /** Gives the run a lease, or takes it away. */
  readonly lease?: Lease | "remove";
  /**
   * Due work for other runs: the parent of a child that ended. Put after all writes of the batch,
   * where the other run exists then.
   */
  readonly dueElsewhere: readonly { readonly runId: string; readonly row: DueRow }[];
  /** Deltas of the run that came before this write: they belong after `expect.seq`. */
  readonly deltas?: readonly NewChunk[];
  /** What the write means for the run at its gates; absent for runs without limits. */
  readonly flow?: FlowWrite;
  /** The replica whose session holds the run, when that is not this one. */
  readonly nudge?: string;
  /** Deletes the run and all that belongs to it. */
  readonly deleteRun?: true;
}

export interface ReadyRow {
  readonly queue: string;
  /** The workflow, or `workflow@version` for a pinned run. */
  readonly lane: string;
  /** 9 - priority, so that ascending order is best first. */
  readonly rank: number;
  readonly readyAt: number;
}

/**
 * What happens later to a run: `start` (delayed start), `wait` (a wait's timer or timeout),
 * `remind` (a question's next reminder),
 * `retry` (a suspended step's next attempt), `attempt` (a step's timeout), `run` and `queue`
 * (timeouts), `grace` (end of a clean-up), `child` (a child run has ended), `parent` (the parent has ended).
 */
export type DueKind =
  | "start"
  | "wait"
  | "remind"
  | "retry"
  | "attempt"
  | "run"
  | "queue"
  | "grace"
  | "child"
  | "parent"
  | "unwanted";

export interface DueRow {
  readonly kind: DueKind;
  /** Step key, where the kind has one; for the end of a child a name of that end; else empty. */
  readonly key: string;
  readonly at: number;
  /** For `attempt` the attempt, for `child` the child run id, for `parent` and `unwanted` the parent's; else empty. */
  readonly data: string;
}

/** Removes a row; with `upTo` only if it is not due later: what was put meanwhile stays. */
export interface DueRemoval {
  readonly kind: DueKind;
  readonly key: string;
  readonly upTo?: number;
}

export interface DueItem extends DueRow {
  readonly org: string;
  readonly runId: string;
  /** Where it is held: what the row's `at` is now. */
  readonly heldUntil?: number;
}

export interface DuePage {
  readonly items: DueItem[];
  readonly nextAt: number | undefined;
}

export interface ClaimRequest {
  readonly org: string;
  readonly queues: readonly string[];
  /** Workflows and `workflow@version`s that are served. */
  readonly lanes: readonly string[];
  /** One per run wanted: who gets it. The i-th run claimed goes to the i-th slot. */
  readonly slots: readonly { readonly sessionId: string; readonly workerId: string }[];
  readonly until: number;
  readonly journalBytes: number;
}

/**
 * Best first by rank, readyAt and run id. The state is now RUNNING (CANCELLING stays as it is), fence and attempt are one
 * higher, `startedAt` is set if it was not, `updatedAt` is the batch's `now`; the lease is there, the
 * ready row and any `queue` timeout are gone. `seq` is the same: a claim has no journal entry.
 */
export interface ClaimedRun {
  readonly header: RunHeader;
  /**
   * The journal from its start, up to `journalBytes` (at least one entry), and up to an entry that
   * is damaged: reading on from there says so.
   */
  readonly entries: Entry[];
}

export interface LoadRef {
  readonly org: string;
  readonly runId: string;
  readonly afterSeq: number;
}

export interface LoadedRun {
  readonly header: RunHeader;
  readonly entries: EntryHead[];
}

export interface PageLimit {
  readonly entries: number;
  readonly bytes: number;
}

export interface JournalPage {
  readonly entries: Entry[];
  readonly more: boolean;
}

export interface RunFilter {
  /** Empty: all. */
  readonly states: readonly RunState[];
  readonly workflow?: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly parentRunId?: string;
  readonly limit: number;
  readonly after?: { readonly createdAt: number; readonly runId: string };
}

export interface RunPage {
  readonly runs: RunHeader[];
  readonly more: boolean;
}

export interface LeasedRun {
  readonly org: string;
  readonly runId: string;
  readonly fence: number;
  readonly lease: Lease;
}

export interface WorkflowRow {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  /** JSON Schema as JSON text; empty: none. */
  readonly inputSchema: string;
  readonly outputSchema: string;
  /** JSON text of an object. */
  readonly metadata: string;
  /** The limits of its runs (`FlowControl`) as JSON text; empty: none. */
  readonly flow: string;
  /** The time limits of its runs (`RunTimeouts`) as JSON text; empty: none. */
  readonly timeouts: string;
  /** Ever registered, newest last. */
  readonly versions: readonly string[];
  readonly registeredAt: number;
}

export interface WorkerRow {
  readonly workerId: string;
  readonly instanceId: string;
  readonly connected: boolean;
  readonly seenAt: number;
  /** JSON text: language, versions, workflows, queues, labels, slots. */
  readonly info: string;
}
