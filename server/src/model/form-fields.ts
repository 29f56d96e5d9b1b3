/** One property of a form's schema, as people are asked for it. */
export interface FormField {
  readonly name: string;
  /** The name, if the schema has no title. */
  readonly title: string;
  readonly description: string;
  readonly required: boolean;
  /** The JSON Schema type; `json` if the schema does not name one. */
  readonly type: string;
  /** The only values that are allowed, if the schema lists them. */
  readonly values: readonly unknown[] | undefined;
  /** The same for the items of an array. */
  readonly itemValues: readonly unknown[] | undefined;
  readonly initial: unknown;
}

/** The fields of a form; undefined if its schema (JSON text) is not a plain list of properties. */
export function formFields(formSchema: string): FormField[] | undefined {
  const schema: unknown = JSON.parse(formSchema || "{}");
  if (!isRecord(schema) || !isRecord(schema.properties)) return undefined;
  const required = listOf(schema.required) ?? [];
  return Object.entries(schema.properties).map(([name, property]) => {
    const field = isRecord(property) ? property : {};
    return {
      name,
      title: textOf(field.title) || name,
      description: textOf(field.description),
      required: required.includes(name),
      type: textOf(field.type) || "json",
      values: listOf(field.enum),
      itemValues: isRecord(field.items) ? listOf(field.items.enum) : undefined,
      initial: field.default,
    };
  });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function listOf(value: unknown): readonly unknown[] | undefined {
  return Array.isArray(value) ? value : undefined;
}
