/** The fields of a question's form: what to ask for, and what was filled in. */
import { tryJson } from "../lib/json.ts";
import { BOUNDS } from "../model/bounds.ts";
import type { Question } from "../model/question.ts";

/** One property of a form's schema that a simple input can ask for. */
export interface FormField {
  readonly name: string;
  readonly label: string;
  readonly help: string;
  readonly required: boolean;
  readonly type: "text" | "number" | "checkbox" | "select" | "checkboxes";
  readonly options: readonly string[];
}

const PREFIX = "field:";
/** Where the schema is more than inputs can ask for: the JSON itself. */
export const JSON_FIELD = "json";

export function inputName(field: string): string {
  return PREFIX + field;
}

/** The fields of an object of simple properties; undefined: only JSON will do. */
export function fieldsOf(formSchema: string): FormField[] | undefined {
  const schema: unknown = JSON.parse(formSchema);
  if (!isRecord(schema) || schema.type !== "object" || !isRecord(schema.properties))
    return undefined;
  const required: readonly unknown[] = Array.isArray(schema.required) ? schema.required : [];
  const fields: FormField[] = [];
  for (const [name, property] of Object.entries(schema.properties)) {
    const field = fieldOf(name, property, required.includes(name));
    if (field === undefined) return undefined;
    fields.push(field);
  }
  return fields;
}

function fieldOf(name: string, property: unknown, required: boolean): FormField | undefined {
  if (!isRecord(property)) return undefined;
  const type = inputType(property);
  if (type === undefined) return undefined;
  const options =
    strings(property.enum) ?? (isRecord(property.items) ? strings(property.items.enum) : undefined);
  return {
    name,
    label: typeof property.title === "string" ? property.title : name,
    help: typeof property.description === "string" ? property.description : "",
    required,
    type,
    options: options ?? [],
  };
}

function inputType(property: Readonly<Record<string, unknown>>): FormField["type"] | undefined {
  if (strings(property.enum) !== undefined) return "select";
  switch (property.type) {
    case "string":
      return "text";
    case "number":
    case "integer":
      return "number";
    case "boolean":
      return "checkbox";
    case "array":
      return isRecord(property.items) && strings(property.items.enum) ? "checkboxes" : undefined;
    default:
      return undefined;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function strings(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const items: unknown[] = value;
  return items.every((one): one is string => typeof one === "string") ? items : undefined;
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
  const known = fieldsOf(formSchema);
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
function fieldValue(field: FormField, fields: URLSearchParams): unknown {
  const given = fields.get(inputName(field.name)) ?? "";
  switch (field.type) {
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
