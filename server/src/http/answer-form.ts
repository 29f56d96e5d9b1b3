/** The fields of a question's form: what to ask for, and what was filled in. */
import { tryJson } from "../lib/json.ts";
import { BOUNDS } from "../model/bounds.ts";
import { type FormField, formFields } from "../model/form-fields.ts";
import type { Question } from "../model/question.ts";

/** A field that a simple input can ask for. */
export interface InputField extends FormField {
  readonly input: "text" | "number" | "checkbox" | "select" | "checkboxes";
  readonly options: readonly string[];
}

const PREFIX = "field:";
/** Where the schema is more than inputs can ask for: the JSON itself. */
export const JSON_FIELD = "json";

export function inputName(field: string): string {
  return PREFIX + field;
}

/** The fields of a form of simple properties; undefined: only JSON will do. */
export function inputFields(formSchema: string): InputField[] | undefined {
  const fields = formFields(formSchema)?.map(toInput);
  return fields?.every((field) => field !== undefined) ? fields : undefined;
}

function toInput(field: FormField): InputField | undefined {
  const values = strings(field.values);
  if (values !== undefined) return { ...field, input: "select", options: values };
  const items = strings(field.itemValues);
  switch (field.type) {
    case "string":
      return { ...field, input: "text", options: [] };
    case "number":
    case "integer":
      return { ...field, input: "number", options: [] };
    case "boolean":
      return { ...field, input: "checkbox", options: [] };
    case "array":
      return items && { ...field, input: "checkboxes", options: items };
    default:
      return undefined;
  }
}

function strings(values: readonly unknown[] = []): readonly string[] | undefined {
  if (values.length === 0) return undefined;
  return values.every((one): one is string => typeof one === "string") ? values : undefined;
}

/** The answer that was filled in, to be checked when it is recorded; undefined: skipped. */
export function formAnswer(question: Question, fields: URLSearchParams): unknown {
  if (fields.get("action") === "skip") return undefined;
  switch (question.type) {
    case "text":
      // What browsers send has the line ends of the wire.
      return fields.get("answer")?.replaceAll("\r\n", "\n") ?? null;
    case "approval":
      return { true: true, false: false }[fields.get("answer") ?? ""] ?? null;
    case "choice":
      return fields.get("custom") || fields.get("answer");
    case "multichoice":
      return [...fields.getAll("answer"), ...fields.getAll("custom").filter((one) => one !== "")];
    case "form":
      return formValue(question.formSchema ?? "", fields);
  }
}

function formValue(formSchema: string, fields: URLSearchParams): unknown {
  const known = inputFields(formSchema);
  if (known === undefined) {
    const text = fields.get(JSON_FIELD) ?? "";
    const read = tryJson(Buffer.from(text), BOUNDS.jsonDepth);
    // The check against the schema says what is wrong with the text.
    return read === undefined ? text : read.value;
  }
  return Object.fromEntries(
    known.flatMap((field) => {
      const value = fieldValue(field, fields);
      return value === undefined ? [] : [[field.name, value]];
    }),
  );
}

/** Undefined: left empty. */
function fieldValue(field: InputField, fields: URLSearchParams): unknown {
  const given = fields.get(inputName(field.name)) ?? "";
  switch (field.input) {
    case "checkbox":
      return given !== "";
    case "checkboxes":
      return fields.getAll(inputName(field.name));
    case "number":
      // The schema rejects a value that is not a number, with its own message.
      return given === "" ? undefined : Number.isNaN(Number(given)) ? given : Number(given);
    case "select":
      return given === "" ? undefined : given;
    case "text":
      return given === "" && !field.required ? undefined : given;
  }
}
