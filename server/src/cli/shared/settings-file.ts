/** The file `pawl.env` in the folder that a command runs in: settings shared by everybody who works there. */
import { existsSync } from "node:fs";
import { usageError } from "./exit.ts";

export const SETTINGS_FILE = "pawl.env";

/** Adds the file's settings to the environment, which takes precedence. */
export function loadSettings(): void {
  if (!existsSync(SETTINGS_FILE)) return;
  try {
    process.loadEnvFile(SETTINGS_FILE);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    throw usageError(`Cannot read ${SETTINGS_FILE}: ${code}.`);
  }
}

/** The file as `pawl init` writes it: every setting with its default, as a comment. */
export function settingsFile(store: string): string {
  const chosen =
    store === "" ? "#PAWL_DATABASE_URL=postgres://pawl@127.0.0.1:5432/pawl" : setting(store);
  return `# Settings for Pawl in this folder. Every \`pawl\` command that runs here reads this file. Environment
# variables take precedence over it, and options over both. See also \`pawl serve --help\`.

# Where runs are kept: a SQLite file (default: pawl.db in the data directory) or PostgreSQL.
${chosen}
#PAWL_DATA_DIR=.pawl

# Where the server listens: gRPC for workers, HTTP for commands, curl and web pages.
#PAWL_GRPC=127.0.0.1:50051
#PAWL_HTTP=127.0.0.1:8000
# Origins of web pages that may call the server, separated by commas.
#PAWL_CORS_ORIGINS=http://localhost:5173

# Where workers and commands find the server.
#PAWL_URL=http://127.0.0.1:50051
#PAWL_HTTP_URL=http://127.0.0.1:8000

# The least important events that are logged: debug, info, warn, error or off.
#PAWL_LOG=info
`;
}

function setting(store: string): string {
  return `PAWL_DATABASE_URL=${/[\s#"'$]/.test(store) ? `'${store}'` : store}`;
}

/** Whether a store's URL contains a password, which must stay out of version control. */
export function hasPassword(store: string): boolean {
  return URL.canParse(store) && new URL(store).password !== "";
}

/** @throws CliError, exit code USAGE */
export function checkStore(store: string): string {
  if (store.includes("'") || store.includes("\n")) {
    throw usageError("--store must not contain quotes or line breaks.");
  }
  const scheme = /^([a-z]+):\/\//.exec(store)?.[1];
  if (scheme === undefined || /^(postgres(ql)?|file)$/.test(scheme)) return store;
  throw usageError(
    `--store is ${scheme}://…; it must be the path of a SQLite file, or a postgres:// URL.`,
  );
}
