/** What the server says about runs, in TypeScript's own terms. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Event, JournalEntry, OpenWait, Run } from "@pawl/proto";
import { EventClass, RunState as RunStateCode, StepKind } from "@pawl/proto";
import { decode, type ReceivedPayload } from "../codec/payload.ts";
import { errorOf, failureDetails } from "../failure.ts";
import { codeOf } from "../transport/status.ts";

export type RunState =
  | "QUEUED"
  | "RUNNING"
  | "WAITING"
  | "PAUSED"
  | "CANCELLING"
  | "COMPLETED"
  | "FAILED"
  | "CANCELLED";

const stateCodes: Readonly<Record<RunState, RunStateCode>> = {
  QUEUED: RunStateCode.QUEUED,
  RUNNING: RunStateCode.RUNNING,
  WAITING: RunStateCode.WAITING,
  PAUSED: RunStateCode.PAUSED,
  CANCELLING: RunStateCode.CANCELLING,
  COMPLETED: RunStateCode.COMPLETED,
  FAILED: RunStateCode.FAILED,
  CANCELLED: RunStateCode.CANCELLED,
};

export function stateCode(state: RunState): RunStateCode {
  return codeOf("states", stateCodes, state);
}

function stateName(code: RunStateCode): RunState {
  for (const [name, known] of Object.entries(stateCodes)) {
    if (known === code) return name as RunState;
  }
  return "QUEUED";
}

/** A failure that is recorded. */
export interface FailureView {
  readonly type: string;
  readonly message: string;
  readonly stack: string;
  readonly details: unknown;
  readonly cause: Error | undefined;
}

export interface WaitView {
  readonly stepKey: string;
  /** sleep, signal, child, user, callback or retry. */
  readonly kind: string;
  readonly name: string;
  readonly since: Date | undefined;
  readonly due: Date | undefined;
  readonly childRunId: string;
}

/** A run as it was when the server was asked. */
export interface RunInfo {
  readonly runId: string;
  readonly workflow: string;
  readonly version: string;
  readonly state: RunState;
  /** Why it is in that state, such as PAUSED_BY_OPERATOR; may be empty. */
  readonly stateReason: string;
  /** The same for people. */
  readonly stateDetail: string;
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
  readonly waits: readonly WaitView[];
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

function waitView(wait: OpenWait): WaitView {
  const { stepKey, kind, name, childRunId } = wait;
  return { stepKey, kind, name, since: date(wait.since), due: date(wait.due), childRunId };
}

export function runView(run: Run): RunInfo {
  return {
    runId: run.runId,
    workflow: run.workflow,
    version: run.version,
    state: stateName(run.state),
    stateReason: run.stateReason,
    stateDetail: run.stateDetail,
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
}

/** An entry of a run's journal. */
/** One value that cannot be read here must not end a watch: it is handed out as its bytes. */
function readable(payload: ReceivedPayload | undefined): unknown {
  if (payload === undefined || payload.ref !== undefined) return undefined;
  try {
    return decode(payload);
  } catch {
    return new Uint8Array(payload.data);
  }
}

export interface JournalView {
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
  readonly value: unknown;
  readonly failure: FailureView | undefined;
  readonly until: Date | undefined;
  readonly workerId: string;
  readonly latencyMs: number;
  readonly outcome: string;
  readonly details: Readonly<Record<string, string>>;
}

export function journalView(entry: JournalEntry): JournalView {
  return {
    seq: entry.seq,
    type: entry.type,
    recordedAt: date(entry.recordedAt),
    stepKey: entry.stepKey,
    attempt: entry.attempt,
    name: entry.name,
    kind: entry.kind === StepKind.UNSPECIFIED ? "" : (StepKind[entry.kind] ?? "").toLowerCase(),
    value: readable(entry.payload),
    failure: failureView(entry.failure),
    until: date(entry.until),
    workerId: entry.workerId,
    latencyMs: entry.latencyMs,
    outcome: entry.outcome,
    details: entry.details,
  };
}

/** Something that happened in a run. */
export interface RunEvent {
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
  /** a later watcher's delta stands for that many of its stream, joined. */
  readonly merged: number;
  /** Of a delta, within its step's attempt, from 1. */
  readonly sequence: number;
  readonly at: Date | undefined;
  /** What a delta carries; its bytes where this SDK cannot decode it. */
  readonly data: unknown;
  /** The entry that a checkpoint stands for. */
  readonly entry: JournalView | undefined;
}

export function eventView(event: Event): RunEvent {
  return {
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
    at: date(event.serverTimestamp),
    data: readable(event.payload),
    entry: event.entry === undefined ? undefined : journalView(event.entry),
  };
}
