import { createRequire } from "node:module";
import type { Ajv2020, ValidateFunction } from "ajv/dist/2020.js";
import { invalid, PawlError } from "../model/errors.ts";
import type { Payload } from "../model/payload.ts";

const require = createRequire(import.meta.url);

/** Compiled schemas kept; the least recently compiled goes first. */
const COMPILED_MAX = 500;
const compiled = new Map<string, ValidateFunction>();
let ajv: Ajv2020 | undefined;

/** Refuses an input that is JSON and does not fit the workflow's JSON Schema (2020-12). */
export function checkInput(workflow: string, schema: string, input: Payload): void {
  if (input.data === undefined || (input.encoding !== "json" && input.encoding !== "")) return;
  const value = parseJson(input.data);
  if (schema === "") return;
  const validate = compile(schema);
  if (validate(value) === true) return;
  const problems = problemsOf(validate);
  const list = problems.map(({ path, problem }) => `${path} ${problem}`).join("; ");
  throw new PawlError(
    "INVALID_INPUT",
    `The input does not fit the schema of "${workflow}": ${list}. No run was created.`,
    {
      metadata: Object.fromEntries([
        ["workflow", workflow],
        ...problems.map(({ path, problem }) => [`field:${path}`, problem]),
      ]),
    },
  );
}

/** What of a form's value does not fit its schema; empty: it fits. */
export function formProblem(schema: string, value: unknown): string {
  const validate = compile(schema);
  if (validate(value) === true) return "";
  return problemsOf(validate)
    .map(({ path, problem }) => `${path} ${problem}`)
    .join("; ");
}

function problemsOf(validate: ValidateFunction): { path: string; problem: string }[] {
  return (validate.errors ?? []).slice(0, 20).map((error) => {
    const missing = error.keyword === "required" ? `/${String(error.params.missingProperty)}` : "";
    return {
      path: `${error.instancePath}${missing}` || "/",
      problem: error.message ?? "does not fit",
    };
  });
}

/** Refuses, at registration, a schema that could never be applied. */
export function checkSchema(field: string, schema: string): void {
  if (schema === "") return;
  try {
    compile(schema);
  } catch (error) {
    throw invalid(
      field,
      `is no usable JSON Schema (2020-12): ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

function parseJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new PawlError(
      "INVALID_INPUT",
      `The input says that it is JSON, but it is not: ${why}. No run was created.`,
      {
        metadata: { field: "input" },
      },
    );
  }
}

function compile(schema: string): ValidateFunction {
  const known = compiled.get(schema);
  if (known !== undefined) return known;
  // Loaded with the first schema: a server without schemas does not pay for it.
  ajv ??= makeAjv();
  const validate = ajv.compile(JSON.parse(schema));
  // The cache is ours, by text: ajv's own would keep every schema ever seen.
  ajv.removeSchema();
  const oldest = compiled.keys().next().value;
  if (compiled.size >= COMPILED_MAX && oldest !== undefined) compiled.delete(oldest);
  compiled.set(schema, validate);
  return validate;
}

function makeAjv(): Ajv2020 {
  const module: typeof import("ajv/dist/2020.js") = require("ajv/dist/2020.js");
  return new module.Ajv2020({
    strict: false,
    allErrors: true,
    validateFormats: false,
    logger: false,
  });
}
