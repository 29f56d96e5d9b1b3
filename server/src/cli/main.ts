/** Finds the command, runs it, and turns whatever goes wrong into words and an exit code. */

import { nearest } from "../lib/nearest.ts";
import { StartupError } from "../lib/startup-error.ts";
import { VERSION } from "../lib/version.ts";
import type { Command } from "./catalog/command.ts";
import { CLIENT_OPTIONS } from "./catalog/common-options.ts";
import { COMMANDS } from "./catalog/index.ts";
import { commandHelp, overview } from "./render/help.ts";
import { readArgs } from "./shared/args.ts";
import { CliError, EXIT, usageError } from "./shared/exit.ts";
import { loadSettings } from "./shared/settings-file.ts";
import { systemTerminal, type Terminal } from "./shared/terminal.ts";

/** Longer lines are hard to read, also on a wide terminal. */
const HELP_WIDTH_MAX = 100;

/** @returns the exit code */
export async function main(argv: readonly string[]): Promise<number> {
  const ordered = commandFirst(argv);
  const outlivesReader = commandNamed(ordered[0])?.outlivesReader === true;
  const terminal = systemTerminal({ outlivesReader });
  const json = argv.includes("--json");
  try {
    loadSettings();
    return await dispatch(ordered, terminal);
  } catch (error) {
    return report(error, terminal, json);
  }
}

/** The same arguments with the options that stand before the command behind it. */
function commandFirst(argv: readonly string[]): readonly string[] {
  let at = 0;
  while (argv[at]?.startsWith("--") === true) {
    at += Object.hasOwn(CLIENT_OPTIONS, argv[at]?.slice(2) ?? "") ? 2 : 1;
  }
  const name = argv[at];
  if (at === 0 || name === undefined) return argv;
  return [name, ...argv.slice(0, at), ...argv.slice(at + 1)];
}

function commandNamed(name: string | undefined): Command | undefined {
  return COMMANDS.find((command) => command.name === name);
}

async function dispatch(argv: readonly string[], terminal: Terminal): Promise<number> {
  const [name, ...rest] = argv;
  const width = Math.min(HELP_WIDTH_MAX, terminal.columns);
  if (name === undefined || name === "--help" || name === "-h") {
    terminal.out(overview(width));
    return name === undefined ? EXIT.USAGE : EXIT.OK;
  }
  if (name === "help") return await dispatch([...rest.slice(0, 1), "--help"], terminal);
  if (name === "--version" || name === "-v" || name === "version") {
    terminal.out(VERSION);
    return EXIT.OK;
  }
  const command = commandNamed(name);
  if (command === undefined) {
    const names = COMMANDS.map((one) => one.name);
    const near = nearest(name, names);
    throw usageError(
      `There is no command "${name}".`,
      near === undefined ? "`pawl --help` lists all commands." : `Did you mean \`pawl ${near}\`?`,
    );
  }
  if (rest.includes("--help") || rest.includes("-h")) {
    terminal.out(commandHelp(command, width));
    return EXIT.OK;
  }
  const args = readArgs(command, rest);
  const { run } = await command.load();
  return await run(args, terminal);
}

function report(error: unknown, terminal: Terminal, json: boolean): number {
  terminal.progress("");
  const known = error instanceof CliError ? error : explain(error);
  const { message, reason, metadata, hint } = known;
  if (json) {
    terminal.out(JSON.stringify({ error: { reason, message, metadata } }));
  } else {
    terminal.note(`${terminal.style("red", "error:")} ${message}`);
    if (hint !== "") terminal.note(hint);
  }
  return known.exitCode;
}

function explain(error: unknown): CliError {
  if (error instanceof StartupError) {
    return new CliError(EXIT.CANNOT_START, error.message, { reason: error.code, cause: error });
  }
  const said = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new CliError(EXIT.INTERNAL, said, { reason: "INTERNAL", cause: error });
}
