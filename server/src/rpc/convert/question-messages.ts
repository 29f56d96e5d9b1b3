/** Questions, both ways. */
import { create } from "@bufbuild/protobuf";
import {
  type Question as QuestionProto,
  QuestionSchema,
  QuestionType as QuestionTypeProto,
} from "@pawl/proto";
import { BOUNDS } from "../../model/bounds.ts";
import { invalid } from "../../model/errors.ts";
import { QUESTION_TYPES, type Question, type QuestionType } from "../../model/question.ts";
import { duration } from "./common-messages.ts";
import { durationMs, requiredText, text } from "./fields.ts";

const TYPES: Readonly<Record<QuestionType, QuestionTypeProto>> = {
  text: QuestionTypeProto.TEXT,
  approval: QuestionTypeProto.APPROVAL,
  choice: QuestionTypeProto.CHOICE,
  multichoice: QuestionTypeProto.MULTICHOICE,
  form: QuestionTypeProto.FORM,
};

function typeIn(value: QuestionTypeProto): QuestionType {
  const type = QUESTION_TYPES.find((known) => TYPES[known] === value);
  if (type !== undefined) return type;
  const problem =
    value === QuestionTypeProto.UNSPECIFIED
      ? "must be set"
      : `${value} is not known to this server`;
  throw invalid("wait.question.type", problem);
}

function list<T>(name: string, items: readonly T[], max: number): readonly T[] {
  if (items.length <= max) return items;
  throw invalid(`wait.question.${name}`, `has ${items.length} items; at most ${max} are allowed`);
}

export function questionIn(question: QuestionProto): Question {
  const field = (name: string): string => `wait.question.${name}`;
  const options = list("options", question.options, BOUNDS.questionOptions).map((option) => ({
    value: text(field("options.value"), option.value, BOUNDS.optionBytes),
    label: text(field("options.label"), option.label, BOUNDS.optionBytes),
  }));
  const assignees = list("assignees", question.assignees, BOUNDS.assignees).map((assignee) =>
    requiredText(field("assignees"), assignee, BOUNDS.nameBytes),
  );
  const reminders = list("reminders", question.reminders, BOUNDS.reminders).map((reminder) =>
    durationMs(field("reminders"), reminder),
  );
  const made: Question = {
    prompt: requiredText(field("prompt"), question.prompt, BOUNDS.questionBytes),
    type: typeIn(question.type),
    ...(options.length > 0 && { options }),
    ...(question.allowCustom && { allowCustom: true }),
    ...(question.skippable && { skippable: true }),
    ...(question.formSchema !== "" && {
      formSchema: text(field("form_schema"), question.formSchema, BOUNDS.questionBytes),
    }),
    ...(assignees.length > 0 && { assignees }),
    ...(question.approvalsNeeded > 1 && { approvalsNeeded: question.approvalsNeeded }),
    ...(reminders.length > 0 && { remindersMs: reminders.sort((a, b) => a - b) }),
  };
  const bytes = Buffer.byteLength(JSON.stringify(made));
  if (bytes > BOUNDS.questionBytes) {
    throw invalid("wait.question", `has ${bytes} bytes; at most ${BOUNDS.questionBytes} are kept`);
  }
  return made;
}

export function questionOut(question: Question): QuestionProto {
  return create(QuestionSchema, {
    prompt: question.prompt,
    type: TYPES[question.type],
    options: question.options?.map(({ value, label }) => ({ value, label })) ?? [],
    allowCustom: question.allowCustom ?? false,
    skippable: question.skippable ?? false,
    formSchema: question.formSchema ?? "",
    assignees: [...(question.assignees ?? [])],
    approvalsNeeded: question.approvalsNeeded ?? (question.type === "approval" ? 1 : 0),
    reminders: question.remindersMs?.map(duration) ?? [],
  });
}
