import { flushCompileCache } from "node:module";
import { startApp } from "../../app.ts";
import { formatAddress, readConfig, type ServerConfig, unknownVariables } from "../../config.ts";
import { releaseHeap } from "../../lib/heap.ts";
import type { Log } from "../../lib/log.ts";
import { standardError } from "../../lib/log-output.ts";
import { uptimeMs } from "../../lib/uptime.ts";
import { VERSION } from "../../lib/version.ts";
import { createLog } from "../../lib/write-log.ts";
import { type Args, type Command, JSON_OPTION, type Option } from "../shared/args.ts";
import { EXIT } from "../shared/exit.ts";
import type { Terminal } from "../shared/terminal.ts";

/** After a stop, how long a reader of the log may take, and what is left of connections to go by itself. */
const LINGER_MS = 500;
/** After this long a stop is cut short. */
const STOP_MS = 10_000;

export const SERVER_OPTIONS = {
  store: {
    type: "string",
    value: "URL",
    help: "SQLite file, :memory: or postgres://… PAWL_DATABASE_URL; else pawl.db in the data directory.",
  },
  grpc: {
    type: "string",
    value: "ADDR",
    help: "Where workers connect. PAWL_GRPC; else 127.0.0.1:50051. Port 0: any free one.",
  },
  http: {
    type: "string",
    value: "ADDR",
    help: "Where HTTP is served. PAWL_HTTP; else 127.0.0.1:8000. Port 0: any free one.",
  },
  "public-url": {
    type: "string",
    value: "URL",
    help: "What answer links and callback URLs begin with. PAWL_PUBLIC_URL; else the HTTP address.",
  },
  "cors-origin": {
    type: "string",
    multiple: true,
    value: "ORIGIN",
    help: "Web pages that may call; may be repeated. PAWL_CORS_ORIGINS, with commas; else none.",
  },
  data: { type: "string", value: "DIR", help: "Data directory. PAWL_DATA_DIR; else .pawl." },
  replica: {
    type: "string",
    value: "NAME",
    help: "Name among the servers on one Postgres. PAWL_REPLICA; else host and gRPC address.",
  },
  log: {
    type: "string",
    value: "LEVEL",
    help: "debug, info, warn, error or off. PAWL_LOG; else info.",
  },
} as const satisfies Record<string, Option>;

export const command: Command = {
  usage: "serve [--store URL] [--grpc ADDR] [--http ADDR] [--data DIR] [--migrate]",
  about:
    "Runs the server until it is told to stop (Ctrl-C or SIGTERM; a second time: at once). It\n" +
    "listens on this machine only. The log goes to standard error, one JSON object per line (text on a\n" +
    "terminal). With --json, one line on standard output tells the addresses once it is ready.",
  options: {
    ...SERVER_OPTIONS,
    migrate: { type: "boolean", help: "Migrate an older schema first; otherwise it is refused." },
    ...JSON_OPTION,
  },
  examples: [
    "pawl serve",
    "pawl serve --store postgres://pawl@127.0.0.1/pawl --migrate",
    "pawl serve --store :memory: --grpc 127.0.0.1:0 --http 127.0.0.1:0 --json",
  ],
  run: (args, terminal) => serve(args, terminal, args.flag("migrate")),
};

async function serve(args: Args, terminal: Terminal, migrate: boolean): Promise<number> {
  const config = configOf(args, terminal, migrate);
  const log = logOf(config);
  for (const name of unknownVariables(terminal.env)) log.warn("config.unknown_variable", { name });
  process.on("uncaughtExceptionMonitor", (error) => log.error("process.crashed", { error }));
  const told = stopSignal(log);
  const app = await startApp(config, log);
  releaseHeap();
  const grpc = formatAddress(app.grpc);
  const http = formatAddress(app.http);
  const readyMs = Math.round(uptimeMs());
  const facts = { grpc, http, store: app.store, version: VERSION, pid: process.pid };
  log.info("server.ready", { ...facts, ready_ms: readyMs });
  if (args.flag("json")) {
    const urls = { grpcUrl: `http://${grpc}`, httpUrl: `http://${http}` };
    terminal.out(JSON.stringify({ event: "ready", ...facts, ...urls, readyMs }));
  } else {
    terminal.out(`Pawl ${VERSION} is ready after ${(readyMs / 1_000).toFixed(1)} s.`);
    terminal.out(`  workers  ${grpc} (gRPC)`);
    terminal.out(`  clients  http://${http}`);
    terminal.out(`  store    ${describeStore(config)}`);
  }
  // Now, since a killed server could not at its end.
  flushCompileCache();
  await told;
  await app.stop();
  log.info("server.stopped");
  await endSoon();
  return EXIT.OK;
}

/** All is committed and closed: a socket that a client leaves half open must not hold the process. */
export async function endSoon(): Promise<void> {
  await standardError().flush(LINGER_MS);
  setTimeout(() => process.exit(EXIT.OK), LINGER_MS).unref();
}

export function configOf(args: Args, terminal: Terminal, migrate: boolean): ServerConfig {
  const origins = args.list("cors-origin");
  const options = {
    store: args.text("store"),
    grpc: args.text("grpc"),
    http: args.text("http"),
    publicUrl: args.text("public-url"),
    corsOrigins: origins.length > 0 ? origins : undefined,
    data: args.text("data"),
    replica: args.text("replica"),
    logLevel: args.text("log"),
    migrate,
  };
  return readConfig(options, terminal.env);
}

/** JSON for programs, text where a person looks on. */
export function logOf({ logLevel, logFormat }: ServerConfig): Log {
  const format = logFormat ?? (process.stderr.isTTY === true ? "text" : "json");
  return createLog({ level: logLevel, format });
}

/** Without the password that a URL may hold. */
export function describeStore({ store }: ServerConfig): string {
  return store.replace(/\/\/[^@/]*@/, "//").replace(/\?.*$/, "");
}

/** Resolves at the first signal. A second one, or a stop that takes too long, ends the process. */
export function stopSignal(log: Log): Promise<void> {
  return new Promise((resolve) => {
    let told = false;
    const onSignal = (signal: NodeJS.Signals): void => {
      if (told) process.exit(EXIT.INTERRUPTED);
      told = true;
      log.info("server.stopping", { signal });
      const late = setTimeout(() => {
        log.error("server.stop_cut_short", { after_ms: STOP_MS });
        process.exit(EXIT.INTERNAL);
      }, STOP_MS);
      late.unref();
      resolve();
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
  });
}
