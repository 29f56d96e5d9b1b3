/** What OpenAPI reports the signed links, which `links.ts` serves: their token is the credential. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { Reason } from "../../model/errors.ts";
import { PROBLEM_TYPE } from "../problem.ts";
import { type AnswerSpec, JSON_TYPE, type Operation, textParameter } from "./route.ts";

const HTML = "text/html";
const TAG = "Links";
const TOKEN = textParameter(
  "token",
  "path",
  "The last part of a link's URL, which works like a key.",
);
const ERRORS: readonly Reason[] = ["PERMISSION_DENIED", "PAYLOAD_TOO_LARGE", "RATE_LIMITED"];

const problem = () => ({ [PROBLEM_TYPE]: () => ({ $ref: "#/components/schemas/Problem" }) });

/** Links have statuses of their own: what can no longer be used is gone. */
const OVER: readonly AnswerSpec[] = [
  { status: 409, description: "WAIT_ALREADY_RESOLVED", content: problem() },
  {
    status: 410,
    description: "The link has expired, or the wait is closed: RUN_TERMINAL, NOT_FOUND …",
    content: problem(),
  },
];

const RECORDED: JsonObject = {
  type: "object",
  properties: {
    status: { const: "recorded" },
    duplicate: { type: "boolean", description: "Whether the same answer was received before." },
    open: { type: "boolean", description: "Whether more people must approve." },
  },
  required: ["status", "duplicate"],
};

const QUESTION: JsonObject = {
  type: "object",
  properties: {
    question: {
      type: "object",
      properties: {
        prompt: { type: "string" },
        type: { enum: ["text", "approval", "choice", "multichoice", "form"] },
      },
      required: ["prompt", "type"],
    },
    assignee: { type: "string", description: "Who is asked; empty: anyone." },
  },
  required: ["question", "assignee"],
};

const ANSWER: JsonObject = {
  type: "object",
  properties: {
    answer: { description: "As in `answerWait`." },
    skip: { type: "boolean", description: "Instead of an answer, if the question allows it." },
    comment: { type: "string" },
  },
};

export const LINK_OPERATIONS: readonly Operation[] = [
  {
    ...{ method: "GET", path: "/v1/answers/{token}", id: "getQuestion", tag: TAG, isPublic: true },
    summary: "Show a question by its link",
    description: "A page with a form for people; JSON with `Accept: application/json`.",
    parameters: [TOKEN],
    answers: [
      {
        status: 200,
        description: "The question, and who is asked.",
        content: { [JSON_TYPE]: () => QUESTION, [HTML]: () => ({ type: "string" }) },
      },
      ...OVER,
    ],
    errors: ERRORS,
  },
  {
    ...{
      method: "POST",
      path: "/v1/answers/{token}",
      id: "answerQuestion",
      tag: TAG,
      isPublic: true,
    },
    summary: "Answer a question by its link, once",
    parameters: [TOKEN],
    body: {
      required: true,
      description: "The answer, as JSON or as the page's form sends it.",
      content: {
        [JSON_TYPE]: () => ANSWER,
        "application/x-www-form-urlencoded": () => ({ type: "object" }),
      },
    },
    answers: [
      {
        status: 200,
        description: "The answer is recorded.",
        content: { [JSON_TYPE]: () => RECORDED, [HTML]: () => ({ type: "string" }) },
      },
      ...OVER,
    ],
    errors: [...ERRORS, "INVALID_ANSWER"],
  },
  {
    ...{ method: "POST", path: "/v1/callbacks/{token}", id: "callBack", tag: TAG, isPublic: true },
    summary: "Resolve a callback by its link, once",
    description: "The body is its value: JSON if the content type says so, otherwise raw bytes.",
    parameters: [TOKEN],
    body: {
      required: false,
      description: "The value.",
      content: { [JSON_TYPE]: () => ({}), "*/*": () => ({ type: "string" }) },
    },
    answers: [
      {
        status: 200,
        description: "The answer is recorded.",
        content: { [JSON_TYPE]: () => RECORDED },
      },
      ...OVER,
    ],
    errors: ERRORS,
  },
];
