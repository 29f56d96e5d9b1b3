/** Commands that set up, run and check servers and workers. */
import type { Command, Options } from "./command.ts";
import { STORE_OPTIONS } from "./common-options.ts";

const LOG_LEVELS = ["debug", "info", "warn", "error", "off"];

const SERVER_OPTIONS = {
  ...STORE_OPTIONS,
  listen: {
    type: "string",
    value: "HOST",
    help: "Where both listeners listen. Beyond this machine it takes an operator's key and --plaintext.",
    env: "PAWL_LISTEN",
    default: "127.0.0.1",
  },
  plaintext: {
    type: "boolean",
    help: "A proxy ends TLS in front of the server, so keys may reach it in clear.",
  },
  grpc: {
    type: "string",
    value: "HOST:PORT",
    help: "Where workers connect (gRPC). Port 0 takes any free port.",
    env: "PAWL_GRPC",
    default: "127.0.0.1:50051",
  },
  http: {
    type: "string",
    value: "HOST:PORT",
    help: "Where HTTP is served: REST, event streams, answer links. Port 0 takes any free port.",
    env: "PAWL_HTTP",
    default: "127.0.0.1:8000",
  },
  "public-url": {
    type: "string",
    value: "URL",
    help: "What answer links and callback URLs begin with, such as https://pawl.example.",
    env: "PAWL_PUBLIC_URL",
    default: "the HTTP address",
  },
  "public-grpc-url": {
    type: "string",
    value: "URL",
    help: "Where clients outside reach gRPC, such as https://pawl.example:50051. They ask for it.",
    env: "PAWL_PUBLIC_GRPC_URL",
    default: "the host that a client uses, with the port of --grpc",
  },
  "cors-origin": {
    type: "string",
    multiple: true,
    value: "ORIGIN",
    help: "The origin of web pages that may call the server, such as https://app.example.",
    env: "PAWL_CORS_ORIGINS",
    default: "none",
  },
  replica: {
    type: "string",
    value: "NAME",
    help: "This server's name among those that share a PostgreSQL database.",
    env: "PAWL_REPLICA",
    default: "the host's name and the gRPC address",
  },
  retention: {
    type: "string",
    value: "DURATION",
    help: "How long runs are kept after their end, such as 30d. Then they are deleted with all that belongs to them.",
    env: "PAWL_RETENTION",
    default: "for ever",
  },
  log: {
    type: "string",
    value: "LEVEL",
    choices: LOG_LEVELS,
    help: "The least important events that are logged.",
    env: "PAWL_LOG",
    default: "info",
  },
} as const satisfies Options;

const group = "Develop and operate";

export const SERVER_COMMANDS: readonly Command[] = [
  {
    name: "init",
    group,
    summary: "Create an example worker and its settings",
    about: `
      Creates an example worker (worker.ts), the settings file pawl.env, the data directory, and,
      if they are missing, package.json and .gitignore. Commands read the pawl.env of the folder
      they run in. An existing worker.ts or pawl.env is not overwritten unless you pass --force.`,
    positionals: [
      { name: "DIR", optional: true, help: "The folder to create. Default: the current folder." },
    ],
    options: {
      store: {
        type: "string",
        value: "URL",
        help: "The store to write into pawl.env: the path of a SQLite file, or a postgres:// URL.",
        default: ".pawl/pawl.db",
      },
      force: { type: "boolean", help: "Overwrite worker.ts and pawl.env." },
    },
    examples: [
      "pawl init my-project",
      "pawl init my-project --store postgres://pawl@127.0.0.1/pawl",
    ],
    load: () => import("../commands/project-init.ts"),
  },
  {
    name: "dev",
    group,
    summary: "Run a server and a worker that reloads",
    about: `
      Runs a server together with a worker, for development. The worker restarts whenever a source
      file in its folder changes, and runs in progress continue with the new code. A database with
      an older schema is migrated first.`,
    positionals: [
      {
        name: "WORKER_FILE",
        optional: true,
        help: "The worker. Default: worker.ts, src/worker.ts, worker.js or src/worker.js.",
      },
    ],
    options: {
      watch: {
        type: "string",
        multiple: true,
        value: "DIR",
        help: "Another folder whose changes restart the worker.",
        default: "the worker's folder only",
      },
      "replay-always": {
        type: "boolean",
        help: "Replay each run after every recorded entry, so that code which does not match its own history fails at once. Slow.",
      },
      ...SERVER_OPTIONS,
      log: { ...SERVER_OPTIONS.log, default: "warn" },
    },
    examples: ["pawl dev", "pawl dev src/worker.ts --watch ../shared"],
    outlivesReader: true,
    load: () => import("../commands/server-dev.ts"),
  },
  {
    name: "replay",
    group,
    summary: "Check a worker's code against recorded runs",
    about: `
      Replays exported journals with a worker's current code, on a server of its own in memory. Use
      it before a deployment to find the runs in progress that the new code could not continue.
      Recorded steps return their recorded results, and steps that are not recorded are never
      executed. The exit code is 1 if a journal does not fit the code.

      A replay cannot distinguish a new step from a renamed one. Use --allow to accept a step as new,
      or as removed.`,
    positionals: [
      {
        name: "JOURNAL_FILE",
        repeated: true,
        help: "A journal that `pawl export` wrote, or a file with one journal in each line.",
      },
    ],
    options: {
      worker: {
        type: "string",
        short: "w",
        value: "FILE",
        required: true,
        help: "The worker: a .ts, .js, .py or .go file, or a program. It finds the server's address in PAWL_URL.",
        default: "",
      },
      allow: {
        type: "string",
        multiple: true,
        value: "STEP",
        help: "A step to accept as new or removed.",
        default: "none",
      },
      timeout: {
        type: "string",
        value: "DURATION",
        help: "Time limit for the whole replay, 1h at most.",
        default: "30s",
      },
    },
    examples: [
      "pawl export order-17 -o order-17.json",
      "pawl replay order-17.json --worker worker.ts",
      "pawl replay journals/*.json --worker worker.py --json",
    ],
    load: () => import("../commands/journal-replay.ts"),
  },
  {
    name: "serve",
    group,
    summary: "Run the server",
    about: `
      Runs the server until Ctrl-C or SIGTERM; send it twice to stop immediately. The server
      listens on this machine only, unless --listen says otherwise. It logs to standard error: text on a terminal, otherwise one
      JSON object per line. With --json, it prints one line with its addresses once it is ready.`,
    positionals: [],
    options: {
      ...SERVER_OPTIONS,
      migrate: {
        type: "boolean",
        help: "Migrate a database with an older schema first. Without it, the server refuses to start on one.",
      },
    },
    examples: [
      "pawl serve",
      "pawl serve --store postgres://pawl@127.0.0.1/pawl --migrate",
      "pawl serve --store :memory: --grpc 127.0.0.1:0 --http 127.0.0.1:0 --json",
    ],
    outlivesReader: true,
    load: () => import("../commands/server-serve.ts"),
  },
  {
    name: "migrate",
    group,
    summary: "Migrate the database to this version's schema",
    about: `
      Migrates the database to this version's schema. Migrations cannot be undone. Stop a server that uses
      a SQLite file first; servers on PostgreSQL can keep running.`,
    positionals: [],
    options: {
      status: { type: "boolean", help: "Show pending migrations without applying them." },
      ...STORE_OPTIONS,
    },
    examples: ["pawl migrate --status", "pawl migrate --store postgres://pawl@127.0.0.1/pawl"],
    load: () => import("../commands/store-migrate.ts"),
  },
  {
    name: "completion",
    group,
    summary: "Print a script that completes commands in your shell",
    about: `
      Prints a script that completes commands, options and their values in bash, zsh or fish. The
      examples set it up for good.`,
    positionals: [{ name: "SHELL", help: "Your shell.", choices: ["bash", "zsh", "fish"] }],
    options: {},
    examples: [
      "pawl completion bash >> ~/.bashrc",
      "pawl completion zsh >> ~/.zshrc",
      "pawl completion fish > ~/.config/fish/completions/pawl.fish",
    ],
    load: () => import("../commands/shell-completion.ts"),
  },
];

/** Commands about who may call a server. */
export const ACCESS_COMMANDS: readonly Command[] = [
  {
    name: "keys",
    group: "Access",
    summary: "Create, list, revoke and rotate API keys",
    about: `
      Manages the keys with which clients and workers call a server. A server that only this machine can
      reach needs none; the first operator's key ends that. A key is printed once, when it is created.

      With --operator, "create" opens the store itself, so that the owner of the store can make the first
      key. Otherwise the command asks a running server, with an operator's key. The action "generate"
      prints an operator's key for a server's PAWL_OPERATOR_KEY, and needs neither.`,
    positionals: [
      {
        name: "ACTION",
        help: "What to do.",
        choices: ["create", "list", "revoke", "rotate", "generate"],
      },
      { name: "NAME", optional: true, help: "The key's name, or its id. Default: none." },
    ],
    options: {
      scopes: {
        type: "string",
        value: "SCOPES",
        help: "What the key may do, such as runs:read,runs:write; docs/access.md lists all scopes.",
        default: "what clients and workers need",
      },
      expires: {
        type: "string",
        value: "DURATION",
        help: "When the key stops working, such as 90d.",
        default: "never",
      },
      operator: { type: "boolean", help: "The key may do everything, such as create keys." },
      overlap: {
        type: "string",
        value: "DURATION",
        help: "How long a rotated key continues to work.",
        default: "24h",
      },
      ...STORE_OPTIONS,
    },
    examples: [
      "pawl keys create me --operator",
      "pawl keys create ci --scopes runs:read,runs:write --expires 90d",
      "pawl keys rotate ci --overlap 1h",
    ],
    load: () => import("../commands/key-manage.ts"),
  },
];
