/** Turns an answer as people type it into JSON of the question's type. */
import type { Question, QuestionOption } from "@pawl/proto";
import { QuestionType } from "@pawl/proto";
import { type FormField, formFields } from "../../model/form-fields.ts";
import { usageError } from "./exit.ts";

/** What was typed is not an answer; the message says what would be. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
}

export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new NoAnswer(
      `${what} is not JSON: ${cause instanceof Error ? cause.message : String(cause)}.`,
    );
  }
}

const YES = new Set(["y", "yes", "true", "approve", "approved", "ok"]);
const NO = new Set(["n", "no", "false", "reject", "rejected"]);

/** @throws NoAnswer */
export function parseYes(text: string): boolean {
  const word = text.trim().toLowerCase();
  if (YES.has(word)) return true;
  if (NO.has(word)) return false;
  throw new NoAnswer(`"${text}" is neither yes nor no.`);
}

/** An option by its number in the list, its value or its label; or the text itself if any answer is allowed. */
export function parseOption(question: Question, text: string, numbered: boolean): string {
  const { options, allowCustom } = question;
  const typed = text.trim();
  const exact = options.find(({ value }) => value === typed);
  if (exact !== undefined) return exact.value;
  const place = numbered && /^\d+$/.test(typed) ? options[Number(typed) - 1] : undefined;
  if (place !== undefined) return place.value;
  const same = (option: QuestionOption): boolean =>
    [option.value, option.label].some((one) => one.toLowerCase() === typed.toLowerCase());
  const named = options.filter(same);
  if (named.length === 1 && named[0] !== undefined) return named[0].value;
  if (allowCustom && typed !== "") return typed;
  const allowed = options.map(({ value }) => `"${value}"`).join(", ");
  throw new NoAnswer(`"${typed}" is not one of: ${allowed}.`);
}

/** Numbers, values or labels, separated by commas; numbers alone can also be separated by spaces. */
export function parseOptions(question: Question, text: string): string[] {
  const parts = /^[\d\s,]+$/.test(text) ? text.split(/[\s,]+/) : text.split(",");
  const chosen = parts
    .filter((part) => part.trim() !== "")
    .map((part) => parseOption(question, part, true));
  return [...new Set(chosen)];
}

/** @throws NoAnswer */
export function parseField(field: FormField, text: string): unknown {
  const typed = text.trim();
  if (field.values !== undefined) {
    const found = field.values.find((value) => String(value) === typed);
    if (found !== undefined) return found;
    throw new NoAnswer(
      `${field.name} is "${typed}"; it must be one of ${field.values.map(String).join(", ")}.`,
    );
  }
  switch (field.type) {
    case "string":
      return text;
    case "boolean":
      return parseYes(typed);
    case "number":
    case "integer": {
      const value = Number(typed);
      if (typed !== "" && Number.isFinite(value)) return value;
      throw new NoAnswer(`${field.name} is "${typed}"; it must be a number.`);
    }
    default:
      return parseJson(typed, field.name);
  }
}

function parsePairs(question: Question, words: readonly string[]): Record<string, unknown> {
  const fields = formFields(question.formSchema) ?? [];
  const answer: Record<string, unknown> = {};
  for (const word of words) {
    const at = word.indexOf("=");
    const name = word.slice(0, Math.max(0, at));
    const field = fields.find((one) => one.name === name);
    if (field === undefined) {
      const known = fields.map((one) => `${one.name}=…`).join(" ");
      throw new NoAnswer(
        `"${word}" does not set a field of the form${known === "" ? "" : `: ${known}`}.`,
      );
    }
    answer[name] = parseField(field, word.slice(at + 1));
  }
  return answer;
}

/** The answer that the words of a command line give. @throws CliError, exit code USAGE */
export function answerFrom(question: Question, words: readonly string[]): unknown {
  try {
    switch (question.type) {
      case QuestionType.APPROVAL:
        return parseYes(words.join(" "));
      case QuestionType.CHOICE:
        return parseOption(question, words.join(" "), false);
      case QuestionType.MULTICHOICE:
        return [...new Set(words.map((word) => parseOption(question, word, false)))];
      case QuestionType.FORM:
        return parsePairs(question, words);
      default:
        return words.join(" ");
    }
  } catch (error) {
    if (error instanceof NoAnswer) throw usageError(error.message, "Nothing was recorded.");
    throw error;
  }
}
