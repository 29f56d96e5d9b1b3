/** `ctx.waitForUser`: the question as it is sent, and the answer as user code gets it. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type QuestionSchema, QuestionType, StepKind } from "@pawl/proto";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { digestText } from "../codec/payload.ts";
import { type Duration, durationFromMs, durationMs, waitingMs } from "../duration.ts";
import { UsageError, WaitTimeoutError } from "../errors.ts";
import { collapseSpace, exceedsBytes } from "../lib/text.ts";
import { limits } from "../limits.ts";
import { checkText } from "../run/keys.ts";
import { parsedAnswer } from "../run/parsed-values.ts";
import type { Run } from "../run/run.ts";
import type { Scope } from "../run/scope.ts";
import { type Resolution, type WaitCall, WaitOperation } from "../run/wait.ts";
import { type JsonSchema, jsonSchemaOf } from "../schema.ts";
import type { Place } from "./place.ts";
import type { Approval, QuestionOption, Vote } from "./question-types.ts";

const types = {
  text: QuestionType.TEXT,
  approval: QuestionType.APPROVAL,
  choice: QuestionType.CHOICE,
  multichoice: QuestionType.MULTICHOICE,
  form: QuestionType.FORM,
} as const;

/** Any question's options, before they are checked. */
export interface AskOptions {
  readonly type?: keyof typeof types;
  readonly key?: string | number;
  readonly assignees?: string | readonly string[];
  readonly skippable?: boolean;
  readonly timeout?: Duration;
  readonly default?: unknown;
  readonly reminders?: readonly Duration[];
  readonly needed?: number;
  readonly options?: readonly QuestionOption[];
  readonly allowCustom?: boolean;
  readonly schema?: StandardSchemaV1 | JsonSchema;
}

const common = ["type", "key", "assignees", "skippable", "timeout", "default", "reminders"];
const ofType: Readonly<Record<keyof typeof types, readonly string[]>> = {
  text: [],
  approval: ["needed"],
  choice: ["options", "allowCustom"],
  multichoice: ["options", "allowCustom"],
  form: ["schema"],
};

function refuse(prompt: string, problem: string): never {
  throw new UsageError(`ctx.waitForUser("${shown(prompt)}") ${problem}`);
}

function shown(prompt: string): string {
  return prompt.length <= 60 ? prompt : `${prompt.slice(0, 60)}…`;
}

/**
 * What a question is called in keys: itself; where that is more than 80 characters or 200 bytes,
 * its first 60 characters (of at most 180 bytes) and a digest.
 */
export function questionName(prompt: string): string {
  const line = collapseSpace(prompt);
  const characters = [...line];
  if (characters.length <= 80 && !exceedsBytes(line, limits.nameBytesMax)) return line;
  let head = characters.slice(0, 60);
  while (exceedsBytes(head.join(""), 180)) head = head.slice(0, -1);
  return `${head.join("")}… ${digestText(prompt).slice(0, 8)}`;
}

/** The text of a question, as it is sent and named. Throws UsageError. */
export function questionText(what: string, prompt: unknown): string {
  if (typeof prompt !== "string" || collapseSpace(prompt) === "")
    throw new UsageError(`${what} needs a question to ask`);
  const text = prompt.toWellFormed();
  checkText(`the question of ${what}`, text);
  return text;
}

function check(prompt: string, options: AskOptions): keyof typeof types {
  const { type = "text" } = options;
  if (!Object.hasOwn(types, type)) {
    refuse(prompt, `has the type "${type}"; there are ${Object.keys(types).join(", ")}`);
  }
  const known = [...common, ...ofType[type]];
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      refuse(prompt, `has an option "${name}"; those of type "${type}" are ${known.join(", ")}`);
    }
  }
  return type;
}

function optionsOf(prompt: string, { options = [] }: AskOptions) {
  const list = options.map((option) => (typeof option === "string" ? { value: option } : option));
  const values = new Set(list.map(({ value }) => value));
  if (values.size < list.length) refuse(prompt, "offers the same option twice");
  return list;
}

/** A Standard Schema; other objects are JSON Schema. */
export function isStandard(
  schema: StandardSchemaV1 | JsonSchema | undefined,
): schema is StandardSchemaV1 {
  return schema !== undefined && "~standard" in schema;
}

function formSchemaOf(prompt: string, { schema }: AskOptions): string {
  if (schema === undefined) refuse(prompt, 'is a form and needs a "schema"');
  const json = isStandard(schema) ? jsonSchemaOf(schema) : schema;
  if (json === undefined) {
    refuse(prompt, "has a schema that cannot be turned into JSON Schema; give JSON Schema itself");
  }
  return JSON.stringify(json);
}

export function listOf(names: string | readonly string[] | undefined): string[] {
  return names === undefined ? [] : typeof names === "string" ? [names] : [...names];
}

/** The question as the server takes it. */
function questionOf(prompt: string, options: AskOptions): MessageInitShape<typeof QuestionSchema> {
  const type = check(prompt, options);
  const assignees = listOf(options.assignees);
  const needed = options.needed ?? 1;
  if (
    !Number.isInteger(needed) ||
    needed < 1 ||
    (assignees.length > 0 && needed > assignees.length)
  )
    refuse(prompt, `needs ${needed} approvals of ${assignees.length || "any number of"} people`);
  const choices = type === "choice" || type === "multichoice" ? optionsOf(prompt, options) : [];
  if (type === "choice" && choices.length === 0 && options.allowCustom !== true)
    refuse(prompt, "offers nothing to choose from: give it options");
  return {
    prompt,
    type: types[type],
    options: choices,
    allowCustom: options.allowCustom ?? false,
    skippable: options.skippable ?? false,
    formSchema: type === "form" ? formSchemaOf(prompt, options) : "",
    assignees,
    approvalsNeeded: type === "approval" ? needed : 0,
    reminders: (options.reminders ?? []).map((after) => durationFromMs(durationMs(after))),
  };
}

function votesIn({ details }: Resolution): Vote[] {
  const list: unknown = JSON.parse(details.answers || "[]");
  if (!Array.isArray(list)) return [];
  return list.map((item: Readonly<Record<string, unknown>>) => ({
    actor: String(item.actor ?? ""),
    approved: item.approved === true,
    comment: String(item.comment ?? ""),
    at: new Date(String(item.at)),
  }));
}

function approvalOf(resolution: Resolution): Approval {
  const approved = resolution.value === true;
  const votes = votesIn(resolution);
  const { actor = "", comment = "" } = votes.at(-1) ?? {};
  return { approved, decision: approved ? "approved" : "rejected", votes, actor, comment };
}

function callOf(run: Run, prompt: string, name: string, options: AskOptions): WaitCall {
  const question = questionOf(prompt, options);
  const { timeout, type } = options;
  return {
    name,
    kind: StepKind.USER,
    wait: {
      question,
      ...(timeout === undefined ? {} : { duration: durationFromMs(waitingMs(timeout)) }),
    },
    finish: (resolution) => {
      if (resolution.outcome === "skipped") return undefined;
      if (resolution.outcome === "timed_out") {
        if ("default" in options) return options.default;
        throw new WaitTimeoutError(`the answer to "${shown(prompt)}"`, resolution.stepKey);
      }
      const value = type === "approval" ? approvalOf(resolution) : resolution.value;
      if (type !== "form" || !isStandard(options.schema)) return value;
      return parsedAnswer(run, options.schema, resolution, `the answer to "${shown(prompt)}"`);
    },
  };
}

/** `ctx.waitForUser`. */
export function askUser(context: Place, question: string, options: AskOptions): Promise<unknown> {
  const prompt = questionText("ctx.waitForUser", question);
  const key = options.key === undefined ? undefined : String(options.key);
  const name = key === undefined ? questionName(prompt) : "question";
  const call = callOf(context.base.run, prompt, name, options);
  const place = context.claim("user:", name, key);
  return new WaitOperation(context.base.run, place.scope, place.key, call).open();
}

/** Asks under a name of the caller's, in a scope of its own. */
export function askIn(
  context: Place,
  scope: Scope,
  name: string,
  prompt: string,
  options: AskOptions,
): Promise<unknown> {
  const call = callOf(context.base.run, prompt, name, options);
  const key = scope.claim("user:", name, undefined);
  return new WaitOperation(context.base.run, scope, key, call).open();
}
