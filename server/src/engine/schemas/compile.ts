/**
 * One JSON Schema (2020-12) as a function. Used where the event loop runs, for what takes little time
 * whatever the value is, and in the threads for all the rest.
 */
import { createRequire } from "node:module";
import type { Ajv2020, AnySchemaObject, ValidateFunction } from "ajv/dist/2020.js";
import { type LinearPattern, linearPattern } from "./linear-pattern.ts";

const require = createRequire(import.meta.url);

/** Where a value does not fit, and why. */
export interface SchemaProblem {
  readonly path: string;
  readonly problem: string;
}

export interface CompileOptions {
  /** Whether patterns must take linear time; those that cannot are no part of the function then. */
  readonly linear: boolean;
  /** Whether all problems are told, or the first one. */
  readonly all: boolean;
}

export interface CompiledSchema {
  /** Empty: the value fits. */
  check(value: unknown): readonly SchemaProblem[];
  /** Whether all patterns take linear time. */
  readonly isLinear: boolean;
  /** About how many steps one character of a text takes at most, over all patterns. */
  readonly weight: number;
}

/** People are shown no more than this. */
const PROBLEMS_MAX = 20;

/** @throws Error where it is not a usable schema */
export function compileSchema(
  schema: AnySchemaObject | boolean,
  options: CompileOptions,
): CompiledSchema {
  if (typeof schema === "object" && "$async" in schema && schema.$async !== false) {
    // Its check would end after the answer, with an error that nobody catches.
    throw new Error("$async is not supported");
  }
  const patterns = new Patterns(options.linear);
  const compiler = compilerFor(options.all);
  compiler.patterns = patterns;
  try {
    const validate = compiler.ajv.compile(schema);
    return {
      check: (value) => (validate(value) === true ? [] : problemsOf(validate)),
      isLinear: patterns.isLinear,
      weight: patterns.weight,
    };
  } finally {
    // The caller keeps what is used; ajv would keep every schema ever seen, by its $id.
    compiler.ajv.removeSchema();
    compiler.patterns = undefined;
  }
}

class Patterns {
  readonly #mustBeLinear: boolean;
  isLinear = true;
  weight = 0;

  constructor(mustBeLinear: boolean) {
    this.#mustBeLinear = mustBeLinear;
  }

  make(source: string): { test(text: string): boolean; toString(): string } {
    const pattern: LinearPattern | RegExp | undefined = this.#mustBeLinear
      ? linearPattern(source)
      : javaScriptPattern(source);
    if (pattern === undefined) this.isLinear = false;
    else if ("weight" in pattern) this.weight += pattern.weight;
    return { test: (text) => pattern?.test(text) ?? true, toString: () => source };
  }
}

/** With the flag `u`, as JSON Schema asks; else without it, as many authors write patterns: `[\w-.]`. */
function javaScriptPattern(source: string): RegExp {
  try {
    return new RegExp(source, "u");
  } catch {
    return new RegExp(source);
  }
}

interface Compiler {
  readonly ajv: Ajv2020;
  /** Those of the schema that is being compiled. */
  patterns: Patterns | undefined;
}

const compilers = new Map<boolean, Compiler>();

function compilerFor(all: boolean): Compiler {
  let compiler = compilers.get(all);
  if (compiler === undefined) {
    compiler = makeCompiler(all);
    compilers.set(all, compiler);
  }
  return compiler;
}

function makeCompiler(all: boolean): Compiler {
  // Loaded with the first schema: a server without schemas does not pay for it.
  const module: typeof import("ajv/dist/2020.js") = require("ajv/dist/2020.js");
  const regExp = (source: string) => compiler.patterns?.make(source) ?? javaScriptPattern(source);
  const ajv = new module.Ajv2020({
    strict: false,
    allErrors: all,
    validateFormats: false,
    logger: false,
    code: { regExp: Object.assign(regExp, { code: "pattern" }) },
  });
  const compiler: Compiler = { ajv, patterns: undefined };
  // Makes what checks schemas, so that its own patterns do not count as those of the first schema.
  ajv.compile({});
  return compiler;
}

function problemsOf(validate: ValidateFunction): readonly SchemaProblem[] {
  return (validate.errors ?? []).slice(0, PROBLEMS_MAX).map((error) => {
    const missing = error.keyword === "required" ? `/${String(error.params.missingProperty)}` : "";
    return {
      path: `${error.instancePath}${missing}` || "/",
      problem: error.message ?? "does not fit",
    };
  });
}
