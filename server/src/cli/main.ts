/** Finds the command, runs it, and turns whatever goes wrong into words and an exit code. */

import { nearest } from "../lib/nearest.ts";
import { StartupError } from "../lib/startup-error.ts";
import { VERSION } from "../lib/version.ts";
import { type Command, commandHelp, readArgs } from "./shared/args.ts";
import { CliError, EXIT, usageError } from "./shared/exit.ts";
import { loadSettings } from "./shared/settings-file.ts";
import { systemTerminal, type Terminal } from "./shared/terminal.ts";

interface Listed {
  readonly summary: string;
  /** How many arguments it takes besides options. */
  readonly positionals: number;
  /** Loaded on demand: each brings its own weight. */
  readonly load: () => Promise<{ readonly command: Command }>;
}

const COMMANDS: Readonly<Record<string, Listed>> = {
  init: {
    summary: "Write an example worker and its settings",
    positionals: 1,
    load: () => import("./commands/project-init.ts"),
  },
  dev: {
    summary: "Run a server and a worker that reloads",
    positionals: 1,
    load: () => import("./commands/server-dev.ts"),
  },
  migrate: {
    summary: "Bring the database to this version's schema",
    positionals: 0,
    load: () => import("./commands/store-migrate.ts"),
  },
  serve: {
    summary: "Run the server",
    positionals: 0,
    load: () => import("./commands/server-serve.ts"),
  },
  run: {
    summary: "Start a run of a workflow, and wait for it",
    positionals: 1,
    load: () => import("./commands/run-start.ts"),
  },
  status: {
    summary: "Show a run as it is now",
    positionals: 1,
    load: () => import("./commands/run-status.ts"),
  },
  list: {
    summary: "List runs",
    positionals: 0,
    load: () => import("./commands/run-list.ts"),
  },
  inspect: {
    summary: "Draw a run over time",
    positionals: 1,
    load: () => import("./commands/run-inspect.ts"),
  },
  watch: {
    summary: "Show a run while it happens",
    positionals: 1,
    load: () => import("./commands/run-watch.ts"),
  },
  events: {
    summary: "Print what happened in a run",
    positionals: 1,
    load: () => import("./commands/run-events.ts"),
  },
  logs: {
    summary: "Print what a run logged, and what went wrong",
    positionals: 1,
    load: () => import("./commands/run-logs.ts"),
  },
  export: {
    summary: "Write a run and its journal to a file",
    positionals: 1,
    load: () => import("./commands/run-export.ts"),
  },
  replay: {
    summary: "Check a worker's code against recorded runs",
    positionals: 1_000,
    load: () => import("./commands/journal-replay.ts"),
  },
  resume: {
    summary: "Let a paused run go on",
    positionals: 1,
    load: () => import("./commands/run-resume.ts"),
  },
  retry: {
    summary: "Let a failed run go on from its failed step",
    positionals: 1,
    load: () => import("./commands/run-retry.ts"),
  },
  pause: {
    summary: "Stop a run at its next step boundary",
    positionals: 1,
    load: () => import("./commands/run-pause.ts"),
  },
  cancel: {
    summary: "End a run",
    positionals: 1,
    load: () => import("./commands/run-cancel.ts"),
  },
  delete: {
    summary: "Delete a run that has ended",
    positionals: 1,
    load: () => import("./commands/run-delete.ts"),
  },
  signal: {
    summary: "Send a signal to a run",
    positionals: 2,
    load: () => import("./commands/signal-send.ts"),
  },
  waits: {
    summary: "Show what runs wait for, and how to answer",
    positionals: 0,
    load: () => import("./commands/wait-list.ts"),
  },
  answer: {
    summary: "Answer a question that a run asks",
    positionals: Number.POSITIVE_INFINITY,
    load: () => import("./commands/wait-answer.ts"),
  },
  approve: {
    summary: "Approve what a run asks",
    positionals: 1,
    load: () => import("./commands/wait-approve.ts"),
  },
  reject: {
    summary: "Reject what a run asks",
    positionals: 1,
    load: () => import("./commands/wait-reject.ts"),
  },
  timers: {
    summary: "List the sleeps of runs, or cancel one",
    positionals: 0,
    load: () => import("./commands/timer-list.ts"),
  },
  workers: {
    summary: "List the workers",
    positionals: 0,
    load: () => import("./commands/worker-list.ts"),
  },
  workflows: {
    summary: "List the workflows and who serves them",
    positionals: 0,
    load: () => import("./commands/workflow-list.ts"),
  },
};

const GROUPS: readonly (readonly [title: string, commands: readonly string[]])[] = [
  ["Develop and operate", ["init", "dev", "replay", "serve", "migrate"]],
  ["Runs", ["run", "status", "list", "inspect", "watch", "events", "logs", "export"]],
  ["Steer runs", ["signal", "pause", "resume", "retry", "cancel", "delete"]],
  ["Answer runs", ["waits", "answer", "approve", "reject"]],
  ["See what is there", ["timers", "workers", "workflows"]],
];

/** @returns the exit code */
export async function main(argv: readonly string[]): Promise<number> {
  const ordered = commandFirst(argv);
  const terminal = systemTerminal({ outlivesReader: OUTLIVING.has(ordered[0] ?? "") });
  const json = argv.includes("--json");
  try {
    loadSettings();
    return await dispatch(ordered, terminal);
  } catch (error) {
    return report(error, terminal, json);
  }
}

/** Servers go on when nobody reads their output any more. */
const OUTLIVING: ReadonlySet<string> = new Set(["serve", "dev"]);
/** Options that every client command has and that take a value. */
const GLOBAL_WITH_VALUE: ReadonlySet<string> = new Set(["--server"]);

/** The same arguments with the options that stand before the command behind it. */
function commandFirst(argv: readonly string[]): readonly string[] {
  let at = 0;
  while (argv[at]?.startsWith("--") === true) at += GLOBAL_WITH_VALUE.has(argv[at] ?? "") ? 2 : 1;
  const name = argv[at];
  if (at === 0 || name === undefined) return argv;
  return [name, ...argv.slice(0, at), ...argv.slice(at + 1)];
}

async function dispatch(argv: readonly string[], terminal: Terminal): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === "--help" || name === "-h") {
    terminal.out(help());
    return name === undefined ? EXIT.USAGE : EXIT.OK;
  }
  if (name === "help") return await dispatch([...rest.slice(0, 1), "--help"], terminal);
  if (name === "--version" || name === "-v" || name === "version") {
    terminal.out(VERSION);
    return EXIT.OK;
  }
  const listed = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (listed === undefined) {
    const near = nearest(name, Object.keys(COMMANDS));
    throw usageError(
      `There is no command "${name}".`,
      near === undefined ? "`pawl --help` lists them." : `Did you mean \`pawl ${near}\`?`,
    );
  }
  const { command } = await listed.load();
  if (rest.includes("--help") || rest.includes("-h")) {
    terminal.out(commandHelp(command));
    return EXIT.OK;
  }
  return await command.run(readArgs(command, rest, listed.positionals), terminal);
}

function help(): string {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length));
  const lines = [
    "Usage: pawl COMMAND [options]",
    "",
    "Pawl runs workflows durably: every step that ends is recorded once.",
  ];
  for (const [title, names] of GROUPS) {
    lines.push("", `${title}:`);
    for (const name of names) {
      const listed = COMMANDS[name];
      if (listed !== undefined) lines.push(`  ${name.padEnd(width)}  ${listed.summary}`);
    }
  }
  lines.push("", "`pawl COMMAND --help` tells more. `--json` makes any of them print JSON.");
  return lines.join("\n");
}

function report(error: unknown, terminal: Terminal, json: boolean): number {
  terminal.progress("");
  const known = error instanceof CliError ? error : wrap(error);
  const { message, reason, metadata, hint } = known;
  if (json) {
    terminal.out(JSON.stringify({ error: { reason, message, metadata } }));
  } else {
    terminal.note(`${terminal.style("red", "error:")} ${message}`);
    if (hint !== "") terminal.note(hint);
  }
  return known.exitCode;
}

function wrap(error: unknown): CliError {
  if (error instanceof StartupError) {
    return new CliError(EXIT.CANNOT_START, error.message, { reason: error.code, cause: error });
  }
  const said = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new CliError(EXIT.INTERNAL, said, { reason: "INTERNAL", cause: error });
}
