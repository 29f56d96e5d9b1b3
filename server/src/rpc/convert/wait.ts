/** Waits, both ways. */
import { create } from "@bufbuild/protobuf";
import {
  type CreateAnswerLinkRequest,
  type ListWaitsRequest,
  type ResolveWaitRequest,
  type Wait,
  WaitSchema,
} from "@pawl/proto";
import type { ListWaits, ResolveWait, WaitId, WaitView } from "../../engine/api-waits.ts";
import { isWaitKind } from "../../model/entry.ts";
import { invalid } from "../../model/errors.ts";
import { LIMITS } from "../../model/limits.ts";
import type { Answer } from "../../model/question.ts";
import { payloadIn, stepKindIn, stepKindOut, timestamp, timestampOrUnset } from "./common.ts";
import { durationMs, name, pageSize, text } from "./field.ts";
import { questionOut, waitIdIn, waitIdOf } from "./question.ts";

/** Since, run id and step key, in base64. */
const PAGE_TOKEN_BYTES = 2 * (LIMITS.stepKeyBytes + LIMITS.idBytes);

export function listWaitsIn(request: ListWaitsRequest): ListWaits {
  if (request.includeUnassigned && request.assignee === "") {
    throw invalid("include_unassigned", "requires an assignee");
  }
  if (request.closed && request.assignee !== "") {
    throw invalid(
      "assignee",
      "cannot be combined with `closed`, because closed waits cannot be answered",
    );
  }
  return {
    kinds: request.kinds.map((value) => {
      const kind = stepKindIn(value);
      if (!isWaitKind(kind)) throw invalid("kinds", `${kind} is not a kind of wait`);
      return kind;
    }),
    assignee: name("assignee", request.assignee),
    includeUnassigned: request.includeUnassigned,
    workflow: name("workflow", request.workflow),
    runId: text("run_id", request.runId, LIMITS.idBytes),
    closed: request.closed,
    pageSize: pageSize(request.pageSize, LIMITS.listPageDefault, LIMITS.listPageMax),
    pageToken: text("page_token", request.pageToken, PAGE_TOKEN_BYTES),
  };
}

export function commentIn(value: string): string {
  return text("comment", value, LIMITS.commentBytes);
}

export function resolveWaitIn(request: ResolveWaitRequest): ResolveWait {
  const { resolution } = request;
  if (resolution.case === undefined || (resolution.case === "skip" && !resolution.value)) {
    throw invalid("answer", "or skip must be set");
  }
  return {
    ...waitIdIn(request.waitId),
    resolutionId: text("resolution_id", request.resolutionId, LIMITS.idBytes),
    ...(resolution.case === "answer" && { answer: payloadIn("answer", resolution.value) }),
    actor: name("actor", request.actor),
    comment: commentIn(request.comment),
    via: "api",
  };
}

export function createAnswerLinkIn(request: CreateAnswerLinkRequest): {
  readonly id: WaitId;
  readonly assignee: string;
  readonly expiresInMs: number;
} {
  const { expiresIn } = request;
  return {
    id: waitIdIn(request.waitId),
    assignee: name("assignee", request.assignee),
    expiresInMs:
      expiresIn === undefined
        ? LIMITS.answerLinkMs
        : durationMs("expires_in", expiresIn, LIMITS.answerLinkMaxMs),
  };
}

function answerOut(answer: Answer) {
  return {
    actor: answer.actor,
    at: timestamp(answer.at),
    ...(answer.approved !== undefined && { approved: answer.approved }),
    comment: answer.comment,
    via: answer.via,
    resolutionId: answer.resolutionId,
  };
}

export function waitOut(view: WaitView): Wait {
  const { resolution, closed } = view;
  const due = timestampOrUnset(view.due);
  return create(WaitSchema, {
    waitId: waitIdOf(view.runId, view.key),
    runId: view.runId,
    stepKey: view.key,
    workflow: view.workflow,
    kind: stepKindOut(view.kind),
    name: view.name,
    since: timestamp(view.since),
    ...(due && { due }),
    ...(view.question && { question: questionOut(view.question) }),
    answers: view.answers.map(answerOut),
    remindersSent: view.reminders,
    signalName: view.signalName,
    childRunId: view.childRunId,
    cron: view.cron,
    timeZone: view.timeZone,
    ...(resolution && {
      outcome: resolution.outcome,
      resolvedAt: timestamp(resolution.at),
      resolvedBy: resolution.actor,
      comment: resolution.comment,
    }),
    ...(closed && { outcome: closed.why, resolvedAt: timestamp(closed.at) }),
  });
}
