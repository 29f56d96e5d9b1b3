/** Questions to people, and what is an answer to them. */
import { JsonError, parseJson } from "../lib/json.ts";
import { BOUNDS } from "./bounds.ts";
import { invalid, PawlError } from "./errors.ts";

export const QUESTION_TYPES = ["text", "approval", "choice", "multichoice", "form"] as const;
export type QuestionType = (typeof QUESTION_TYPES)[number];

export interface QuestionOption {
  readonly value: string;
  /** Empty: the value. */
  readonly label: string;
}

/** What a run asks; fixed when the wait is registered. Absent means no, none or empty. */
export interface Question {
  readonly prompt: string;
  readonly type: QuestionType;
  readonly options?: readonly QuestionOption[];
  readonly allowCustom?: boolean;
  readonly skippable?: boolean;
  /** JSON Schema as JSON text. */
  readonly formSchema?: string;
  /** Who may answer; none: anybody. */
  readonly assignees?: readonly string[];
  /** At least 2; absent: 1. */
  readonly approvalsNeeded?: number;
  /** In ms from when it was asked, ascending. */
  readonly remindersMs?: readonly number[];
}

/** The way in which an answer came. */
export type AnswerVia = "api" | "link" | "callback";

/** One person's answer, without what it says, which is in the journal. */
export interface Answer {
  readonly resolutionId: string;
  /** The entry that records it. */
  readonly seq: number;
  readonly at: number;
  readonly actor: string;
  readonly comment: string;
  readonly via: AnswerVia;
  /** Set for an approval. */
  readonly approved?: boolean;
}

/** Whether the question is for that person. */
export function isAsked({ assignees = [] }: Question, actor: string): boolean {
  return assignees.length === 0 || assignees.includes(actor);
}

/** Refuses a question that nobody could answer. */
export function checkQuestion(question: Question): void {
  const field = (name: string): string => `wait.question.${name}`;
  if (question.prompt === "") throw invalid(field("prompt"), "must be set");
  const { type, options = [], assignees = [], approvalsNeeded = 1 } = question;
  const chosen = type === "choice" || type === "multichoice";
  if (options.length > 0 && !chosen) throw invalid(field("options"), `do not go with ${type}`);
  if (type === "choice" && options.length === 0 && question.allowCustom !== true)
    throw invalid(field("options"), "must be set: there is nothing to choose from");
  if (question.allowCustom === true && !chosen)
    throw invalid(field("allow_custom"), `does not go with ${type}`);
  if ((type === "form") !== ((question.formSchema ?? "") !== ""))
    throw invalid(field("form_schema"), "goes with the type form, and only with that");
  const values = new Set(options.map(({ value }) => value));
  if (values.size < options.length) throw invalid(field("options"), "have the same value twice");
  if (new Set(assignees).size < assignees.length)
    throw invalid(field("assignees"), "name somebody twice");
  if (approvalsNeeded > 1 && type !== "approval")
    throw invalid(field("approvals_needed"), `does not go with ${type}`);
  if (assignees.length > 0 && approvalsNeeded > assignees.length) {
    const problem = `is ${approvalsNeeded}, but there are only ${assignees.length} assignees`;
    throw invalid(field("approvals_needed"), problem);
  }
}

/** What an answer may be, in words. */
export function allowedAnswers({ type, options = [], allowCustom }: Question): string {
  const values = JSON.stringify(options.map(({ value }) => value));
  switch (type) {
    case "text":
      return "a JSON string";
    case "approval":
      return "true (approved) or false (rejected)";
    case "choice":
      return allowCustom === true
        ? `any JSON string, such as one of ${values}`
        : `one of ${values}`;
    case "multichoice":
      return allowCustom === true
        ? `a JSON array of different strings, such as some of ${values}`
        : `a JSON array of different values out of ${values}`;
    case "form":
      return "JSON that fits the question's form_schema";
  }
}

/** `problem` completes the sentence "The answer …". */
export function invalidAnswer(question: Question, problem: string): PawlError {
  const allowed = allowedAnswers(question);
  return new PawlError("INVALID_ANSWER", `The answer ${problem}. Allowed: ${allowed}.`, {
    metadata: { type: question.type, allowed },
  });
}

/**
 * Refuses what is not an answer to the question. `checkForm` returns what is wrong with a form's
 * value, or nothing.
 */
export function checkAnswer(
  question: Question,
  value: unknown,
  checkForm: (schema: string, value: unknown) => string,
): void {
  const problem = problemOf(question, value, checkForm);
  if (problem !== "") throw invalidAnswer(question, problem);
}

function problemOf(
  question: Question,
  value: unknown,
  checkForm: (schema: string, value: unknown) => string,
): string {
  switch (question.type) {
    case "text":
      return typeof value === "string" ? "" : `is ${kindOf(value)}, not a string`;
    case "approval":
      return typeof value === "boolean" ? "" : `is ${kindOf(value)}, neither true nor false`;
    case "choice":
      return choiceProblem(question, value);
    case "multichoice": {
      if (!Array.isArray(value)) return `is ${kindOf(value)}, not an array`;
      if (new Set(value).size < value.length) return "names a value twice";
      return value.map((one) => choiceProblem(question, one)).find((one) => one !== "") ?? "";
    }
    case "form": {
      const problem = checkForm(question.formSchema ?? "", value);
      return problem === "" ? "" : `does not fit: ${problem}`;
    }
  }
}

function choiceProblem({ options = [], allowCustom }: Question, value: unknown): string {
  if (typeof value !== "string") return `has ${kindOf(value)} where a string must be`;
  if (allowCustom === true || options.some((option) => option.value === value)) return "";
  return `is not among the options`;
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/** The value of an answer's JSON. */
export function parseAnswer(question: Question, data: Uint8Array, encoding: string): unknown {
  if (data.byteLength > BOUNDS.answerBytes)
    throw invalidAnswer(
      question,
      `has ${data.byteLength} bytes; ${BOUNDS.answerBytes} are allowed`,
    );
  if (encoding !== "json" && encoding !== "json+pawl")
    throw invalidAnswer(question, `has the encoding \`${encoding}\`, not \`json\``);
  try {
    return parseJson(data, BOUNDS.jsonDepth);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw invalidAnswer(question, error.message);
  }
}

/** How many different people must approve. */
export function approvalsNeeded(question: Question): number {
  return question.type === "approval" ? (question.approvalsNeeded ?? 1) : 1;
}

/** Who a list by assignee shows the question to. */
export function listedAssignees(question: Question): readonly string[] {
  return question.assignees === undefined || question.assignees.length === 0
    ? [""]
    : question.assignees;
}
