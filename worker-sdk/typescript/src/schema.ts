import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec";
import { InvalidValueError, type SchemaIssue, UsageError } from "./errors.ts";
import { isThenable, read } from "./lib/foreign.ts";

/** A JSON Schema as an object. */
export type JsonSchema = Readonly<Record<string, unknown>>;

function pathOf(issue: StandardSchemaV1.Issue): string {
  return (issue.path ?? [])
    .map((segment) => String(typeof segment === "object" ? segment.key : segment))
    .join(".");
}

function settle(what: string, result: StandardSchemaV1.Result<unknown>): unknown {
  if (result.issues === undefined) return result.value;
  const issues: SchemaIssue[] = result.issues.map((issue) => ({
    message: issue.message,
    path: pathOf(issue),
  }));
  throw new InvalidValueError(what, issues);
}

/**
 * The value as the schema turns it out. Throws InvalidValueError with all issues.
 * Returns a promise only where the schema checks asynchronously.
 */
export function validate(
  schema: StandardSchemaV1 | undefined,
  value: unknown,
  what: string,
): unknown | Promise<unknown> {
  if (schema === undefined) return value;
  const result = schema["~standard"].validate(value);
  return isThenable(result)
    ? Promise.resolve(result).then((late) => settle(what, late))
    : settle(what, result);
}

/** Refuses what is not a schema that can check a value. `json`: the option for JSON Schema. */
export function checkSchema(what: string, schema: unknown, json?: string): void {
  if (schema === undefined || typeof read(read(schema, "~standard"), "validate") === "function")
    return;
  const instead = json === undefined ? "" : `; JSON Schema goes into \`${json}\``;
  throw new UsageError(
    `${what} needs a schema of a library that implements Standard Schema, such as zod${instead}`,
  );
}

function converter(schema: StandardSchemaV1): StandardJSONSchemaV1.Converter | undefined {
  const props: object = schema["~standard"];
  if (!("jsonSchema" in props)) return undefined;
  const candidate = props.jsonSchema;
  if (typeof candidate !== "object" || candidate === null) return undefined;
  if (!("input" in candidate) || !("output" in candidate)) return undefined;
  const { input, output } = candidate;
  if (typeof input !== "function" || typeof output !== "function") return undefined;
  return { input: (options) => input(options), output: (options) => output(options) };
}

/**
 * The JSON Schema of what the schema accepts, where its library can tell (Standard
 * JSON Schema); undefined where it cannot, or where the schema has parts that JSON
 * Schema cannot express.
 */
export function jsonSchemaOf(
  schema: StandardSchemaV1 | undefined,
  side: "input" | "output" = "input",
): JsonSchema | undefined {
  if (schema === undefined) return undefined;
  const convert = converter(schema);
  if (convert === undefined) return undefined;
  try {
    return convert[side]({ target: "draft-2020-12" });
  } catch {
    // By the standard it throws for what it cannot express; the schema itself still checks.
    return undefined;
  }
}

/** The names of the properties that a schema declares; undefined where it allows others too, or is not known. */
export function declaredProperties(schema: JsonSchema | undefined): readonly string[] | undefined {
  const properties = schema?.properties;
  if (typeof properties !== "object" || properties === null) return undefined;
  if (schema?.additionalProperties !== undefined && schema.additionalProperties !== false)
    return undefined;
  return Object.keys(properties);
}
