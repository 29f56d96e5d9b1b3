import type { Tenant } from "../model/caller.ts";
import type { Entry, EntryHead } from "../model/entry.ts";
import type { RunHeader, RunStatus } from "../model/run.ts";
import type { Changes } from "./changes.ts";
import type { RecordWrite } from "./records.ts";
import type { HeaderPatch } from "./run-columns.ts";
import type { RunVersion } from "./version.ts";

/** Runs with their journals, and the queues of those that are ready. */
export interface RunStore {
  /** Applies the writes, the records and then the claims, in one transaction. */
  commit(batch: Batch): Promise<BatchResult>;
  /** Headers with their leases, and the journal heads after `afterSeq`; `undefined` where there is no run. */
  loadRuns(refs: readonly LoadRef[]): Promise<(LoadedRun | undefined)[]>;
  /** Whole entries in order. At least one if there is any, then up to the limits. */
  readJournal(caller: Tenant, runId: string, after: number, limit: PageLimit): Promise<JournalPage>;
  /**
   * Whole entries by seq, in the order asked, `undefined` where missing.
   *
   * @param runUid of whom they must be, since the id may be another run's by now; default: of the run that has the id
   */
  readEntries(
    caller: Tenant,
    runId: string,
    seqs: readonly number[],
    runUid?: string,
  ): Promise<(Entry | undefined)[]>;
  /** Headers by creation, newest first. */
  listRuns(caller: Tenant, filter: RunFilter): Promise<RunPage>;
  /** Runs in the ready queues by queue; of more than `rowsMax`, some `rowsMax` of them are looked at. */
  readyQueues(rowsMax: number): Promise<ReadyQueue[]>;
}

export interface Batch {
  readonly now: number;
  /** At most one per run. */
  readonly writes: readonly RunWrite[];
  /** At most one per record. */
  readonly records?: readonly RecordWrite[];
  readonly claims: readonly ClaimRequest[];
}

export interface BatchResult {
  /**
   * For each write, whether it was applied: the run was as expected, and each payload that it refers
   * to was stored before the batch or comes with the write.
   */
  readonly confirmed: boolean[];
  /** For each record, whether it was written: its revision was the expected one. */
  readonly recorded: boolean[];
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
  /** Nothing for the hot path. */
  readonly changes: Partial<Changes>;
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

export interface ClaimRequest {
  readonly org: string;
  readonly queues: readonly string[];
  /** Workflows and `workflow@version`s that are served. */
  readonly lanes: readonly string[];
  /** One per run wanted: who gets it. The i-th run claimed goes to the i-th slot. */
  readonly slots: readonly { readonly connectionId: string; readonly workerId: string }[];
  readonly until: number;
  readonly journalBytes: number;
}

/**
 * Best first by rank, readyAt and run id. The status is now RUNNING (CANCELLING stays as it is), fence and attempt are one
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
  readonly statuses: readonly RunStatus[];
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

export interface ReadyQueue {
  readonly queue: string;
  readonly runs: number;
  /** Since when the first of them is ready; one that lost its worker keeps its place. */
  readonly oldestAt: number;
}
