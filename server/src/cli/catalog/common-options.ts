/** Options that several commands have. */
import type { Options, Positional } from "./command.ts";

/** Of runs, in the order of a run's life. */
export const STATUSES = [
  "QUEUED",
  "RUNNING",
  "WAITING",
  "PAUSED",
  "CANCELLING",
  "COMPLETED",
  "FAILED",
  "CANCELLED",
] as const;

export const RUN_ID: Positional = { name: "RUN_ID", help: "The run's id." };

/** Every command has these. */
export const GLOBAL_OPTIONS = {
  json: {
    type: "boolean",
    help: 'Print JSON; an error becomes {"error": {reason, message, metadata}}.',
  },
  help: { type: "boolean", short: "h", help: "Print this help." },
} as const satisfies Options;

/** Every command that talks to a server has these. */
export const CLIENT_OPTIONS = {
  server: {
    type: "string",
    value: "URL",
    help: "The server's HTTP address.",
    env: "PAWL_URL",
    default: "http://127.0.0.1:8000",
  },
} as const satisfies Options;

/** Every command that opens the store itself has these. */
export const STORE_OPTIONS = {
  store: {
    type: "string",
    value: "URL",
    help: "Where runs are kept: the path of a SQLite file, :memory:, or a postgres:// URL.",
    env: "PAWL_DATABASE_URL",
    default: "pawl.db in the data directory",
  },
  data: {
    type: "string",
    value: "DIR",
    help: "The data directory.",
    env: "PAWL_DATA_DIR",
    default: ".pawl",
  },
} as const satisfies Options;

export const ACTOR_OPTION = {
  actor: {
    type: "string",
    value: "NAME",
    help: "Who you are; if the question names assignees, one of them.",
    env: "PAWL_ACTOR",
    default: "your user name",
  },
} as const satisfies Options;

export const LIMIT_OPTION = {
  limit: {
    type: "string",
    short: "n",
    value: "N",
    help: "Show at most this many.",
    default: "50",
  },
} as const satisfies Options;

export const TAG_FILTER = {
  tag: {
    type: "string",
    multiple: true,
    value: "KEY=VALUE",
    help: "Only runs with this tag.",
    default: "",
  },
} as const satisfies Options;

export const WORKFLOW_FILTER = {
  workflow: { type: "string", value: "NAME", help: "Only runs of this workflow.", default: "" },
} as const satisfies Options;

export const RUN_FILTER = {
  run: { type: "string", value: "RUN_ID", help: "Only this run.", default: "" },
} as const satisfies Options;

export const REASON_OPTION = {
  reason: { type: "string", value: "TEXT", help: "Why; shown in the run's history.", default: "" },
} as const satisfies Options;

export const COMMENT_OPTION = {
  comment: { type: "string", value: "TEXT", help: "Why; shown in the run's history.", default: "" },
} as const satisfies Options;
