/** What a command is, how its arguments are read, and how its help looks. */
import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { durationOf } from "../../lib/duration.ts";
import { nearest } from "../../lib/nearest.ts";
import { usageError } from "./exit.ts";
import type { Terminal } from "./terminal.ts";

export interface Option {
  readonly type: "string" | "boolean";
  readonly short?: string;
  /** May be given more than once. */
  readonly multiple?: boolean;
  /** What stands for the value in the help. */
  readonly value?: string;
  readonly help: string;
}

export interface Command {
  /** Without `pawl`, such as `status ID`. */
  readonly usage: string;
  /** One sentence or more. */
  readonly about: string;
  readonly options: Readonly<Record<string, Option>>;
  readonly examples?: readonly string[];
  /** @returns the exit code */
  run(args: Args, terminal: Terminal): Promise<number>;
}

/** Taken by every command. */
export const JSON_OPTION = {
  json: {
    type: "boolean",
    help: "Print JSON: the answer, or {error: {reason, message, metadata}}.",
  },
} as const satisfies Record<string, Option>;

const HELP_OPTION = {
  help: { type: "boolean", short: "h", help: "Print this." },
} as const satisfies Record<string, Option>;

/** Taken by all commands that talk to a server. */
export const CLIENT_OPTIONS = {
  server: {
    type: "string",
    value: "URL",
    help: "The server's HTTP address. PAWL_HTTP_URL; else http://127.0.0.1:8000.",
  },
  ...JSON_OPTION,
} as const satisfies Record<string, Option>;

/** The arguments of one call, read and checked against the command's options. */
export class Args {
  readonly positionals: readonly string[];
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #usage: string;

  constructor(usage: string, positionals: readonly string[], values: Record<string, unknown>) {
    this.#usage = usage;
    this.positionals = positionals;
    this.#values = values;
  }

  flag(name: string): boolean {
    return this.#values[name] === true;
  }

  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === "string" ? value : undefined;
  }

  list(name: string): string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value.map(String) : [];
  }

  /** A whole number in [min, max]. */
  integer(name: string, min: number, max: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (!Number.isInteger(value) || value < min || value > max) {
      throw usageError(`--${name} is "${text}"; it must be a whole number from ${min} to ${max}.`);
    }
    return value;
  }

  /** In ms. */
  duration(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const ms = durationOf(text);
    if (ms !== undefined) return ms;
    throw usageError(
      `--${name} is "${text}"; it must be a duration such as 500ms, 30s or "1h 30m".`,
    );
  }

  /** A whole number of seconds in [min, max], or a duration; in ms. */
  seconds(name: string, min: number, max: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : durationOf(text);
    if (ms !== undefined && ms >= min * 1_000 && ms <= max * 1_000) return ms;
    throw usageError(
      `--${name} is "${text}"; it must be ${min} to ${max} seconds, or a duration such as 30s or 5m.`,
    );
  }

  /** `k=v` pairs, each from its own option. */
  pairs(name: string): Record<string, string> {
    const pairs: Record<string, string> = {};
    for (const item of this.list(name)) {
      const at = item.indexOf("=");
      if (at < 1) throw usageError(`--${name} is "${item}"; it must be KEY=VALUE.`);
      pairs[item.slice(0, at)] = item.slice(at + 1);
    }
    return pairs;
  }

  positional(index: number, what: string): string {
    const value = this.positionals[index];
    if (value === undefined || value === "") {
      throw usageError(`${what} is missing.`, `Usage: pawl ${this.#usage}`);
    }
    return value;
  }
}

function allOptions(command: Command): Record<string, Option> {
  return { ...command.options, ...HELP_OPTION };
}

/** @throws CliError, exit code USAGE */
export function readArgs(command: Command, argv: readonly string[], positionalsMax: number): Args {
  const options = allOptions(command);
  const config: ParseArgsOptionsConfig = {};
  for (const [name, option] of Object.entries(options)) {
    config[name] = {
      type: option.type,
      ...(option.short !== undefined && { short: option.short }),
      ...(option.multiple === true && { multiple: true }),
    };
  }
  const { tokens } = parseArgs({ args: [...argv], options: config, strict: false, tokens: true });
  for (const token of tokens) {
    if (token.kind === "option" && !(token.name in options)) {
      const near = nearest(token.name, Object.keys(options));
      throw usageError(
        `There is no option ${token.rawName}.`,
        near === undefined ? `Usage: pawl ${command.usage}` : `Did you mean --${near}?`,
      );
    }
  }
  const read = parseStrictly(argv, config, command);
  const extra = read.positionals[positionalsMax];
  if (extra !== undefined) {
    throw usageError(`"${extra}" is one argument too many.`, `Usage: pawl ${command.usage}`);
  }
  return new Args(command.usage, read.positionals, read.values);
}

function parseStrictly(argv: readonly string[], options: ParseArgsOptionsConfig, command: Command) {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true });
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    const [sentence = said] = said.split(/\.\s/, 1);
    throw usageError(`${sentence.replace(/\.$/, "")}.`, `Usage: pawl ${command.usage}`);
  }
}

/** The help of one command. */
export function commandHelp(command: Command): string {
  const rows = Object.entries(allOptions(command)).map(([name, option]) => {
    const short = option.short === undefined ? "    " : `-${option.short}, `;
    const value = option.value === undefined ? "" : ` ${option.value}`;
    return [`${short}--${name}${value}`, option.help] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length));
  const lines = [`Usage: pawl ${command.usage}`, "", command.about, "", "Options:"];
  for (const [left, help] of rows) lines.push(`  ${left.padEnd(width)}  ${help}`);
  if (command.examples !== undefined) {
    lines.push("", "Examples:", ...command.examples.map((example) => `  ${example}`));
  }
  return lines.join("\n");
}
