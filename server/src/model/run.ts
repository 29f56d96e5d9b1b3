import { BOUNDS } from "./bounds.ts";
import type { Undone, WaitKind } from "./entry.ts";
import { laneName } from "./ids.ts";

/**
 * The statuses of a run and how one leads to another.
 *
 * - QUEUED: ready for a worker, not due yet, or held back by a limit. Left by a claim, a pause, a cancel, a timeout.
 * - RUNNING: one worker holds the lease. Left by an outcome, a lost lease (back to QUEUED), a pause.
 * - WAITING: suspended on timers, signals, children or retries; nobody holds it.
 * - PAUSED: stopped until a person resumes or retries it.
 * - CANCELLING: its holder cleans up, or a worker is to take it for that; ends as CANCELLED whatever
 *   is reported, and without any report once a worker has had it for the whole grace. With the reason
 *   RUN_TIMEOUT, it ends as FAILED instead.
 * - COMPLETED, FAILED, CANCELLED: ended. FAILED can be left by a retry, CANCELLED by one that does
 *   what was left undone.
 */
export type RunStatus =
  | "QUEUED"
  | "RUNNING"
  | "WAITING"
  | "PAUSED"
  | "CANCELLING"
  | "COMPLETED"
  | "FAILED"
  | "CANCELLED";

export const RUN_STATUSES: readonly RunStatus[] = [
  "QUEUED",
  "RUNNING",
  "WAITING",
  "PAUSED",
  "CANCELLING",
  "COMPLETED",
  "FAILED",
  "CANCELLED",
];

const NEXT: Readonly<Record<RunStatus, readonly RunStatus[]>> = {
  // It becomes WAITING or COMPLETED by the report of its last holder, whose lease had lapsed.
  QUEUED: ["RUNNING", "WAITING", "PAUSED", "CANCELLING", "COMPLETED", "FAILED", "CANCELLED"],
  RUNNING: ["QUEUED", "WAITING", "PAUSED", "CANCELLING", "COMPLETED", "FAILED", "CANCELLED"],
  WAITING: ["QUEUED", "PAUSED", "CANCELLING", "FAILED", "CANCELLED"],
  PAUSED: ["QUEUED", "WAITING", "CANCELLING", "FAILED", "CANCELLED"],
  CANCELLING: ["FAILED", "CANCELLED"],
  COMPLETED: [],
  FAILED: ["QUEUED", "CANCELLING"],
  CANCELLED: ["CANCELLING"],
};

export function canBecome(from: RunStatus, to: RunStatus): boolean {
  return NEXT[from].includes(to);
}

export function isTerminal(status: RunStatus): boolean {
  return status === "COMPLETED" || status === "FAILED" || status === "CANCELLED";
}

/** Why a run has its status; empty where that is plain. */
export const RUN_REASONS = [
  "",
  "PAUSED_BY_OPERATOR",
  "NON_DETERMINISM",
  "RETRIES_EXHAUSTED",
  "UNKNOWN_OUTCOME",
  "CRASH_LOOP",
  "DATA_CORRUPTED",
  "RUN_TIMEOUT",
  "DEBOUNCED",
  "CONCURRENCY_LIMIT",
  "RATE_LIMIT",
] as const;
export type RunReason = (typeof RUN_REASONS)[number];

/** The reason that people and programs see; some of them follow from more than the run itself. */
export type StatusReason = RunReason | "PAUSING" | "DELAYED" | "NO_WORKER";

/**
 * What was asked of the worker that holds the run. `resume`: a pause was taken back, but the worker
 * may have stopped for it already. `cancel`: the worker has the run for its clean-up, and knows.
 */
export const INTENTS = ["none", "pause", "resume", "cancel"] as const;
export type Intent = (typeof INTENTS)[number];

/** Who holds a run. At most one at a time; the fence decides, not the clock. */
export interface Lease {
  readonly connectionId: string;
  readonly workerId: string;
  /** When it may be taken away, in ms since the epoch. */
  readonly until: number;
}

/** How long a run may take, in ms. */
export interface RunTimeouts {
  readonly runTimeoutMs?: number;
  readonly queueTimeoutMs?: number;
}

/** As stored with a workflow. */
export function timeoutsFrom(text: string): RunTimeouts {
  return text === "" ? {} : (JSON.parse(text) as RunTimeouts);
}

/** Empty where there is nothing to store. */
export function timeoutsText({ runTimeoutMs, queueTimeoutMs }: RunTimeouts): string {
  if (runTimeoutMs === undefined && queueTimeoutMs === undefined) return "";
  return JSON.stringify({ runTimeoutMs, queueTimeoutMs });
}

/**
 * Whether its lease has ended and nobody was given the run since: who held it last may continue, under
 * the fence that is still current.
 */
export function hasLapsed({ lease, status, startedAt }: RunHeader): boolean {
  return lease === null && startedAt !== 0 && (status === "QUEUED" || status === "CANCELLING");
}

/** Whether its holders have died in a row: it may be what kills them. */
export function isSuspect({ crashes }: RunHeader): boolean {
  return crashes >= BOUNDS.suspectCrashes;
}

/** Where a run waits for a worker that serves it; suspects in a lane of their own. */
export function laneOf(header: RunHeader): string {
  const { workflow, version } = header;
  const lane = laneName(workflow, version);
  return isSuspect(header) ? suspectLane(lane) : lane;
}

/** No name has a line break in it. */
export function suspectLane(lane: string): string {
  return `\n${lane}`;
}

/** What never changes after StartRun. Times in ms. */
export interface RunOptions extends RunTimeouts {
  readonly sessionId?: string;
  readonly userId?: string;
  readonly traceparent?: string;
  readonly idempotencyKey?: string;
  /** Later starts with that key are joined with this one until it starts, at `maxAt` if not before. */
  readonly debounce?: { readonly key: string; readonly maxAt?: number };
  /** `cancel`: it is cancelled when its parent ends. */
  readonly parentClose?: "cancel";
  /** How many runs of the workflow with that key may be under way at once. */
  readonly concurrency?: { readonly limit: number; readonly key: string };
  /** How many runs of the workflow with that key may start in any such period. */
  readonly rate?: { readonly limit: number; readonly periodMs: number; readonly key: string };
  /** Runs that are held back pass in turns, one of each such key. */
  readonly fair?: string;
}

/** What a run waits for, while it is WAITING; shown to people, woken by `tree`. */
export interface Waiting {
  readonly tree: WaitTree;
  readonly waits: readonly OpenWait[];
}

export interface OpenWait {
  readonly key: string;
  readonly kind: WaitKind | "retry";
  readonly name: string;
  readonly since: number;
  readonly due?: number;
  readonly childRunId?: string;
}

/**
 * `needed` members must be satisfied: all of them, one (any), or some. `exclusive`: they are
 * alternatives, so that nobody waits for the others once enough of them are.
 */
export type WaitTree =
  | { readonly key: string }
  | {
      readonly needed: number;
      readonly members: readonly WaitTree[];
      readonly exclusive?: true;
    };

/** What is known of a run besides its status, for people and for what comes next. Absent: nothing. */
export interface RunNotes {
  /** Why somebody paused or cancelled it, in their words. */
  readonly pauseReason?: string;
  readonly cancelReason?: string;
  /** Set while the run is CANCELLING. */
  readonly cleanUp?: CleanUp;
  /** Once it has ended: what its clean-up did not get done. */
  readonly undone?: Undone;
  /** Once it has failed: why, in short, for lists, which do not read its journal. */
  readonly failure?: string;
  /** While it is paused for it: the step in which its workers died. */
  readonly crash?: CrashLoop;
}

/** The step that takes its workers down. */
export interface CrashLoop {
  readonly stepKey: string;
  /** The workers that died in it, oldest first. */
  readonly workers: readonly string[];
}

/** How far the clean-up of a run may still go. */
export interface CleanUp {
  /** How long a worker may take, in ms, counted from when one has the run for it. */
  readonly graceMs: number;
  /** Since when one has it, in ms since the epoch; 0: none has. */
  readonly since: number;
  /** Workers that died in it. */
  readonly crashes: number;
}

/** The run row. Everything else about a run is in its journal. Times in ms since the epoch. */
export interface RunHeader {
  readonly org: string;
  readonly runId: string;
  /** Names this life of the run id for ever: what outlives a call is made from it. A UUIDv7. */
  readonly runUid: string;
  readonly workflow: string;
  /** Pins the run to a version of its workflow; empty: any. */
  readonly version: string;
  readonly queue: string;
  /** 0 to 9, higher first. */
  readonly priority: number;
  readonly status: RunStatus;
  readonly reason: RunReason;
  readonly intent: Intent;
  /** Grows whenever the run is given to a holder, is cancelled or retried, and when a pause takes effect; compared by every durable write. */
  readonly fence: number;
  /** Entries in the journal; with the fence, the version that every commit compares. */
  readonly seq: number;
  /** How often it was leased out. */
  readonly attempt: number;
  /** Leases lost in a row without a journal entry by a worker in between. */
  readonly crashes: number;
  /** Hex SHA-256 over encoding and data of the input. */
  readonly inputDigest: string;
  readonly parentRunId: string;
  readonly parentKey: string;
  readonly createdAt: number;
  readonly startAt: number;
  /** 0: never held by a worker yet. */
  readonly startedAt: number;
  readonly updatedAt: number;
  /** 0: not ended. */
  readonly endedAt: number;
  readonly options: RunOptions;
  readonly tags: Readonly<Record<string, string>>;
  readonly waiting: Waiting | null;
  readonly notes: RunNotes;
  readonly lease: Lease | null;
}

/** The fields of a run that has just been made, where they are always the same. */
export const NEW_RUN = {
  version: "",
  queue: "default",
  priority: 5,
  status: "QUEUED",
  reason: "",
  intent: "none",
  attempt: 0,
  crashes: 0,
  inputDigest: "",
  parentRunId: "",
  parentKey: "",
  startedAt: 0,
  endedAt: 0,
  options: {},
  tags: {},
  waiting: null,
  notes: {},
  lease: null,
} as const satisfies Partial<RunHeader>;
