/** Waits, both ways. */
import { create } from "@bufbuild/protobuf";
import {
  AnswerVia,
  type AnswerWaitRequest,
  type CreateWaitLinkRequest,
  type ListWaitsRequest,
  type Wait,
  WaitSchema,
} from "@pawl/proto";
import type { AnswerWait, ListWaits, WaitView } from "../../engine/engine-api.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { invalid } from "../../model/errors.ts";
import type { Answer } from "../../model/question.ts";
import {
  outcomeOut,
  payloadIn,
  timestamp,
  timestampOrUnset,
  waitKindIn,
  waitKindOut,
} from "./common-messages.ts";
import { durationMs, name, pageSize, requiredText, runId, text } from "./fields.ts";
import { questionOut } from "./question-messages.ts";

/** Since, run id and step key, in base64. */
const PAGE_TOKEN_BYTES = 2 * (BOUNDS.stepKeyBytes + BOUNDS.idBytes);

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
    kinds: request.kinds.map((value) => waitKindIn("kinds", value)),
    assignee: name("assignee", request.assignee),
    includeUnassigned: request.includeUnassigned,
    workflow: name("workflow", request.workflow),
    runId: text("run_id", request.runId, BOUNDS.idBytes),
    closed: request.closed,
    pageSize: pageSize(request.pageSize, BOUNDS.listPageDefault, BOUNDS.listPageMax),
    pageToken: text("page_token", request.pageToken, PAGE_TOKEN_BYTES),
  };
}

export function commentIn(value: string): string {
  return text("comment", value, BOUNDS.commentBytes);
}

export function waitIdIn(value: string): string {
  return requiredText("wait_id", value, BOUNDS.nameBytes);
}

/** What an answer says, and which wait it is for: by its id, or by its run. */
export function answerWaitIn(request: AnswerWaitRequest): {
  readonly wait: { readonly waitId: string } | { readonly runId: string; readonly key: string };
  readonly answer: Omit<AnswerWait, "runId" | "key" | "runUid">;
} {
  const { response } = request;
  if (response.case === undefined || (response.case === "skip" && !response.value)) {
    throw invalid("answer", "or skip must be set");
  }
  if (request.waitId !== "" && request.runId !== "") {
    throw invalid("run_id", "cannot be combined with wait_id: each names what is answered");
  }
  if (request.stepKey !== "" && request.runId === "") {
    throw invalid("step_key", "only goes with run_id");
  }
  return {
    wait:
      request.runId === ""
        ? { waitId: waitIdIn(request.waitId) }
        : {
            runId: runId(request.runId),
            key: text("step_key", request.stepKey, BOUNDS.stepKeyBytes),
          },
    answer: {
      resolutionId: text("resolution_id", request.resolutionId, BOUNDS.idBytes),
      ...(response.case === "answer" && { answer: payloadIn("answer", response.value) }),
      actor: name("actor", request.actor),
      comment: commentIn(request.comment),
      via: "api",
    },
  };
}

export function createWaitLinkIn(request: CreateWaitLinkRequest): {
  readonly waitId: string;
  readonly assignee: string;
  readonly expiresInMs: number;
} {
  const { expiresIn } = request;
  return {
    waitId: waitIdIn(request.waitId),
    assignee: name("assignee", request.assignee),
    expiresInMs:
      expiresIn === undefined
        ? BOUNDS.answerLinkMs
        : durationMs("expires_in", expiresIn, BOUNDS.answerLinkMaxMs),
  };
}

const VIA: Readonly<Record<Answer["via"], AnswerVia>> = {
  api: AnswerVia.API,
  link: AnswerVia.LINK,
  callback: AnswerVia.CALLBACK,
};

function answerOut(answer: Answer) {
  return {
    actor: answer.actor,
    at: timestamp(answer.at),
    ...(answer.approved !== undefined && { approved: answer.approved }),
    comment: answer.comment,
    via: VIA[answer.via],
    resolutionId: answer.resolutionId,
  };
}

export function waitOut(view: WaitView): Wait {
  const { resolution, closed } = view;
  const due = timestampOrUnset(view.due);
  return create(WaitSchema, {
    waitId: view.waitId,
    runId: view.runId,
    stepKey: view.key,
    workflow: view.workflow,
    kind: waitKindOut(view.kind),
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
      outcome: outcomeOut(resolution.outcome),
      resolvedAt: timestamp(resolution.at),
      resolvedBy: resolution.actor,
      comment: resolution.comment,
    }),
    ...(closed && { outcome: outcomeOut(closed.why), resolvedAt: timestamp(closed.at) }),
  });
}
