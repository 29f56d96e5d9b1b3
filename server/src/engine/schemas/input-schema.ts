/** Inputs and answers against their JSON Schemas, in the words of the error table. */
import { JsonError, parseJson } from "../../lib/json.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { invalid, PawlError } from "../../model/errors.ts";
import type { Payload } from "../../model/payload.ts";
import { problemsOf, tryCompile, UnusableSchema } from "./checker.ts";
import type { SchemaProblem } from "./compile.ts";

/** Refuses an input that is JSON and does not fit the workflow's JSON Schema (2020-12). */
export async function checkInput(workflow: string, schema: string, input: Payload): Promise<void> {
  if (input.data === undefined || (input.encoding !== "json" && input.encoding !== "")) return;
  const value = readInput(input.data);
  if (schema === "") return;
  const problems = await problemsOf(schema, input.data, value).catch((error: unknown) => {
    if (!(error instanceof UnusableSchema)) throw error;
    return [{ path: "the schema itself", problem: error.message }];
  });
  if (problems.length === 0) return;
  throw new PawlError(
    "INVALID_INPUT",
    `The input does not fit the schema of "${workflow}": ${listed(problems)}. No run was created.`,
    {
      metadata: Object.fromEntries([
        ["workflow", workflow],
        ...problems.map(({ path, problem }) => [`field:${path}`, problem]),
      ]),
    },
  );
}

/** What of a form's value does not fit its schema; empty: it fits. */
export async function formProblem(
  schema: string,
  data: Uint8Array,
  value: unknown,
): Promise<string> {
  try {
    return listed(await problemsOf(schema, data, value));
  } catch (error) {
    if (error instanceof UnusableSchema) return `the schema itself ${error.message}`;
    throw error;
  }
}

function listed(problems: readonly SchemaProblem[]): string {
  return problems.map(({ path, problem }) => `${path} ${problem}`).join("; ");
}

/**
 * Refuses, where it is registered, a schema that could never be applied. At once where it is a small
 * one: callers that must keep the order of requests wait only for others.
 *
 * @returns undefined where it is found to be good at once
 */
export function checkSchema(field: string, schema: string): Promise<void> | undefined {
  if (schema === "") return undefined;
  const refuse = (error: unknown): never => {
    if (!(error instanceof UnusableSchema)) throw error;
    throw invalid(field, `is not a usable JSON Schema (2020-12): ${error.message}`);
  };
  try {
    return tryCompile(schema)?.catch(refuse);
  } catch (error) {
    return refuse(error);
  }
}

function readInput(data: Uint8Array): unknown {
  try {
    return parseJson(data, BOUNDS.jsonDepth);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new PawlError(
      "INVALID_INPUT",
      `The input says that it is JSON, but it ${error.message}. No run was created.`,
      { metadata: { field: "input" } },
    );
  }
}
