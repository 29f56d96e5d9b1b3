import type { Payload } from "./payload.ts";
import type { AnswerVia, Question } from "./question.ts";
import type { RetryPolicy } from "./retry.ts";

/** The types of journal entries, which are also the names of the checkpoint events. */
export const ENTRY_TYPES = [
  "run.started",
  "run.recovered",
  "run.paused",
  "run.resumed",
  "run.retried",
  "run.cancelling",
  "run.cleanup.started",
  "run.completed",
  "run.failed",
  "run.cancelled",
  "run.tags.changed",
  "run.input.replaced",
  "workflow.step.started",
  "workflow.step.completed",
  "workflow.step.retrying",
  "workflow.step.failed",
  "workflow.step.cancelled",
  "workflow.child.started",
  "workflow.wait.created",
  "workflow.wait.resolved",
  "workflow.wait.closed",
  "workflow.wait.changed",
  "workflow.waiting",
  "workflow.signal.received",
  "workflow.user.answered",
  "workflow.wait.reminded",
] as const;

export type EntryType = (typeof ENTRY_TYPES)[number];

export const STEP_KINDS = [
  "step",
  "sleep",
  "signal",
  "child",
  "value",
  "user",
  "callback",
] as const;
export type StepKind = (typeof STEP_KINDS)[number];

/** The kinds that are waits. */
export const WAIT_KINDS = ["sleep", "signal", "child", "user", "callback"] as const;
export type WaitKind = (typeof WAIT_KINDS)[number];

export function isWaitKind(kind: StepKind): kind is WaitKind {
  return kind !== "step" && kind !== "value";
}

/** Why a step or run failed, as recorded and replayed. */
export interface Failure {
  readonly type: string;
  readonly message: string;
  readonly stack?: string;
  readonly cause?: Failure;
  readonly nonRetryable?: boolean;
  readonly retryAfterMs?: number;
  /** Encoding and base64 data. */
  readonly details?: { readonly encoding: string; readonly data: string };
}

export const WAIT_OUTCOMES = [
  "fired",
  "signalled",
  "timed_out",
  "completed",
  "failed",
  "cancelled",
  "answered",
  "skipped",
] as const;
export type WaitOutcome = (typeof WAIT_OUTCOMES)[number];

/**
 * Why nobody waits for something any more. `lost`: its branch ended; `withdrawn`: the code that is
 * deployed now does not ask for it; `cancelled`: its run is being ended.
 */
export type ClosedWhy = "lost" | "withdrawn" | "cancelled";

/** Compensations that a clean-up did not get done; `unknown`: no worker said which there are. */
export type Undone = readonly string[] | "unknown";

/**
 * The small part of an entry, stored as JSON text. Absent means the default:
 * no name = the key itself, no kind = `step`.
 */
export interface EntryMeta {
  name?: string;
  kind?: StepKind;
  worker?: string;
  fence?: number;
  /** Latency by the worker's clock. */
  ms?: number;
  inputDigest?: string;
  definitionDigest?: string;
  /** The step's input for people: JSON text as it is, anything else in base64. */
  input?: { encoding: string; text?: string; base64?: string };
  failure?: Failure;
  /** When the next attempt or the timer is due, in ms since the epoch. */
  until?: number;
  outcome?: WaitOutcome;
  atMostOnce?: boolean;
  /** The step's retry policy, where its start carried one. */
  retryPolicy?: RetryPolicy;
  /** The time limit of one attempt. */
  timeoutMs?: number;
  /** Chosen by the worker: the same request again gets the same answer. */
  requestId?: string;
  signalName?: string;
  signalId?: string;
  childRunId?: string;
  /** The entry of this run whose payload is this one's too. */
  payloadSeq?: number;
  /** Keys whose recorded failure no longer counts. */
  superseded?: readonly string[];
  /** The steps through which the failure of the run came, innermost first. */
  failedKeys?: readonly string[];
  /** Set at a step's end: the number of the run's latest delta by then, where the attempt sent any. */
  deltas?: number;
  reason?: string;
  /** Why a wait was closed. */
  closed?: ClosedWhy;
  /** The signal that went back to the inbox with that. */
  returned?: string;
  /** The step keys that a clean-up is going to execute. */
  compensations?: readonly string[];
  /** Set at the end of a run that was to be cleaned up; see `Undone`. */
  undone?: Undone;
  actor?: string;
  details?: Record<string, string>;
  question?: Question;
  /** A sleep's cron expression and its IANA time zone. */
  cron?: string;
  timeZone?: string;
  /** Who answered or ended a wait: with `actor`, how it came, and why. */
  resolutionId?: string;
  via?: AnswerVia;
  comment?: string;
  /** Set by an answer to an approval. */
  approved?: boolean;
}

/** One journal entry. `key` is empty for entries that concern the whole run. */
export interface Entry {
  readonly seq: number;
  /** In ms since the epoch. */
  readonly at: number;
  readonly type: EntryType;
  readonly key: string;
  /** Of the step, from 1; 0 where there is none. */
  readonly attempt: number;
  readonly meta: EntryMeta;
  readonly payload: Payload | undefined;
}

/** An entry as the memo index needs it: without its payload. */
export type EntryHead = Omit<Entry, "payload">;
