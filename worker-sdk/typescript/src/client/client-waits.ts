/** Waits from a client's point of view: questions to answer, timers, callbacks. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import {
  AnswerVia,
  type Payload,
  type Question,
  QuestionType,
  type Wait,
  WaitKind as WaitKindCode,
  WaitOutcome,
  WaitSchema,
  WaitService,
} from "@pawl/proto";
import { decode } from "../codec/payload.ts";
import { type Duration, durationFromMs, durationMs, msFrom } from "../duration.ts";
import { RequestError } from "../errors.ts";
import { uuidv7 } from "../lib/ids.ts";
import { wordOf } from "../lib/words.ts";
import type { Platform } from "../transport/platform.ts";
import { codeOf, pageSizeOf } from "../transport/status.ts";
import { asPlain } from "./plain-view.ts";

export type WaitKind = "sleep" | "signal" | "child" | "user" | "callback";

const kinds: Readonly<Record<WaitKind, WaitKindCode>> = {
  sleep: WaitKindCode.SLEEP,
  signal: WaitKindCode.SIGNAL,
  child: WaitKindCode.CHILD,
  user: WaitKindCode.USER,
  callback: WaitKindCode.CALLBACK,
};

export interface WaitsOptions {
  /** Questions that name this person or role, and those that anybody may answer. */
  readonly assignee?: string;
  /** With `assignee`: also the questions that name nobody. Default: true. */
  readonly includeUnassigned?: boolean;
  readonly workflow?: string;
  readonly runId?: string;
  /** Any of these; `user` are the questions. Default: all. */
  readonly kinds?: readonly WaitKind[];
  /** 1 to 500. Default: 50. */
  readonly pageSize?: number;
  /** From the page before. */
  readonly pageToken?: string;
}

/** A question, as people are asked it. */
export interface QuestionView {
  readonly prompt: string;
  readonly type: "text" | "approval" | "choice" | "multichoice" | "form";
  readonly options: readonly { readonly value: string; readonly label: string }[];
  readonly allowCustom: boolean;
  readonly skippable: boolean;
  /** JSON Schema of a form. */
  readonly schema: unknown;
  /** Who may answer; empty: anyone. */
  readonly assignees: readonly string[];
  /** How many different people must approve. */
  readonly needed: number;
  /** In ms after the asking. */
  readonly remindersMs: readonly number[];
}

/** One answer that was given to a question. */
export interface AnswerView {
  readonly actor: string;
  readonly at: Date | undefined;
  /** Of an approval. */
  readonly approved: boolean | undefined;
  readonly comment: string;
  /** api or link; callback for a callback. */
  readonly via: string;
}

/** Something that a run waits for, or has waited for. JSON.stringify writes it as `GET /v1/waits` does. */
export interface WaitView {
  readonly waitId: string;
  readonly runId: string;
  readonly stepKey: string;
  readonly workflow: string;
  readonly kind: WaitKind;
  readonly name: string;
  readonly since: Date | undefined;
  /** When the timer fires or the wait times out; undefined: never. */
  readonly due: Date | undefined;
  readonly question: QuestionView | undefined;
  readonly answers: readonly AnswerView[];
  readonly childRunId: string;
  /** The cron expression of a sleep and its zone; empty where it has none. */
  readonly cron: string;
  readonly timeZone: string;
  /** The outcome: answered, skipped, fired, timed_out, cancelled …; empty while the wait is open. */
  readonly outcome: string;
  readonly resolvedAt: Date | undefined;
  readonly resolvedBy: string;
  readonly comment: string;
}

export interface AnswerOptions {
  /** Who answers. Required if the question has assignees or needs several approvals. */
  readonly actor?: string;
  /** Why. */
  readonly comment?: string;
  /** For deduplication: the same again is one answer. Default: a random one. */
  readonly resolutionId?: string;
}

export interface WaitLinkOptions {
  /** Who will answer with the link; one of the question's assignees, if it has any. */
  readonly assignee?: string;
  /** Default: 7 days; at most 365. */
  readonly expiresIn?: Duration;
}

type Time = Parameters<typeof timestampDate>[0];

function date(time: Time | undefined): Date | undefined {
  return time === undefined ? undefined : timestampDate(time);
}

function questionView(question: Question): QuestionView {
  const type = (QuestionType[question.type] ?? "TEXT").toLowerCase() as QuestionView["type"];
  const schema: unknown = question.formSchema === "" ? undefined : JSON.parse(question.formSchema);
  return {
    prompt: question.prompt,
    type,
    options: question.options.map(({ value, label }) => ({ value, label: label || value })),
    allowCustom: question.allowCustom,
    skippable: question.skippable,
    schema,
    assignees: question.assignees,
    needed: type === "approval" ? Math.max(1, question.approvalsNeeded) : 1,
    remindersMs: question.reminders.map(msFrom),
  };
}

export function waitView(wait: Wait | undefined): WaitView {
  if (wait === undefined) {
    throw new RequestError({
      reason: "INTERNAL",
      message: "the server answered without the wait",
      code: 13,
    });
  }
  const view: WaitView = {
    waitId: wait.waitId,
    runId: wait.runId,
    stepKey: wait.stepKey,
    workflow: wait.workflow,
    kind: wordOf(WaitKindCode, wait.kind) as WaitKind,
    name: wait.name,
    since: date(wait.since),
    due: date(wait.due),
    question: wait.question === undefined ? undefined : questionView(wait.question),
    answers: wait.answers.map(({ actor, at, approved, comment, via }) => ({
      actor,
      at: date(at),
      approved,
      comment,
      via: wordOf(AnswerVia, via),
    })),
    childRunId: wait.childRunId,
    cron: wait.cron,
    timeZone: wait.timeZone,
    outcome: wordOf(WaitOutcome, wait.outcome),
    resolvedAt: date(wait.resolvedAt),
    resolvedBy: wait.resolvedBy,
    comment: wait.comment,
  };
  return asPlain(view, WaitSchema, wait);
}

export async function listWaits(
  platform: Platform,
  options: WaitsOptions,
): Promise<{ waits: WaitView[]; nextPageToken: string }> {
  const { assignee = "", includeUnassigned = true } = options;
  const { waits, nextPageToken } = await platform.call(WaitService.method.listWaits, {
    kinds: (options.kinds ?? []).map((kind) => codeOf("kinds", kinds, kind)),
    assignee,
    includeUnassigned: assignee !== "" && includeUnassigned,
    workflow: options.workflow ?? "",
    runId: options.runId ?? "",
    pageSize: pageSizeOf(options.pageSize),
    pageToken: options.pageToken ?? "",
  });
  return { waits: waits.map(waitView), nextPageToken };
}

export async function getWait(
  platform: Platform,
  waitId: string,
): Promise<WaitView & { readonly payload: unknown }> {
  const { wait, payload } = await platform.call(WaitService.method.getWait, { waitId });
  const whole = payload === undefined ? undefined : await platform.download(payload);
  return Object.assign(waitView(wait), { payload: decode(whole) });
}

type Response =
  | { readonly case: "answer"; readonly value: Pick<Payload, "data" | "encoding"> | object }
  | { readonly case: "skip"; readonly value: boolean };

/** Answers a wait, or the only open question of a run; `answer` undefined: declines to answer. */
export async function answerWait(
  platform: Platform,
  which: { readonly waitId: string } | { readonly runId: string },
  answer: { readonly value: unknown } | undefined,
  { actor = "", comment = "", resolutionId = uuidv7() }: AnswerOptions,
): Promise<{ wait: WaitView; duplicate: boolean }> {
  const response: Response =
    answer === undefined
      ? { case: "skip", value: true }
      : { case: "answer", value: await platform.payload(answer.value, "the answer") };
  const { wait, duplicate } = await platform.call(WaitService.method.answerWait, {
    ...which,
    resolutionId,
    response,
    actor,
    comment,
  });
  return { wait: waitView(wait), duplicate };
}

export async function createWaitLink(
  platform: Platform,
  waitId: string,
  { assignee = "", expiresIn }: WaitLinkOptions,
): Promise<{ url: string; token: string; expiresAt: Date | undefined }> {
  const { url, token, expiresAt } = await platform.call(WaitService.method.createWaitLink, {
    waitId,
    assignee,
    ...(expiresIn === undefined ? {} : { expiresIn: durationFromMs(durationMs(expiresIn)) }),
  });
  return { url, token, expiresAt: date(expiresAt) };
}
