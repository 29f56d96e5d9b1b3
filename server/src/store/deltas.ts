import type { Tenant } from "../model/caller.ts";
import type { RunHeader, RunStatus } from "../model/run.ts";

/** Live output on record, and what followers of events ask for. Part of the store. */
export interface DeltaStore {
  /**
   * Puts chunks of deltas on record, each only while its fence is the run's and a worker may write
   * under it; also one whose lease has lapsed. Does not wait for the disk: a crash of this process
   * loses nothing, one of the machine may. What is put before a `commit` is there before that commit
   * is.
   *
   * @returns for each chunk: `kept`, `known` (a chunk that starts with the same number was there),
   *   or `stale` (nothing may be written under this fence any more).
   */
  putDeltas(chunks: readonly PutDeltas[]): Promise<PutDeltasResult[]>;
  /** Chunks in their order, those that end after a place. At least one if there is any. */
  readDeltas(
    caller: Tenant,
    runId: string,
    after: DeltaPlace,
    limit: { readonly entries: number; readonly bytes: number },
  ): Promise<{ chunks: DeltaChunk[]; more: boolean }>;
  /** The same without their data, from the first one. */
  deltaHeads(caller: Tenant, runId: string): Promise<DeltaHead[]>;
  /** Runs that have chunks which are not kept for good, in key order. */
  deltaRuns(
    after: { org: string; runId: string } | undefined,
    limit: number,
  ): Promise<{ org: string; runId: string }[]>;
  /** Deletes chunks, named by their first numbers. */
  deleteDeltas(caller: Tenant, runId: string, chunks: readonly ChunkName[]): Promise<void>;
  /** How far runs have progressed; `undefined` where there is none. */
  runMarks(refs: readonly { org: string; runId: string }[]): Promise<(RunMark | undefined)[]>;
  /** Runs that have ended since `at`, by then, oldest first. */
  endedSince(
    caller: Tenant,
    after: { endedAt: number; runId: string },
    limit: number,
  ): Promise<RunHeader[]>;
}

/** A place among the deltas of a run: they are ordered by fence, then number. */
export interface DeltaPlace {
  readonly fence: number;
  readonly number: number;
}

/** Names a chunk within its run. */
export interface ChunkName {
  readonly fence: number;
  /** The number of its first delta; its others follow without a gap. */
  readonly first: number;
}

export interface DeltaHead extends ChunkName {
  readonly last: number;
  /** The run's seq when it was put: it belongs after that entry. */
  readonly afterSeq: number;
  readonly at: number;
  /** Whether it is kept as long as the journal. */
  readonly keep: boolean;
  /** JSON text, made and read by the engine: which step attempts it is of. */
  readonly steps: string;
}

export interface DeltaChunk extends DeltaHead {
  readonly data: Uint8Array;
}

export type NewChunk = Omit<DeltaChunk, "afterSeq">;

export interface PutDeltas {
  readonly org: string;
  readonly runId: string;
  readonly chunk: NewChunk;
}

export type PutDeltasResult = "kept" | "known" | "stale";

export interface RunMark {
  readonly seq: number;
  readonly fence: number;
  readonly status: RunStatus;
  readonly leased: boolean;
  /** The fence and number of the latest delta that is on record; 0, 0 without one. */
  readonly delta: DeltaPlace;
}

/** What others are told of: commits, or deltas alone. */
export type Written = "runs" | "deltas";
