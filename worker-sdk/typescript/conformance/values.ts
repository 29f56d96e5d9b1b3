/** The expressions of programs, and the variables that they name. */
import type { StepContext } from "@pawl/worker";

/** Variables are shared by all blocks of a run; the item and the step around are not. */
export class Scope {
  readonly #variables: Map<string, unknown>;
  readonly #item: unknown;
  readonly #step: StepContext | undefined;

  constructor(variables = new Map<string, unknown>(), item?: unknown, step?: StepContext) {
    this.#variables = variables;
    this.#item = item;
    this.#step = step;
  }

  get attempt(): number {
    return this.#step?.attempt ?? 1;
  }

  withItem(item: unknown): Scope {
    return new Scope(this.#variables, item, this.#step);
  }

  inStep(step: StepContext): Scope {
    return new Scope(this.#variables, this.#item, step);
  }

  set(name: unknown, value: unknown): void {
    if (typeof name === "string") this.#variables.set(name, value);
  }

  evaluate(expression: unknown): unknown {
    if (Array.isArray(expression)) return expression.map((one) => this.evaluate(one));
    if (typeof expression !== "object" || expression === null) return expression;
    const entries = Object.entries(expression);
    const [name, argument] = entries[0] ?? ["", undefined];
    if (entries.length === 1 && name.startsWith("$")) return this.#special(name, argument);
    return Object.fromEntries(entries.map(([key, value]) => [key, this.evaluate(value)]));
  }

  #special(name: string, argument: unknown): unknown {
    switch (name) {
      case "$":
        return this.#variable(String(argument));
      case "$attempt":
        return this.attempt;
      case "$key":
        return this.#step?.idempotencyKey;
      case "$void":
        return undefined;
      case "$bytes":
        return new Uint8Array(Buffer.from(String(argument), "base64"));
      case "$date":
        return new Date(String(argument));
      case "$bigint":
        return BigInt(String(argument));
      case "$language":
        return "typescript";
      default:
        throw new Error(`There is no expression ${name}.`);
    }
  }

  #variable(path: string): unknown {
    const [name = "", ...members] = path.split(".");
    let value = name === "item" ? this.#item : this.#variables.get(name);
    for (const member of members) {
      value = typeof value === "object" && value !== null ? Reflect.get(value, member) : undefined;
    }
    return value;
  }
}

/** A program's result, as plain JSON. */
export function toJson(value: unknown): unknown {
  if (value === undefined) return null;
  if (value instanceof Date) return { $date: value.toISOString() };
  if (typeof value === "bigint") return { $bigint: String(value) };
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("base64") };
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, toJson(one)]));
}
