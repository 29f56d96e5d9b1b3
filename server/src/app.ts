/** The composition root: store, engine and listeners, made and unmade in order. */
import { mkdir } from "node:fs/promises";
import { createServer } from "node:net";
import { type Address, formatAddress, type ServerConfig } from "./config.ts";
import { createEngine, type Engine } from "./engine/engine.ts";
import { createHttpServer, type HttpServer } from "./http/server.ts";
import { sleep } from "./lib/clock.ts";
import type { Log } from "./lib/log.ts";
import { StartupError } from "./lib/startup-error.ts";
import { Calls } from "./rpc/calls.ts";
import { createGrpcServer, type GrpcServer } from "./rpc/grpc-server.ts";
import { apiBindings, toolBindings } from "./rpc/services.ts";
import { Sessions } from "./rpc/session.ts";
import { openStore } from "./store/open.ts";
import type { Store } from "./store/store.ts";

/** How long calls in progress may take to end once all commands have been committed. */
const LAST_CALLS_MS = 2_000;

export interface App {
  readonly grpc: Address;
  readonly http: Address;
  readonly store: "sqlite" | "postgres";
  /** Finishes what was begun, tells workers to go, and closes everything. Safe to call twice. */
  stop(): Promise<void>;
}

/** @throws StartupError where it cannot start; everything opened until then is closed again. */
export async function startApp(config: ServerConfig, log: Log): Promise<App> {
  if (config.dataDir !== "") await mkdir(config.dataDir, { recursive: true });
  const store = await openStore(config.store, {
    migrate: config.migrate,
    thread: config.storeThread,
    onMessage: (message) => log.warn("store.message", { message }),
  });
  const engine = createEngine({ store, replicaId: config.replicaId, log });
  const calls = new Calls();
  const sessions = new Sessions();
  let stopping: Promise<void> | undefined;
  const ready = (): boolean => stopping === undefined && engine.ready();
  const api = apiBindings({ engine, sessions, log });
  const grpc = createGrpcServer({ bindings: [...api, ...toolBindings(ready)], calls, log });
  const http = createHttpServer({ bindings: api, calls, log, ready });
  const parts: Parts = { store, engine, calls, sessions, grpc, http };
  try {
    const [grpcPort, httpPort] = await Promise.all([
      listen("--grpc", config.grpc, () => grpc.listen(formatAddress(config.grpc))),
      listen("--http", config.http, () => http.listen(config.http.host, config.http.port)),
    ]);
    return {
      grpc: { host: config.grpc.host, port: grpcPort },
      http: { host: config.http.host, port: httpPort },
      store: store.kind,
      stop() {
        stopping ??= stop(parts, log);
        return stopping;
      },
    };
  } catch (error) {
    await stop(parts, log);
    throw error;
  }
}

interface Parts {
  readonly store: Store;
  readonly engine: Engine;
  readonly calls: Calls;
  readonly sessions: Sessions;
  readonly grpc: GrpcServer;
  readonly http: HttpServer;
}

/**
 * Workers are told first. Then nothing new is taken, all that was taken is committed and answered,
 * and the streams close. Leases stay: workers come back with them to the next server.
 */
async function stop(parts: Parts, log: Log): Promise<void> {
  const { store, engine, calls, sessions, grpc, http } = parts;
  engine.drain();
  sessions.pauseAll();
  calls.stop();
  const closed = Promise.all([grpc.stop(), http.stop()]);
  await engine.close();
  await sessions.endAll();
  const last = new AbortController();
  await Promise.race([closed, sleep(LAST_CALLS_MS, last.signal).catch(() => undefined)]);
  last.abort();
  grpc.kill();
  http.kill();
  await store.close();
  log.debug("app.closed");
}

async function listen(option: string, address: Address, bind: () => Promise<number>) {
  try {
    return await bind();
  } catch (cause) {
    const code = await probe(address);
    const where = formatAddress(address);
    if (code === "EADDRINUSE") {
      throw new StartupError(
        "PORT_TAKEN",
        `${where} is taken by another program, perhaps another Pawl server. Stop that one, or ` +
          `choose another port with ${option} ${formatAddress({ ...address, port: 0 })} (0: any free one).`,
        { cause },
      );
    }
    const problem = code === "" ? String(cause) : code;
    throw new StartupError("BAD_CONFIG", `${option} ${where} cannot be used: ${problem}.`, {
      cause,
    });
  }
}

/** Why the address cannot be bound, as the system's code; empty where it can be. */
function probe({ host, port }: Address): Promise<string> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "unknown error"));
    server.listen(port, host, () => server.close(() => resolve("")));
  });
}
