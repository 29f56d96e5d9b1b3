/** Events as the engine takes and gives them. */
import type { DeltaEvent } from "../../model/delta.ts";
import type { Entry } from "../../model/entry.ts";
import type { RunStatus } from "../../model/run.ts";

/** What a step sends live. */
export type NewEvent = DeltaEvent;

/** What a worker sends live, at once. */
export interface PublishEvents {
  readonly runId: string;
  readonly fence: number;
  /** Undefined: not readable, and still counted. */
  readonly events: readonly (NewEvent | undefined)[];
  /** The number of the first event under this fence; 0: counted by the server. */
  readonly first: number;
}

export interface Published {
  /** How many were taken; the rest had a stale fence, or did not fit the buffers. */
  readonly accepted: number;
  /** Up to this number nothing needs to be sent again. */
  readonly acknowledged: number;
}

/** An event of a run's one stream: a journal entry, or what a step sends live. */
export interface RunEvent {
  readonly cursor: string;
  readonly runId: string;
  readonly eventId: string;
  readonly parentEventId: string;
  readonly type: string;
  readonly class: "checkpoint" | "delta";
  readonly serverAt: number;
  readonly entry?: Entry;
  readonly delta?: NewEvent;
  /** The delta stands for that many of its stream. */
  readonly merged?: number;
}

export interface WatchRun {
  readonly runId: string;
  readonly checkpoints: boolean;
  readonly deltas: boolean;
  /** Empty: from the start. */
  readonly afterCursor: string;
  readonly fromNow: boolean;
  readonly waitForStart: boolean;
  /** Whether the events of its children, of theirs, and so on are included. */
  readonly includeChildren: boolean;
}

export interface ListEvents {
  readonly runId: string;
  readonly checkpoints: boolean;
  readonly deltas: boolean;
  /** Empty: from the start. */
  readonly afterCursor: string;
  readonly pageSize: number;
}

export interface WatchRuns {
  /** Empty: all. */
  readonly workflow: string;
  readonly tags: Readonly<Record<string, string>>;
  /** Empty: any. */
  readonly statuses: readonly RunStatus[];
  /** The types of checkpoints to send; empty: all. */
  readonly types: readonly string[];
  /** Empty: from now on. */
  readonly afterCursor: string;
}

/** Checkpoints of several runs, and the place after them. */
export interface RunsEvents {
  readonly events: readonly RunEvent[];
  readonly cursor: string;
}
