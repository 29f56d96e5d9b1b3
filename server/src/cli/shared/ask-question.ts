/** Asks a person at the terminal what a run asks. */
import { type Question, QuestionType } from "@pawl/proto";
import { type FormField, formFields } from "../../model/form-fields.ts";
import type { Prompt } from "./prompt.ts";
import type { Terminal } from "./terminal.ts";
import {
  NoAnswer,
  parseField,
  parseJson,
  parseOption,
  parseOptions,
  parseYes,
} from "./typed-answers.ts";

/** What a person entered: an answer, or that they decline. */
export type Said =
  | { readonly answer: unknown; readonly comment?: string }
  | { readonly skip: true };

const SKIP = "/skip";

/** Asks until there is an answer of the question's type. The server checks it further. */
export async function askQuestion(
  question: Question,
  prompt: Prompt,
  terminal: Terminal,
): Promise<Said> {
  if (question.skippable) terminal.note(terminal.style("dim", `${SKIP} declines to answer.`));
  for (;;) {
    try {
      return await askOnce(question, prompt, terminal);
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      terminal.note(terminal.style("yellow", error.message));
    }
  }
}

async function askOnce(question: Question, prompt: Prompt, terminal: Terminal): Promise<Said> {
  const line = async (text: string): Promise<string | undefined> => {
    const typed = await prompt.ask(text);
    return question.skippable && typed.trim() === SKIP ? undefined : typed;
  };
  switch (question.type) {
    case QuestionType.APPROVAL: {
      const typed = await line("Approve? [yes/no] ");
      if (typed === undefined) return { skip: true };
      const answer = parseYes(typed);
      const comment = await prompt.askOptional("Comment, or Enter for none: ");
      return { answer, comment: comment ?? "" };
    }
    case QuestionType.CHOICE: {
      showOptions(question, terminal);
      const typed = await line(
        `Number${question.allowCustom ? ", or an answer of your own" : ""}: `,
      );
      return typed === undefined ? { skip: true } : { answer: parseOption(question, typed, true) };
    }
    case QuestionType.MULTICHOICE: {
      showOptions(question, terminal);
      const typed = await line("Numbers, separated by commas; Enter for none: ");
      return typed === undefined ? { skip: true } : { answer: parseOptions(question, typed) };
    }
    case QuestionType.FORM:
      return await askForm(question, line, terminal);
    default: {
      const typed = await line("Answer: ");
      return typed === undefined ? { skip: true } : { answer: typed };
    }
  }
}

function showOptions({ options }: Question, terminal: Terminal): void {
  const width = String(options.length).length;
  for (const [i, { value, label }] of options.entries()) {
    const same = label === "" || label === value;
    const shown = same ? value : `${label} ${terminal.style("dim", `(${value})`)}`;
    terminal.note(`  ${String(i + 1).padStart(width)}  ${shown}`);
  }
}

type Line = (text: string) => Promise<string | undefined>;

async function askForm(question: Question, line: Line, terminal: Terminal): Promise<Said> {
  const fields = formFields(question.formSchema);
  if (fields === undefined) {
    terminal.note(`The form's JSON Schema: ${question.formSchema}`);
    const typed = await line("Answer, as JSON: ");
    return typed === undefined ? { skip: true } : { answer: parseJson(typed, "The answer") };
  }
  const answer: Record<string, unknown> = {};
  for (const field of fields) {
    const value = await askField(field, line, terminal);
    if (value === SKIPPED) return { skip: true };
    if (value !== undefined) answer[field.name] = value;
  }
  return { answer };
}

const SKIPPED = Symbol("skipped");

async function askField(field: FormField, line: Line, terminal: Terminal): Promise<unknown> {
  for (;;) {
    const typed = await line(`${labelOf(field)}: `);
    if (typed === undefined) return SKIPPED;
    if (typed.trim() === "") {
      if (!field.required) return undefined;
      if (field.type !== "string") {
        terminal.note(terminal.style("yellow", `${field.name} is required.`));
        continue;
      }
    }
    try {
      return parseField(field, typed);
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      terminal.note(terminal.style("yellow", error.message));
    }
  }
}

function labelOf({ title, description, type, required, values, initial }: FormField): string {
  const kind = values === undefined ? kindOf(type) : values.map(String).join("/");
  const facts = [kind, ...(required ? [] : ["optional"])];
  if (initial !== undefined) facts.push(`default ${JSON.stringify(initial)}`);
  return `${title}${description === "" ? "" : `, ${description}`} [${facts.join(", ")}]`;
}

function kindOf(type: string): string {
  if (type === "boolean") return "yes/no";
  return type === "string" ? "text" : type === "json" ? "JSON" : type;
}
