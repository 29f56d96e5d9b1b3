/** What `pawl serve` and `pawl dev` share: settings, log and shutdown. */
import { readConfig, type ServerConfig } from "../../config.ts";
import type { Log } from "../../lib/log.ts";
import { standardError } from "../../lib/log-output.ts";
import { createLog } from "../../lib/write-log.ts";
import type { Args } from "./args.ts";
import { EXIT } from "./exit.ts";
import type { Terminal } from "./terminal.ts";

/** After a stop, how long the log's reader and the remaining connections may take to go. */
const LINGER_MS = 500;
/** After this long a stop is cut short. */
const STOP_MS = 10_000;

/** Everything is committed and closed: a socket that a client left half open must not keep the process alive. */
export async function endSoon(): Promise<void> {
  await standardError().flush(LINGER_MS);
  setTimeout(() => process.exit(EXIT.OK), LINGER_MS).unref();
}

export function configOf(args: Args, terminal: Terminal, migrate: boolean): ServerConfig {
  const origins = args.list("cors-origin");
  const options = {
    store: args.text("store"),
    listen: args.text("listen"),
    plaintext: args.flag("plaintext") ? true : undefined,
    grpc: args.text("grpc"),
    http: args.text("http"),
    publicUrl: args.text("public-url"),
    publicGrpcUrl: args.text("public-grpc-url"),
    corsOrigins: origins.length > 0 ? origins : undefined,
    data: args.text("data"),
    replica: args.text("replica"),
    retention: args.text("retention"),
    logLevel: args.text("log"),
    migrate,
  };
  return readConfig(options, terminal.env);
}

/** JSON for programs, text on a terminal. */
export function logOf({ logLevel, logFormat }: ServerConfig): Log {
  const format = logFormat ?? (process.stderr.isTTY === true ? "text" : "json");
  return createLog({ level: logLevel, format });
}

/** Where callers need no key. */
export const OPEN = "anyone on this machine is the owner";

/** Without the password that a URL may contain. */
export function describeStore({ store }: ServerConfig): string {
  return store.replace(/\/\/[^@/]*@/, "//").replace(/\?.*$/, "");
}

/** Resolves at the first signal. A second one, or a stop that takes too long, ends the process. */
export function stopSignal(log: Log): Promise<void> {
  return new Promise((resolve) => {
    let stopping = false;
    const onSignal = (signal: NodeJS.Signals): void => {
      if (stopping) process.exit(EXIT.INTERRUPTED);
      stopping = true;
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
