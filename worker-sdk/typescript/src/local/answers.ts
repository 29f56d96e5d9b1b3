/** Who answers the questions of a run without a platform: what its caller has prepared. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type QuestionSchema, QuestionType, WaitOutcome } from "@pawl/proto";
import { UsageError } from "../errors.ts";

/** A question, for the function that answers in `runLocally`. */
export interface LocalQuestion {
  readonly question: string;
  readonly type: "text" | "approval" | "choice" | "multichoice" | "form";
  readonly options: readonly string[];
  readonly assignees: readonly string[];
  readonly skippable: boolean;
  readonly stepKey: string;
}

/**
 * Answers by question or by the question's last key segment, in order; or a function that is
 * asked each question. An approval is answered by a boolean, or with `{ approved, actor, comment }`;
 * `undefined` skips.
 */
export type LocalAnswers =
  | Readonly<Record<string, readonly unknown[]>>
  | ((question: LocalQuestion) => unknown);

type QuestionInit = MessageInitShape<typeof QuestionSchema>;

const typeNames: ReadonlyMap<QuestionType | undefined, LocalQuestion["type"]> = new Map([
  [QuestionType.TEXT, "text"],
  [QuestionType.APPROVAL, "approval"],
  [QuestionType.CHOICE, "choice"],
  [QuestionType.MULTICHOICE, "multichoice"],
  [QuestionType.FORM, "form"],
]);

function viewOf(question: QuestionInit, stepKey: string): LocalQuestion {
  return {
    question: question.prompt ?? "",
    type: typeNames.get(question.type) ?? "text",
    options: (question.options ?? []).map(({ value = "" }) => value),
    assignees: question.assignees ?? [],
    skippable: question.skippable ?? false,
    stepKey,
  };
}

/** What was answered; `skipped` without a value. */
export interface LocalAnswer {
  readonly outcome: WaitOutcome;
  readonly value: unknown;
  readonly details: Readonly<Record<string, string>>;
}

/** What the server would refuse, as far as it can be told without it. */
function problemOf(asked: LocalQuestion, allowCustom: boolean, value: unknown): string {
  const known = (one: unknown) =>
    typeof one === "string" && (allowCustom || asked.options.includes(one));
  const allowed = `one of ${asked.options.map((one) => `"${one}"`).join(", ")}`;
  switch (asked.type) {
    case "text":
      return typeof value === "string" ? "" : "a text";
    case "approval":
      return typeof value === "boolean" ? "" : "true or false, or { approved, actor, comment }";
    case "choice":
      return known(value) ? "" : allowed;
    case "multichoice":
      return Array.isArray(value) && value.every(known) ? "" : `a list, of ${allowed}`;
    default:
      return "";
  }
}

function approvalOf(answer: unknown): { approved: unknown; actor: string; comment: string } {
  if (typeof answer !== "object" || answer === null || !("approved" in answer))
    return { approved: answer, actor: "", comment: "" };
  const { approved } = answer;
  const actor = "actor" in answer ? String(answer.actor) : "";
  const comment = "comment" in answer ? String(answer.comment) : "";
  return { approved, actor, comment };
}

function checked(question: QuestionInit, asked: LocalQuestion, answer: unknown): LocalAnswer {
  if (answer === undefined && asked.skippable)
    return { outcome: WaitOutcome.SKIPPED, value: undefined, details: {} };
  const {
    approved: value,
    actor,
    comment,
  } = asked.type === "approval" ? approvalOf(answer) : { approved: answer, actor: "", comment: "" };
  const problem = problemOf(asked, question.allowCustom ?? false, value);
  if (problem !== "") {
    throw new UsageError(
      `the answer to "${asked.question}" is ${JSON.stringify(answer) ?? "undefined"}; it has to be ${problem}`,
    );
  }
  const vote = { actor, at: new Date(0).toISOString(), approved: value, comment, via: "api" };
  const details: Record<string, string> = { actor, comment };
  if (asked.type === "approval") details.answers = JSON.stringify([vote]);
  return { outcome: WaitOutcome.ANSWERED, value, details };
}

/** Takes the prepared answers, one after the other. */
export class LocalPeople {
  readonly #answers: LocalAnswers;
  readonly #taken = new Map<string, number>();

  constructor(answers: LocalAnswers | undefined) {
    this.#answers = answers ?? {};
  }

  /** Undefined where nobody has prepared an answer. Throws UsageError for one that does not fit. */
  async answer(question: QuestionInit, stepKey: string): Promise<LocalAnswer | undefined> {
    const asked = viewOf(question, stepKey);
    if (typeof this.#answers === "function")
      return checked(question, asked, await this.#answers(asked));
    const segment = /(?:^|\/)user:(?:question\[)?([^/\]]*)\]?$/.exec(stepKey)?.[1] ?? "";
    for (const name of [asked.question, decodeURIComponent(segment)]) {
      const list = this.#answers[name];
      const at = this.#taken.get(name) ?? 0;
      if (list === undefined || at >= list.length) continue;
      this.#taken.set(name, at + 1);
      return checked(question, asked, list[at]);
    }
    return undefined;
  }
}
