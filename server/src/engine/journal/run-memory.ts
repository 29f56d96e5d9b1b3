import type { ClosedWhy, EntryHead, Failure, StepKind, WaitOutcome } from "../../model/entry.ts";
import { type Answer, isAsked, type Question } from "../../model/question.ts";
import type { RetryPolicy } from "../../model/retry.ts";
import type { RunHeader, WaitTree } from "../../model/run.ts";
import type { ClosedWait } from "../waits/wait-types.ts";

/**
 * What the journal says about one step key. A step goes
 * started → completed | failed | backoff → started …; a wait goes waiting → resolved.
 * `superseded`: failed, but a retry of the run makes it start anew; attempts continue counting.
 * `cancelled`: an attempt was stopped. `closed`: a wait that the code has given up. Both count as
 * not recorded: asked for again, the step is executed and the wait registered anew.
 */
export interface StepRecord {
  status:
    | "started"
    | "backoff"
    | "completed"
    | "failed"
    | "waiting"
    | "resolved"
    | "superseded"
    | "cancelled"
    | "closed";
  kind: StepKind;
  name: string;
  /** The attempt of the latest entry. */
  attempt: number;
  /** Attempts that failed, since the last supersession. */
  failures: number;
  /** The latest entry. */
  seq: number;
  at: number;
  /** When the first attempt is known to have started. */
  firstAt: number;
  fence: number;
  inputDigest: string;
  definitionDigest: string;
  /** Backoff: the next attempt. Waiting: the timer or timeout; 0: none. */
  until: number;
  atMostOnce: boolean;
  timeoutMs: number;
  retryPolicy: RetryPolicy | undefined;
  requestId: string;
  failure: Failure | undefined;
  /** The failure is the server's verdict: the attempt's worker had not reported in time. */
  isVerdict: boolean;
  signalName: string;
  /** The id of the signal that resolved it; empty: none has. */
  taken: string;
  childRunId: string;
  outcome: WaitOutcome | undefined;
  /** What lists and people see of a wait; undefined for other steps. */
  wait: WaitRecord | undefined;
  /** The workers that died in the middle of it, one for each fence. */
  deaths: readonly Death[];
}

/** A worker that died, and the fence that it had. */
export interface Death {
  readonly worker: string;
  readonly fence: number;
}

/** The part of a wait that steps do not have. */
export interface WaitRecord {
  question: Question | undefined;
  readonly cron: string;
  readonly timeZone: string;
  /** The answers to a question, oldest first. */
  answers: Answer[];
  /** Reminders recorded. */
  reminders: number;
  /** How it ended, and through whom, where that is known. */
  resolution: (Answer & { readonly outcome: WaitOutcome }) | undefined;
  /** How it ended without an outcome, until it is asked for again. */
  closed: ClosedWait | undefined;
}

/** A signal in the inbox that no wait has taken. */
export interface InboxSignal {
  readonly seq: number;
  readonly name: string;
  readonly signalId: string;
}

export type MutableHeader = { -readonly [K in keyof RunHeader]: RunHeader[K] };

/** A run in memory: its row, and the fold of its journal. */
export interface RunMemory {
  readonly header: MutableHeader;
  readonly steps: Map<string, StepRecord>;
  inbox: InboxSignal[];
  /** Seq of each signal ever received, by its id. */
  readonly signalSeqs: Map<string, number>;
  openWaits: number;
  /** Runs that are cancelled when this one ends. */
  readonly children: Set<string>;
  /** Steps through which the latest failure of the run came. */
  failedKeys: readonly string[];
  /** The fence under which the latest outcome call (suspend, complete, fail) was made, and its entry. */
  outcomeFence: number;
  outcomeSeq: number;
  /** Its time was up: what it fails with once it has been cleaned up. */
  timeout: Failure | undefined;
  /** What workers said that they are going to undo; undefined: none has said so. */
  compensations: readonly string[] | undefined;
  /** The run was retried, and has neither ended nor been paused since. */
  retried: boolean;
  /** The worker that wrote last. */
  worker: string;
  /**
   * A worker was lost, and no end of a step or wait was recorded since: every start is recorded
   * before it happens.
   */
  careful: boolean;
  /** The fence under which it was lost. */
  lostFence: number;
  /** The latest fence under which steps may have started without a word. */
  unnumbered: number;
}

const NO_DEATHS: readonly Death[] = Object.freeze([]);

export function emptyState(header: RunHeader): RunMemory {
  return {
    header: { ...header },
    steps: new Map(),
    inbox: [],
    signalSeqs: new Map(),
    openWaits: 0,
    children: new Set(),
    failedKeys: [],
    outcomeFence: 0,
    outcomeSeq: 0,
    timeout: undefined,
    compensations: undefined,
    retried: false,
    worker: "",
    careful: false,
    lostFence: 0,
    unnumbered: 0,
  };
}

export function stateOf(header: RunHeader, entries: readonly EntryHead[]): RunMemory {
  const state = emptyState(header);
  for (const entry of entries) fold(state, entry);
  return state;
}

/** Adds one entry to the fold. The header is not its business: that is a row of its own. */
export function fold(state: RunMemory, entry: EntryHead): void {
  if (entry.meta.worker !== undefined) state.worker = entry.meta.worker;
  switch (entry.type) {
    case "workflow.step.started":
      startStep(record(state, entry), entry);
      return;
    case "workflow.step.completed":
      record(state, entry).status = "completed";
      state.careful = false;
      return;
    case "workflow.step.retrying":
      failStep(record(state, entry), "backoff", entry);
      state.careful = false;
      return;
    case "workflow.step.failed":
      failStep(record(state, entry), "failed", entry);
      state.careful = false;
      return;
    case "workflow.step.cancelled":
      record(state, entry).status = "cancelled";
      return;
    case "workflow.wait.created":
      openWait(state, record(state, entry), entry);
      return;
    case "workflow.wait.resolved":
      resolveWait(state, record(state, entry), entry);
      state.careful = false;
      return;
    case "workflow.wait.closed":
      closeWait(state, record(state, entry), entry);
      return;
    case "workflow.signal.received":
      receiveSignal(state, entry);
      return;
    case "workflow.user.answered":
      state.steps.get(entry.key)?.wait?.answers.push(answerOf(entry));
      return;
    case "workflow.wait.changed":
      askOthers(state.steps.get(entry.key)?.wait, entry.meta.question);
      return;
    case "workflow.wait.reminded":
      noteReminder(state, entry.key);
      return;
    case "workflow.child.started":
      state.children.add(entry.meta.childRunId ?? "");
      return;
    case "run.cancelling":
      state.timeout = entry.meta.failure;
      giveUpWaits(state, entry.at);
      return;
    case "run.cleanup.started":
      state.compensations = entry.meta.compensations ?? [];
      return;
    case "run.retried":
      state.retried = true;
      state.timeout = undefined;
      for (const key of entry.meta.superseded ?? []) supersede(state, key);
      return;
    case "run.failed":
    case "run.paused":
      state.retried = false;
      state.failedKeys = entry.meta.failedKeys ?? [];
      noteOutcome(state, entry);
      return;
    case "run.completed":
    case "run.cancelled":
    case "workflow.waiting":
      noteOutcome(state, entry);
      return;
    case "run.recovered":
      noteLoss(state, entry);
      return;
    case "run.started":
    case "run.resumed":
    case "run.input.replaced":
    case "run.tags.changed":
      return;
  }
}

/** The record of the entry's key, made if need be, with what every entry says about its step. */
function record(state: RunMemory, entry: EntryHead): StepRecord {
  const meta = entry.meta;
  const existing = state.steps.get(entry.key);
  if (existing === undefined) {
    const made: StepRecord = {
      status: "started",
      kind: meta.kind ?? "step",
      name: meta.name ?? entry.key,
      attempt: entry.attempt,
      failures: 0,
      seq: entry.seq,
      at: entry.at,
      firstAt: entry.at - (meta.ms ?? 0),
      fence: meta.fence ?? 0,
      inputDigest: meta.inputDigest ?? "",
      definitionDigest: meta.definitionDigest ?? "",
      until: 0,
      atMostOnce: false,
      timeoutMs: 0,
      retryPolicy: undefined,
      requestId: "",
      failure: undefined,
      isVerdict: false,
      signalName: "",
      taken: "",
      childRunId: "",
      outcome: undefined,
      wait: undefined,
      deaths: NO_DEATHS,
    };
    state.steps.set(entry.key, made);
    return made;
  }
  if (isForgotten(existing)) startAnew(existing, entry);
  existing.attempt = entry.attempt;
  existing.seq = entry.seq;
  existing.at = entry.at;
  existing.fence = meta.fence ?? existing.fence;
  existing.inputDigest = meta.inputDigest ?? existing.inputDigest;
  existing.definitionDigest = meta.definitionDigest ?? existing.definitionDigest;
  return existing;
}

/** Whether a step or wait counts as not recorded: a caller that asks for it is told to begin anew. */
export function isForgotten({ status }: StepRecord): boolean {
  return status === "superseded" || status === "cancelled" || status === "closed";
}

/** A wait that was lost by a race which continues after all is the one that it was. */
export function isReopened(step: StepRecord): boolean {
  return step.status === "closed" && step.wait?.closed?.why === "lost";
}

/** Only the count of attempts continues; time limits and identity are new. */
function startAnew(step: StepRecord, entry: EntryHead): void {
  if (!isReopened(step)) step.firstAt = entry.at - (entry.meta.ms ?? 0);
  step.inputDigest = "";
  step.definitionDigest = "";
  step.retryPolicy = undefined;
}

function startStep(step: StepRecord, entry: EntryHead): void {
  step.status = "started";
  step.atMostOnce = entry.meta.atMostOnce ?? false;
  step.timeoutMs = entry.meta.timeoutMs ?? 0;
  step.retryPolicy = entry.meta.retryPolicy ?? step.retryPolicy;
  step.requestId = entry.meta.requestId ?? "";
}

function failStep(step: StepRecord, status: "backoff" | "failed", entry: EntryHead): void {
  step.status = status;
  step.failures += 1;
  step.until = entry.meta.until ?? 0;
  step.failure = entry.meta.failure;
  step.isVerdict = entry.meta.worker === undefined;
}

function openWait(state: RunMemory, step: StepRecord, entry: EntryHead): void {
  const { question } = entry.meta;
  const before = isReopened(step) && isEqual(step.wait?.question, question) ? step.wait : undefined;
  step.status = "waiting";
  step.outcome = undefined;
  step.failure = undefined;
  step.until = entry.meta.until ?? 0;
  step.signalName = entry.meta.signalName ?? "";
  step.taken = "";
  step.childRunId = entry.meta.childRunId ?? "";
  step.wait = {
    question,
    cron: entry.meta.cron ?? "",
    timeZone: entry.meta.timeZone ?? "",
    answers: before?.answers ?? [],
    reminders: before?.reminders ?? 0,
    resolution: undefined,
    closed: undefined,
  };
  state.openWaits += 1;
}

function isEqual(a: Question | undefined, b: Question | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function closeWait(state: RunMemory, step: StepRecord, { at, meta }: EntryHead): void {
  if (step.status === "waiting") state.openWaits -= 1;
  giveUp(step, meta.closed ?? "lost", at, meta.details?.version);
  const { returned } = meta;
  const seq = returned === undefined ? undefined : state.signalSeqs.get(returned);
  if (returned === undefined || seq === undefined) return;
  const after = state.inbox.findIndex((signal) => signal.seq > seq);
  const signal = { seq, name: step.signalName, signalId: returned };
  state.inbox.splice(after < 0 ? state.inbox.length : after, 0, signal);
}

function giveUp(step: StepRecord, why: ClosedWhy, at: number, version = ""): void {
  step.status = "closed";
  step.outcome = undefined;
  step.taken = "";
  if (step.wait === undefined) return;
  step.wait.resolution = undefined;
  step.wait.closed = { why, at, version };
}

/** From a cancel on, the code is given nothing that it waited for before. */
function giveUpWaits(state: RunMemory, at: number): void {
  for (const step of state.steps.values())
    if (step.status === "waiting") giveUp(step, "cancelled", at);
  state.openWaits = 0;
}

/** What an entry says about who answered or ended a wait. */
function answerOf({ seq, at, meta }: EntryHead): Answer {
  return {
    resolutionId: meta.resolutionId ?? "",
    seq,
    at,
    actor: meta.actor ?? "",
    comment: meta.comment ?? "",
    via: meta.via ?? "api",
    ...(meta.approved === undefined ? {} : { approved: meta.approved }),
  };
}

/** Answers of those who are not asked any more do not count. */
function askOthers(wait: WaitRecord | undefined, question: Question | undefined): void {
  if (wait === undefined || question === undefined) return;
  wait.question = question;
  wait.answers = wait.answers.filter(({ actor }) => isAsked(question, actor));
}

function noteReminder(state: RunMemory, key: string): void {
  const wait = state.steps.get(key)?.wait;
  if (wait !== undefined) wait.reminders += 1;
}

function resolveWait(state: RunMemory, step: StepRecord, entry: EntryHead): void {
  const isOpen = step.status === "waiting";
  step.status = "resolved";
  step.outcome = entry.meta.outcome;
  step.failure = entry.meta.failure;
  if (step.wait !== undefined && entry.meta.outcome !== undefined)
    step.wait.resolution = { ...answerOf(entry), outcome: entry.meta.outcome };
  if (isOpen) state.openWaits -= 1;
  const taken = entry.meta.signalId;
  step.taken = taken ?? "";
  if (taken !== undefined) state.inbox = state.inbox.filter((signal) => signal.signalId !== taken);
}

function receiveSignal(state: RunMemory, entry: EntryHead): void {
  const signalId = entry.meta.signalId ?? "";
  state.signalSeqs.set(signalId, entry.seq);
  state.inbox.push({ seq: entry.seq, name: entry.meta.signalName ?? "", signalId });
}

function noteLoss(state: RunMemory, { meta }: EntryHead): void {
  const { fence = 0, worker = "" } = meta;
  // A careful worker has written down all that it started.
  if (!state.careful || state.lostFence === fence) state.unnumbered = fence;
  state.lostFence = fence;
  state.careful = true;
  if (meta.reason !== "disconnected" && meta.reason !== "expired") return;
  for (const step of state.steps.values()) {
    if (step.status !== "started" || step.fence !== fence) continue;
    // Lost more than once under one fence, it has arrived back in between.
    if (step.deaths.at(-1)?.fence !== fence) step.deaths = [...step.deaths, { worker, fence }];
  }
}

function supersede(state: RunMemory, key: string): void {
  const step = state.steps.get(key);
  if (step === undefined) return;
  step.status = "superseded";
  step.failures = 0;
  step.failure = undefined;
  step.deaths = NO_DEATHS;
}

function noteOutcome(state: RunMemory, entry: EntryHead): void {
  state.outcomeFence = entry.meta.fence ?? 0;
  state.outcomeSeq = entry.seq;
}

/** Whether the run has something to do now: a resolved wait, an ended step, a backoff that is over. */
export function satisfied(state: RunMemory, tree: WaitTree, now: number): boolean {
  if ("key" in tree) {
    const step = state.steps.get(tree.key);
    if (step === undefined) return true;
    if (step.status === "backoff") return step.until <= now;
    return step.status !== "waiting";
  }
  let met = 0;
  for (const member of tree.members) {
    if (satisfied(state, member, now)) met += 1;
    if (met >= tree.needed) return true;
  }
  return met >= tree.needed;
}
