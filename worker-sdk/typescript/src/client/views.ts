/** What the server says about runs, in TypeScript's own terms. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import {
  type Event,
  EventClass,
  EventSchema,
  type JournalEntry,
  JournalEntrySchema,
  type OpenWait,
  type Run,
  RunSchema,
  RunStatus as RunStatusCode,
  StatusReason,
  StepKind,
  WaitKind,
  WaitOutcome,
} from "@pawl/proto";
import { decode, type ReceivedPayload } from "../codec/payload.ts";
import { errorOf, failureDetails } from "../failure.ts";
import { wordOf } from "../lib/words.ts";
import { codeOf } from "../transport/status.ts";
import { asPlain } from "./plain-view.ts";

/** Where a run is in its life. */
export type RunStatus =
  | "queued"
  | "running"
  | "waiting"
  | "paused"
  | "cancelling"
  | "completed"
  | "failed"
  | "cancelled";

const statusCodes: Readonly<Record<RunStatus, RunStatusCode>> = {
  queued: RunStatusCode.QUEUED,
  running: RunStatusCode.RUNNING,
  waiting: RunStatusCode.WAITING,
  paused: RunStatusCode.PAUSED,
  cancelling: RunStatusCode.CANCELLING,
  completed: RunStatusCode.COMPLETED,
  failed: RunStatusCode.FAILED,
  cancelled: RunStatusCode.CANCELLED,
};

export function statusCode(status: RunStatus): RunStatusCode {
  return codeOf("statuses", statusCodes, status);
}

/** A failure that is recorded. */
export interface FailureView {
  readonly type: string;
  readonly message: string;
  readonly stack: string;
  readonly details: unknown;
  readonly cause: Error | undefined;
}

export interface OpenWaitView {
  /** To answer it by; empty for a retry. */
  readonly waitId: string;
  readonly stepKey: string;
  /** sleep, signal, child, user, callback or retry. */
  readonly kind: string;
  readonly name: string;
  readonly since: Date | undefined;
  readonly due: Date | undefined;
  readonly childRunId: string;
}

/** A run as it was when the server was asked. JSON.stringify writes it as `GET /v1/runs/{runId}` does. */
export interface RunView {
  readonly runId: string;
  /** Names this run permanently, even if its id is used again after it was deleted. */
  readonly runUid: string;
  readonly workflow: string;
  readonly version: string;
  /** Empty: one that only a newer SDK knows. */
  readonly status: RunStatus | "";
  /** Why it has that status, such as paused_by_operator; may be empty. */
  readonly statusReason: string;
  /** The same for people. */
  readonly statusDetail: string;
  readonly queue: string;
  readonly priority: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly createdAt: Date | undefined;
  readonly startedAt: Date | undefined;
  readonly updatedAt: Date | undefined;
  readonly endedAt: Date | undefined;
  /** How often it has been leased out. */
  readonly attempt: number;
  readonly journalLength: number;
  readonly workerId: string;
  readonly waits: readonly OpenWaitView[];
  readonly failure: FailureView | undefined;
  readonly parent: { readonly runId: string; readonly stepKey: string } | undefined;
  readonly sessionId: string;
  readonly userId: string;
}

type Time = Parameters<typeof timestampDate>[0];

function date(time: Time | undefined): Date | undefined {
  return time === undefined ? undefined : timestampDate(time);
}

function failureView(failure: Run["failure"]): FailureView | undefined {
  if (failure === undefined) return undefined;
  const { type, message, stack } = failure;
  const cause = failure.cause === undefined ? undefined : errorOf(failure.cause);
  return { type, message, stack, details: failureDetails(failure), cause };
}

function waitView(wait: OpenWait): OpenWaitView {
  const { waitId, stepKey, name, childRunId } = wait;
  const kind = wordOf(WaitKind, wait.kind);
  return { waitId, stepKey, kind, name, since: date(wait.since), due: date(wait.due), childRunId };
}

export function runView(run: Run): RunView {
  const view: RunView = {
    runId: run.runId,
    runUid: run.runUid,
    workflow: run.workflow,
    version: run.version,
    status: wordOf(RunStatusCode, run.status) as RunStatus | "",
    statusReason: wordOf(StatusReason, run.statusReason),
    statusDetail: run.statusDetail,
    queue: run.queue,
    priority: run.priority,
    tags: run.tags,
    createdAt: date(run.createdAt),
    startedAt: date(run.startedAt),
    updatedAt: date(run.updatedAt),
    endedAt: date(run.endedAt),
    attempt: run.attempt,
    journalLength: run.journalLength,
    workerId: run.workerId,
    waits: run.waits.map(waitView),
    failure: failureView(run.failure),
    parent:
      run.parent === undefined
        ? undefined
        : { runId: run.parent.runId, stepKey: run.parent.stepKey },
    sessionId: run.sessionId,
    userId: run.userId,
  };
  return asPlain(view, RunSchema, run);
}

/** One value that cannot be read here must not end a watch: it is handed out as its bytes. */
function readable(payload: ReceivedPayload | undefined): unknown {
  if (payload === undefined || payload.ref !== undefined) return undefined;
  try {
    return decode(payload);
  } catch {
    return new Uint8Array(payload.data);
  }
}

/** An entry of a run's journal. */
export interface EntryView {
  readonly seq: number;
  readonly type: string;
  readonly recordedAt: Date | undefined;
  readonly stepKey: string;
  readonly attempt: number;
  readonly name: string;
  /** step, sleep, signal, child, value, user or callback; empty for what concerns the whole run. */
  readonly kind: string;
  /**
   * The decoded payload; its bytes where this SDK cannot decode it; undefined also where it is too
   * large to travel along.
   */
  readonly payload: unknown;
  readonly failure: FailureView | undefined;
  readonly until: Date | undefined;
  readonly workerId: string;
  readonly latencyMs: number;
  readonly outcome: string;
  readonly details: Readonly<Record<string, string>>;
}

export function entryView(entry: JournalEntry): EntryView {
  const view: EntryView = {
    seq: entry.seq,
    type: entry.type,
    recordedAt: date(entry.recordedAt),
    stepKey: entry.stepKey,
    attempt: entry.attempt,
    name: entry.name,
    kind: wordOf(StepKind, entry.kind),
    payload: readable(entry.payload),
    failure: failureView(entry.failure),
    until: date(entry.until),
    workerId: entry.workerId,
    latencyMs: entry.latencyMs,
    outcome: wordOf(WaitOutcome, entry.outcome),
    details: entry.details,
  };
  return asPlain(view, JournalEntrySchema, entry);
}

/** Something that happened in a run. JSON.stringify writes it as `GET /v1/runs/{runId}/events` does. */
export interface EventView {
  /** Names the place right after this event: where to continue watching. */
  readonly cursor: string;
  readonly runId: string;
  readonly type: string;
  /** `checkpoint`: from the journal. `delta`: live output only. */
  readonly class: "checkpoint" | "delta";
  /** The same whenever and wherever the event is read. */
  readonly eventId: string;
  /**
   * The step or scope that it is in, as `<run id>/<step key>`, the run's id, or the event that its
   * sender named.
   */
  readonly parentEventId: string;
  readonly stepKey: string;
  readonly attempt: number;
  /** Of a delta: tells parallel streams of one step apart. */
  readonly contentIndex: number;
  /** For a late watcher, one delta stands for this many of its stream, joined. */
  readonly merged: number;
  /** Of a delta, within its step's attempt, from 1. */
  readonly sequence: number;
  /** By the server's clock. */
  readonly at: Date | undefined;
  /** What a delta carries; its bytes where this SDK cannot decode it. */
  readonly payload: unknown;
  /** The entry that a checkpoint stands for. */
  readonly entry: EntryView | undefined;
}

export function eventView(event: Event): EventView {
  const view: EventView = {
    cursor: event.cursor,
    runId: event.runId,
    type: event.type,
    class: event.class === EventClass.CHECKPOINT ? "checkpoint" : "delta",
    eventId: event.eventId,
    parentEventId: event.parentEventId,
    stepKey: event.stepKey,
    attempt: event.attempt,
    contentIndex: event.contentIndex,
    merged: Math.max(1, event.merged),
    sequence: event.sequence,
    at: date(event.at),
    payload: readable(event.payload),
    entry: event.entry === undefined ? undefined : entryView(event.entry),
  };
  return asPlain(view, EventSchema, event);
}
