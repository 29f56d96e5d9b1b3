/** The arguments of one call, read and checked against what the command says about itself. */
import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { DURATION_EXAMPLES, durationOf } from "../../lib/duration.ts";
import { nearest } from "../../lib/nearest.ts";
import { type Command, type Options, usageOf } from "../catalog/command.ts";
import { commonOptions } from "../catalog/index.ts";
import { usageError } from "./exit.ts";

type Value = string | boolean | readonly (string | boolean)[] | undefined;

export class Args {
  readonly positionals: readonly string[];
  readonly #values: Readonly<Record<string, Value>>;
  readonly #options: Options;

  constructor(
    positionals: readonly string[],
    values: Readonly<Record<string, Value>>,
    options: Options,
  ) {
    this.positionals = positionals;
    this.#values = values;
    this.#options = options;
  }

  /** @throws if the command does not describe the option, which is a bug in its code */
  #value(name: string): Value {
    if (Object.hasOwn(this.#options, name)) return this.#values[name];
    throw new Error(`The command asks for --${name}, which it does not describe.`);
  }

  flag(name: string): boolean {
    return this.#value(name) === true;
  }

  text(name: string): string | undefined {
    const value = this.#value(name);
    return typeof value === "string" ? value : undefined;
  }

  list(name: string): string[] {
    const value = this.#value(name);
    return Array.isArray(value) ? value.map(String) : [];
  }

  /** A whole number in [min, max]. */
  integer(name: string, min: number, max: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (!Number.isInteger(value) || text.trim() === "" || value < min || value > max) {
      throw usageError(`--${name} is "${text}"; it must be a whole number from ${min} to ${max}.`);
    }
    return value;
  }

  /** In ms, at most `maxMs`. */
  duration(name: string, maxMs = Number.POSITIVE_INFINITY): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const ms = durationOf(text);
    if (ms === undefined) {
      const unit = /^\s*\d+(\.\d+)?\s*$/.test(text) ? " with a unit" : "";
      throw usageError(
        `--${name} is "${text}"; it must be a duration${unit}, such as ${DURATION_EXAMPLES}.`,
      );
    }
    if (ms <= maxMs) return ms;
    throw usageError(`--${name} is "${text}"; it must be at most ${maxMs / 60_000} minutes.`);
  }

  /** `KEY=VALUE` pairs, each from its own option. */
  pairs(name: string): Record<string, string> {
    const pairs: Record<string, string> = {};
    for (const item of this.list(name)) {
      const at = item.indexOf("=");
      if (at < 1) throw usageError(`--${name} is "${item}"; it must be KEY=VALUE.`);
      pairs[item.slice(0, at)] = item.slice(at + 1);
    }
    return pairs;
  }

  /** An argument that is not optional. */
  positional(index: number): string {
    const value = this.positionals[index];
    if (value === undefined) throw new Error(`The command does not describe argument ${index}.`);
    return value;
  }
}

/** @throws CliError, exit code USAGE */
export function readArgs(command: Command, argv: readonly string[]): Args {
  const options = { ...command.options, ...commonOptions(command) };
  const usage = `Usage: pawl ${usageOf(command)}`;
  const config = configOf(options);
  const { tokens } = parseArgs({ args: [...argv], options: config, strict: false, tokens: true });
  for (const token of tokens) {
    if (token.kind !== "option" || token.name in options) continue;
    const near = nearest(token.name, Object.keys(options));
    throw usageError(
      `There is no option ${token.rawName}.`,
      near === undefined ? usage : `Did you mean --${near}?`,
    );
  }
  const { positionals, values } = parseStrictly(argv, config, usage);
  checkPositionals(command, positionals, usage);
  for (const [name, option] of Object.entries(command.options)) {
    if (option.type === "boolean") continue;
    if (option.required === true && values[name] === undefined)
      throw usageError(`--${name} is missing.`, usage);
  }
  return new Args(positionals, values, options);
}

function configOf(options: Options): ParseArgsOptionsConfig {
  const config: ParseArgsOptionsConfig = {};
  for (const [name, option] of Object.entries(options)) {
    config[name] = {
      type: option.type,
      ...(option.short !== undefined && { short: option.short }),
      ...(option.type === "string" && option.multiple === true && { multiple: true }),
    };
  }
  return config;
}

function checkPositionals(command: Command, given: readonly string[], usage: string): void {
  const { positionals } = command;
  for (const [i, { name, optional, choices }] of positionals.entries()) {
    const value = given[i];
    if (value === undefined && optional === true) continue;
    if (value === undefined || value === "") throw usageError(`${name} is missing.`, usage);
    if (choices !== undefined && !choices.includes(value))
      throw usageError(`${name} is "${value}"; it must be one of ${choices.join(", ")}.`);
  }
  const extra = given[positionals.length];
  if (extra !== undefined && positionals.at(-1)?.repeated !== true)
    throw usageError(`Unexpected argument "${extra}".`, usage);
}

function parseStrictly(argv: readonly string[], options: ParseArgsOptionsConfig, usage: string) {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true });
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    const [, option] =
      /^Option '(?:-\w, )?(--[\w-]+)[^']*' argument (?:missing|is ambig)/.exec(said) ?? [];
    if (option !== undefined) throw usageError(`${option} needs a value.`, usage);
    const [sentence = said] = said.split(/\.\s/, 1);
    throw usageError(`${sentence.replace(/\.$/, "")}.`, usage);
  }
}

const LIMIT_DEFAULT = 50;
const LIMIT_MAX = 100_000;

/** The most items that a list shows. */
export function limitOf(args: Args): number {
  return args.integer("limit", 1, LIMIT_MAX) ?? LIMIT_DEFAULT;
}
