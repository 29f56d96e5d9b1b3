/** What people and outside processes do to open waits: answer, skip, call back, cancel, be reminded. */

import { isDeepStrictEqual } from "node:util";
import { jsonProblem } from "../../lib/json.ts";
import { BOUNDS } from "../../model/bounds.ts";
import type { ClosedWhy, EntryMeta, WaitOutcome } from "../../model/entry.ts";
import { isWaitKind } from "../../model/entry.ts";
import { invalid, notFound, PawlError } from "../../model/errors.ts";
import type { Payload } from "../../model/payload.ts";
import {
  type Answer,
  type AnswerVia,
  approvalsNeeded,
  checkQuestion,
  invalidAnswer,
  isAsked,
  type Question,
} from "../../model/question.ts";
import { isTerminal, type RunStatus } from "../../model/run.ts";
import { waitIdOf } from "../../model/wait-id.ts";
import type { Draft } from "../draft.ts";
import type { StepRecord, WaitRecord } from "../journal/run-memory.ts";
import type { ClosedWait } from "../waits/wait-types.ts";
import { readyIfSatisfied } from "./readiness.ts";
import { nextReminder, remindLater, resolve, waitMeta } from "./wait-changes.ts";

export interface AnswerCommand {
  readonly key: string;
  readonly resolutionId: string;
  /** Absent: skip. */
  readonly answer?: Payload | undefined;
  /** Empty where nobody says. */
  readonly actor: string;
  readonly comment: string;
  readonly via: AnswerVia;
}

/** Returns the value of an answer, or throws INVALID_ANSWER. */
export type AnswerCheck = (question: Question, answer: Payload) => unknown;

/**
 * `duplicate`: this resolution is recorded, for its payload to be compared. `answered`: this
 * person has answered before. `resolved`: the wait is over.
 */
export type AnswerDecision =
  | { readonly kind: "recorded" }
  | { readonly kind: "duplicate"; readonly seq: number; readonly skipped: boolean }
  | { readonly kind: "answered"; readonly by: Answer }
  | { readonly kind: "resolved" };

/** The wait of that key. */
export function findWait(draft: Draft, key: string): StepRecord & { readonly wait: WaitRecord } {
  const step = draft.state.steps.get(key);
  if (step === undefined || !isWaitKind(step.kind) || step.wait === undefined)
    throw notFound("wait", waitIdOf(draft.header, key));
  return { ...step, wait: step.wait };
}

function mustGoOn(draft: Draft): void {
  const { header } = draft;
  if (isTerminal(header.status)) throw runEnded(header.runId, header.status);
}

export function runEnded(runId: string, status: RunStatus): PawlError {
  return new PawlError(
    "RUN_TERMINAL",
    `Run "${runId}" has ended (${status}), so this wait is closed.`,
    { metadata: { run_id: runId, status } },
  );
}

const CLOSED: Readonly<Record<ClosedWhy, string>> = {
  lost: "the code went another way",
  withdrawn: "the code that is deployed now does not ask for it",
  cancelled: "its run is being ended",
};

export function waitClosed(waitId: string, { why, at }: ClosedWait): PawlError {
  const when = new Date(at).toISOString();
  return new PawlError(
    "WAIT_CLOSED",
    `Nobody waits for "${waitId}" any more, since ${when}: ${CLOSED[why]}. Nothing was recorded.`,
    { metadata: { wait_id: waitId, why, closed_at: when } },
  );
}

export function answerWait(
  draft: Draft,
  command: AnswerCommand,
  check: AnswerCheck,
): AnswerDecision {
  const { wait, kind, status } = findWait(draft, command.key);
  if (kind !== "user" && kind !== "callback") {
    const instead = kind === "signal" ? "SendSignal" : "CancelWait";
    throw invalid("wait_id", `names a wait of the kind ${kind}; use ${instead} for it`);
  }
  const known = knownResolution(wait, command.resolutionId);
  if (known !== undefined) return known;
  if (status === "resolved") return { kind: "resolved" };
  mustGoOn(draft);
  if (wait.closed !== undefined) throw waitClosed(waitIdOf(draft.header, command.key), wait.closed);
  if (wait.question === undefined) return callBack(draft, command);
  return answerQuestion(draft, command, wait, wait.question, check);
}

function knownResolution(wait: WaitRecord, id: string): AnswerDecision | undefined {
  const { resolution } = wait;
  const answer = wait.answers.find((one) => one.resolutionId === id);
  if (answer !== undefined) return { kind: "duplicate", seq: answer.seq, skipped: false };
  if (resolution?.resolutionId !== id) return undefined;
  return { kind: "duplicate", seq: resolution.seq, skipped: resolution.outcome === "skipped" };
}

function callBack(draft: Draft, command: AnswerCommand): AnswerDecision {
  const { answer } = command;
  if (answer === undefined) throw invalid("skip", "is not allowed for a callback");
  if (answer.encoding === "json" && answer.data !== undefined) {
    const problem = jsonProblem(answer.data, BOUNDS.jsonDepth);
    if (problem !== undefined) throw invalid("answer", problem);
  }
  resolve(draft, command.key, "completed", metaOf(command), answer);
  readyIfSatisfied(draft);
  return { kind: "recorded" };
}

function answerQuestion(
  draft: Draft,
  command: AnswerCommand,
  wait: WaitRecord,
  question: Question,
  check: AnswerCheck,
): AnswerDecision {
  const { key, actor, answer } = command;
  checkActor(question, actor);
  const before = wait.answers.find((one) => one.actor === actor);
  if (before !== undefined) return { kind: "answered", by: before };
  if (answer === undefined) {
    if (question.skippable !== true) throw invalidAnswer(question, "must not be skipped");
    resolve(draft, key, "skipped", metaOf(command));
    readyIfSatisfied(draft);
    return { kind: "recorded" };
  }
  const value = check(question, answer);
  const meta = metaOf(command);
  if (typeof value === "boolean" && question.type === "approval") meta.approved = value;
  const step = findWait(draft, key);
  const { seq } = draft.append(
    "workflow.user.answered",
    key,
    step.attempt,
    { ...waitMeta(key, step), ...meta },
    answer,
  );
  if (isDecided(question, wait)) {
    const outcome: WaitOutcome = "answered";
    resolve(draft, key, outcome, { ...meta, payloadSeq: seq, ...answersMeta(question, wait) });
    readyIfSatisfied(draft);
  } else draft.waits.list(key);
  return { kind: "recorded" };
}

/**
 * The code that asks an open question again names other people, or needs more or fewer of them, as
 * after a deploy: votes of those who are still asked count, and the entry says whose do not.
 */
export function askOthers(draft: Draft, key: string, asked: Question): void {
  const step = findWait(draft, key);
  const { question: before, answers } = step.wait;
  if (before === undefined || before.type !== asked.type) return;
  const { assignees = [] } = asked;
  const needed = approvalsNeeded(asked);
  if (isDeepStrictEqual([before.assignees ?? [], approvalsNeeded(before)], [assignees, needed]))
    return;
  checkQuestion(asked);
  const question: Question = { ...before, assignees, approvalsNeeded: needed };
  const dropped = answers.map(({ actor }) => actor).filter((actor) => !isAsked(question, actor));
  const meta: EntryMeta = { ...waitMeta(key, step), question };
  if (dropped.length > 0) meta.details = { dropped: JSON.stringify(dropped) };
  draft.append("workflow.wait.changed", key, step.attempt, meta);
  draft.waits.list(key);
  const { wait } = findWait(draft, key);
  const last = wait.answers.at(-1);
  if (last === undefined || !isDecided(question, wait)) return;
  const vote = last.approved === undefined ? {} : { approved: last.approved };
  const extra = { ...metaOf({ key, ...last }), ...vote, payloadSeq: last.seq };
  resolve(draft, key, "answered", { ...extra, ...answersMeta(question, wait) });
}

/** One rejection is enough; of approvals, as many as the question needs. */
function isDecided(question: Question, { answers }: WaitRecord): boolean {
  if (answers.some(({ approved }) => approved === false)) return true;
  return answers.length >= approvalsNeeded(question);
}

/** Who approved and who did not, for the code that asked. */
function answersMeta(question: Question, { answers }: WaitRecord): EntryMeta {
  if (question.type !== "approval") return {};
  const list = answers.map(({ actor, at, approved, comment, via }) => ({
    actor,
    at: new Date(at).toISOString(),
    approved,
    comment,
    via,
  }));
  return { details: { answers: JSON.stringify(list) } };
}

export function checkActor(question: Question, actor: string): void {
  const { assignees = [] } = question;
  if (assignees.length === 0) {
    if (actor === "" && approvalsNeeded(question) > 1)
      throw invalid("actor", "must be set: the question needs several people's approval");
    return;
  }
  if (assignees.includes(actor)) return;
  throw new PawlError(
    "PERMISSION_DENIED",
    actor === ""
      ? `The question is for ${assignees.join(", ")}; say in \`actor\` who answers.`
      : `"${actor}" may not answer: the question is for ${assignees.join(", ")}.`,
    { metadata: { actor, assignees: JSON.stringify(assignees) } },
  );
}

function metaOf({ actor, comment, via, resolutionId }: AnswerCommand): EntryMeta {
  return {
    resolutionId,
    via,
    ...(actor === "" ? {} : { actor }),
    ...(comment === "" ? {} : { comment }),
  };
}

/** Returns whether the wait was open, or nobody waits any more; false: it has another outcome. */
export function cancelWait(draft: Draft, key: string, actor: string, comment: string): boolean {
  const step = findWait(draft, key);
  if (step.status === "closed") return true;
  if (step.status !== "waiting") return step.outcome === "cancelled";
  mustGoOn(draft);
  const meta: EntryMeta = { via: "api" };
  if (actor !== "") meta.actor = actor;
  if (comment !== "") meta.comment = comment;
  if (step.kind === "child") {
    meta.childRunId = step.childRunId;
    meta.failure = { type: "Cancelled", message: "The wait for the child run was cancelled." };
  }
  resolve(draft, key, "cancelled", meta);
  readyIfSatisfied(draft);
  return true;
}

/** A question's reminder is due. */
export function remind(draft: Draft, key: string): void {
  const step = draft.state.steps.get(key);
  if (step?.status !== "waiting" || step.wait === undefined) return;
  const next = nextReminder(step);
  if (next === undefined) return;
  if (next > draft.now) {
    // Read before another server recorded this one and put the next, or before the clock was set back.
    draft.due.put("remind", key, next);
    return;
  }
  const details = { reminder: String(step.wait.reminders + 1) };
  draft.append("workflow.wait.reminded", key, step.attempt, { ...waitMeta(key, step), details });
  draft.waits.list(key);
  remindLater(draft, key);
}
