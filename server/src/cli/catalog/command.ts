/**
 * What a command says about itself. Help, docs/cli.md, shell completion and the reading of arguments
 * all come from this description, and its code is loaded only when the command runs.
 */
import type { Args } from "../shared/args.ts";
import type { Terminal } from "../shared/terminal.ts";

export interface Positional {
  /** Stands for the value in the help, such as `RUN_ID`. One that ends in FILE is completed as a file. */
  readonly name: string;
  readonly help: string;
  readonly optional?: boolean;
  /** Takes all further arguments too; only the last positional can. */
  readonly repeated?: boolean;
  readonly choices?: readonly string[];
}

/** An option that is given or not. */
export interface Flag {
  readonly type: "boolean";
  readonly short?: string;
  readonly help: string;
}

/** An option with a value. */
export interface ValueOption {
  readonly type: "string";
  readonly short?: string;
  /**
   * Stands for the value in the help and says its unit: `DURATION` takes `30s` or `1.5h`, `N` a whole
   * number, `FILE` and `DIR` a path.
   */
  readonly value: string;
  readonly choices?: readonly string[];
  readonly required?: boolean;
  /** May be given more than once. */
  readonly multiple?: boolean;
  readonly help: string;
  /** The environment variable that is read if the option is missing. */
  readonly env?: string;
  /** What applies otherwise; empty if the help says it or nothing applies. */
  readonly default: string;
}

export type Option = Flag | ValueOption;
export type Options = Readonly<Record<string, Option>>;

/** @returns the exit code */
export type Run = (args: Args, terminal: Terminal) => Promise<number>;

export interface Command {
  readonly name: string;
  /** The heading that it stands under. Groups and commands appear in the order of the catalog. */
  readonly group: Group;
  /** A line for the list of commands, without a full stop. */
  readonly summary: string;
  /** Sentences in paragraphs. Help wraps them to the terminal. */
  readonly about: string;
  readonly positionals: readonly Positional[];
  readonly options: Options;
  readonly examples: readonly string[];
  /** Servers keep running when nobody reads their output any more; other commands end. */
  readonly outlivesReader?: boolean;
  readonly load: () => Promise<{ readonly run: Run }>;
}

export type Group =
  | "Develop and operate"
  | "Runs"
  | "Control runs"
  | "Human input"
  | "Timers and workers"
  | "Access";

/** The command's line of usage, without `pawl`: `replay JOURNAL_FILE... --worker FILE [options]`. */
export function usageOf({ name, positionals, options }: Command): string {
  const words = positionals.map(({ name: word, optional, repeated }) => {
    const full = repeated === true ? `${word}...` : word;
    return optional === true ? `[${full}]` : full;
  });
  for (const [option, given] of Object.entries(options)) {
    if (given.type === "string" && given.required === true)
      words.push(`--${option} ${given.value}`);
  }
  return [name, ...words, "[options]"].join(" ");
}

/** What an option does, takes, and is without being given. */
export function describeOption(option: Option): string {
  const facts = [option.help];
  if (option.type === "string") {
    if (option.choices !== undefined) facts.push(`One of: ${option.choices.join(", ")}.`);
    if (option.multiple === true) facts.push("Can be repeated.");
    if (option.required === true) facts.push("Required.");
    const fallbacks = [option.env === undefined ? "" : `$${option.env}`, option.default];
    const otherwise = fallbacks.filter((text) => text !== "").join(", or ");
    if (otherwise !== "") facts.push(`Default: ${otherwise}.`);
  }
  return facts.join(" ");
}
