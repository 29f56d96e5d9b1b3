/**
 * Run ids from templates: `order-{orderId}` over the input's own properties.
 *
 * Values are escaped, so that what comes between two variables cannot be part of
 * a value: two different inputs never make the same id by shifting characters
 * from one variable to the next.
 */
import { UsageError } from "./errors.ts";
import { escapeChars, exceedsBytes } from "./lib/text.ts";
import { limits } from "./limits.ts";

/** The names between braces in a template's type. */
export type TemplateVariables<T extends string> = string extends T
  ? never
  : T extends `${string}{${infer Name}}${infer Rest}`
    ? Name | TemplateVariables<Rest>
    : never;

type Values = Readonly<Record<string, unknown>>;

export interface RunIdTemplate {
  readonly variables: readonly string[];
  /** Throws UsageError where a variable has no usable value. */
  render(input: unknown): string;
}

const allowedLiteral = /^[A-Za-z0-9\-_.:~/@]*$/;

interface Parsed {
  /** One more than variables: before, between and behind them. */
  readonly literals: string[];
  readonly variables: string[];
}

function parse(template: string): Parsed {
  const literals: string[] = [];
  const variables: string[] = [];
  let rest = template;
  for (;;) {
    const match = /^([^{}]*)\{([^{}]+)\}/.exec(rest);
    if (match === null) break;
    literals.push(match[1] ?? "");
    variables.push(match[2] ?? "");
    rest = rest.slice(match[0].length);
  }
  literals.push(rest);
  return { literals, variables };
}

function check(template: string, { literals, variables }: Parsed): void {
  const bad = literals.find((literal) => !allowedLiteral.test(literal));
  if (bad !== undefined) {
    throw new UsageError(
      `the run id template "${template}" has a part "${bad}"; only {variables}, letters, digits and -_.:~/@ are allowed`,
    );
  }
  if (variables.length === 0) {
    throw new UsageError(
      `the run id template "${template}" has no variable, so that there could only ever be one run; write for example "${template}-{id}"`,
    );
  }
  if (literals.slice(1, -1).includes("")) {
    throw new UsageError(
      `the run id template "${template}" has two variables next to each other; put something between them, or "1","23" and "12","3" would make one id`,
    );
  }
}

function textOf(template: string, name: string, input: unknown): string {
  const values: Values = typeof input === "object" && input !== null ? { ...input } : {};
  const value = Object.hasOwn(values, name) ? values[name] : undefined;
  const isText =
    typeof value === "string" || typeof value === "bigint" || typeof value === "boolean";
  if (!(isText || (typeof value === "number" && Number.isFinite(value))) || value === "") {
    const seen =
      value === undefined
        ? "is missing"
        : value === ""
          ? "is empty"
          : `is ${value === null ? "null" : `a ${typeof value}`}`;
    throw new UsageError(
      `the run id "${template}" needs the input's "${name}" to be a text, number or boolean, but it ${seen}; or give a runId yourself`,
    );
  }
  return String(value);
}

/** Parses a template. `declared`: the input's properties, where they are known. */
export function parseTemplate(
  template: string,
  declared: readonly string[] | undefined,
): RunIdTemplate {
  const parsed = parse(template);
  check(template, parsed);
  const { literals, variables } = parsed;
  const unknown = variables.filter((name) => declared !== undefined && !declared.includes(name));
  if (unknown.length > 0) {
    throw new UsageError(
      `the run id template "${template}" names {${unknown.join("}, {")}}, which the input does not have; it has ${declared?.join(", ")}`,
    );
  }
  const between = new Set(literals.slice(1, -1).join(""));
  const separators = [...between].map((char) => char.replace(/[\\\]^-]/g, "\\$&")).join("");
  const reserved = new RegExp(
    `[^A-Za-z0-9\\-_.~]${separators === "" ? "" : `|[${separators}]`}`,
    "gu",
  );
  return {
    variables,
    render(input) {
      let id = literals[0] ?? "";
      for (const [i, name] of variables.entries()) {
        id += escapeChars(textOf(template, name, input), reserved) + (literals[i + 1] ?? "");
      }
      if (exceedsBytes(id, limits.runIdBytesMax)) {
        throw new UsageError(
          `the run id "${id.slice(0, 60)}…" has ${id.length} characters (limit ${limits.runIdBytesMax}); give a runId yourself`,
        );
      }
      return id;
    },
  };
}
