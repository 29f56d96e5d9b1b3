/** Commands that start runs and show them. */
import type { Command } from "./command.ts";
import { LIMIT_OPTION, RUN_ID, STATUSES, TAG_FILTER, WORKFLOW_FILTER } from "./common-options.ts";
import { START_OPTIONS } from "./start-options.ts";

const EVENT_OPTIONS = {
  limit: {
    ...LIMIT_OPTION.limit,
    help: "Start with the last N events.",
    default: "all",
  },
  level: {
    type: "string",
    short: "l",
    value: "LEVEL",
    choices: ["debug", "info", "warn", "error"],
    help: "The least important events to print.",
    default: "info",
  },
  follow: {
    type: "boolean",
    short: "f",
    help: "Keep printing new events until the run has ended, even if the server restarts meanwhile.",
  },
  after: {
    type: "string",
    value: "CURSOR",
    help: "Only events after the one with this cursor.",
    default: "",
  },
} as const;

const group = "Runs";

export const RUN_COMMANDS: readonly Command[] = [
  {
    name: "run",
    group,
    summary: "Start a run of a workflow",
    about: `
      Starts a run of a workflow and prints its id. With --wait, waits for the run to end and prints
      its result; the exit code is 1 unless the run completed. Starting a run with an existing id
      and the same input returns the existing run, so the command is safe to repeat.`,
    positionals: [{ name: "WORKFLOW", help: "The workflow's name." }],
    options: START_OPTIONS,
    examples: [
      `pawl run digest --input '{"dir": "docs", "outputDir": "."}' --wait`,
      "pawl run digest --file input.json --id digest-1 --tag team=docs",
      "pawl run sync --file input.json --concurrency 2 --concurrency-key '{customerId}'",
    ],
    load: () => import("../commands/run-start.ts"),
  },
  {
    name: "status",
    group,
    summary: "Show a run's current status",
    about: `
      Shows a run as it is now: its status and the reason, the step it is at, the worker that holds
      it, what it waits for, its result, and compensations that were not executed.`,
    positionals: [RUN_ID],
    options: {},
    examples: ["pawl status order-1"],
    load: () => import("../commands/run-status.ts"),
  },
  {
    name: "list",
    group,
    summary: "List runs",
    about: "Lists runs, newest first.",
    positionals: [],
    options: {
      status: {
        type: "string",
        multiple: true,
        value: "STATUS",
        choices: STATUSES.map((name) => name.toLowerCase()),
        help: "Only runs with this status.",
        default: "",
      },
      ...WORKFLOW_FILTER,
      ...TAG_FILTER,
      parent: { type: "string", value: "RUN_ID", help: "Only children of this run.", default: "" },
      ...LIMIT_OPTION,
    },
    examples: ["pawl list --status failed --workflow digest", "pawl list --tag team=docs --json"],
    load: () => import("../commands/run-list.ts"),
  },
  {
    name: "inspect",
    group,
    summary: "Draw a run's steps over time",
    about: `
      Draws a run over time: one line per step with a bar for each attempt, the worker that executed
      it and how long it took. Below are events that concern the whole run.`,
    positionals: [RUN_ID],
    options: {
      verbose: {
        type: "boolean",
        short: "v",
        help: "Show all steps, all facts about the run, and every entry of its journal.",
      },
    },
    examples: ["pawl inspect order-1", "pawl inspect order-1 --verbose"],
    load: () => import("../commands/run-inspect.ts"),
  },
  {
    name: "watch",
    group,
    summary: "Watch a run live",
    about: `
      Shows a run live: its steps, the text they stream, their progress, what the run waits for, and
      its result. If the output is not a terminal, prints one line per event. If the server
      restarts, it reconnects and continues where it stopped. The exit code is 0 if the run
      completed, otherwise 1. Ctrl-C stops watching; the run continues.`,
    positionals: [RUN_ID],
    options: {
      "wait-for-start": { type: "boolean", help: "Wait for a run that does not exist yet." },
      children: {
        type: "boolean",
        help: "Include events of all descendant runs, and print one line per event.",
      },
    },
    examples: ["pawl watch order-1", "pawl watch order-1 --json | jq -c '[.type, .stepKey]'"],
    load: () => import("../commands/run-watch.ts"),
  },
  {
    name: "events",
    group,
    summary: "Print a run's events",
    about: `
      Prints a run's events, one per line: the entries of its journal, and live output of its steps
      as far as it is kept. With --json, each line is an object whose cursor you can pass to
      --after, and events of all levels are printed.`,
    positionals: [RUN_ID],
    options: EVENT_OPTIONS,
    examples: ["pawl events order-1", "pawl events order-1 --follow --json | jq .type"],
    load: () => import("../commands/run-events.ts"),
  },
  {
    name: "logs",
    group,
    summary: "Print a run's log lines and failures",
    about: `
      Prints what a run's code logged with ctx.log, and what went wrong: failed attempts, pauses,
      lost workers, and the failure or cancellation that ended the run. Use \`pawl events\` to see
      all events.`,
    positionals: [RUN_ID],
    options: EVENT_OPTIONS,
    examples: ["pawl logs order-1 --level warn", "pawl logs order-1 --follow"],
    load: () => import("../commands/run-logs.ts"),
  },
  {
    name: "export",
    group,
    summary: "Write a run and its journal to a file",
    about: `
      Writes a run and its whole journal as JSON, for \`pawl replay\`, a bug report or an archive. The
      file contains the run's data in plain text, including its input and all results.`,
    positionals: [RUN_ID],
    options: {
      output: {
        type: "string",
        short: "o",
        value: "FILE",
        help: "The file to write.",
        default: "standard output",
      },
    },
    examples: ["pawl export order-17 -o order-17.json"],
    load: () => import("../commands/run-export.ts"),
  },
];
