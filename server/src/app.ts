/** The composition root: store, engine and listeners, made and unmade in order. */

import { mkdir } from "node:fs/promises";
import { createServer } from "node:net";
import { resolve } from "node:path";
import { Keys } from "./auth/api-keys.ts";
import { Authenticator } from "./auth/authenticator.ts";
import { type Address, formatAddress, type ServerConfig } from "./config.ts";
import { createEngine, type Engine } from "./engine/engine.ts";
import { withPawlErrors } from "./engine/store-errors.ts";
import { createHttpServer, type HttpServer } from "./http/server.ts";
import { sleep, systemClock } from "./lib/clock.ts";
import type { Log } from "./lib/log.ts";
import { StartupError } from "./lib/startup-error.ts";
import { Calls } from "./rpc/calls.ts";
import { createGrpcServer, type GrpcServer } from "./rpc/grpc-server.ts";
import type { Place } from "./rpc/services/server-service.ts";
import { apiBindings, toolBindings } from "./rpc/services.ts";
import { WorkerStreams } from "./rpc/worker-stream.ts";
import { openStore } from "./store/open.ts";
import type { Store } from "./store/store.ts";
import { createMetrics } from "./telemetry/metrics.ts";
import { loadTelemetry, type Telemetry } from "./telemetry/telemetry.ts";

/** How long calls in progress may take to end once all commands have been committed. */
const LAST_CALLS_MS = 2_000;
/** How often a store that was away at the start is looked for. */
const CONTACT_MS = 500;

export interface App {
  readonly grpc: Address;
  readonly http: Address;
  readonly store: "sqlite" | "postgres";
  /** Whether callers without a credential own the server, as far as its store was reached. */
  readonly isOpen: boolean;
  /** Finishes what was started, tells workers to go, and closes everything. Safe to call twice. */
  stop(): Promise<void>;
}

/** @throws StartupError where it cannot start; everything opened until then is closed again. */
export async function startApp(config: ServerConfig, log: Log): Promise<App> {
  if (config.dataDir !== "") await makeDataDir(config.dataDir);
  const store = await openStore(config.store, {
    migrate: config.migrate,
    thread: config.storeThread,
    onMessage: (message) => log.debug("store.message", { message }),
  });
  const metrics = createMetrics();
  const telemetry = await loadTelemetry(process.env, metrics.registry, log);
  let { grpc: grpcAddress, http: httpAddress } = config;
  const publicUrl = () => config.publicUrl || `http://${formatAddress(httpAddress)}`;
  const engine = createEngine({
    store,
    replicaId: config.replicaId,
    log,
    metrics,
    tracing: telemetry?.tracing,
    retentionMs: config.retentionMs,
    publicUrl,
  });
  const access = createAccess(store, config, log);
  const { calls } = access;
  const streams = new WorkerStreams();
  let stopping: Promise<void> | undefined;
  const contact = new Contact(store, log);
  const ready = (): boolean => contact.made && stopping === undefined && engine.ready();
  const locate = (host: string): Place => ({
    httpUrl: config.publicUrl || urlBy(host, httpAddress),
    grpcUrl: config.publicGrpcUrl || urlBy(host, grpcAddress),
    credentialRequired: !access.authenticator.isOpen,
  });
  const api = apiBindings({ engine, keys: access.keys, streams, log, locate });
  const grpc = createGrpcServer({ bindings: [...api, ...toolBindings(ready)], calls, log });
  const http = createHttpServer({
    engine,
    bindings: api,
    calls,
    log,
    ready,
    metrics: metrics.registry,
    corsOrigins: config.corsOrigins,
    isOpen: () => access.authenticator.isOpen,
  });
  const parts: Parts = { store, engine, access, streams, grpc, http, telemetry };
  try {
    await contact.make();
    if (contact.made) await access.authenticator.refresh();
    checkExposure(config, access, contact.made);
    access.authenticator.start(access.recheck);
    grpcAddress = await listen("--grpc", config.grpc, () =>
      grpc.listen(formatAddress(config.grpc)),
    );
    httpAddress = await listen("--http", config.http, () =>
      http.listen(config.http.host, config.http.port),
    );
    return {
      grpc: grpcAddress,
      http: httpAddress,
      store: store.kind,
      isOpen: access.authenticator.isOpen,
      stop() {
        contact.stop();
        stopping ??= stop(parts, log);
        return stopping;
      },
    };
  } catch (error) {
    contact.stop();
    await stop(parts, log);
    throw error;
  }
}

async function makeDataDir(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new StartupError(
      "NOT_WRITABLE",
      `Cannot create the data directory ${folder}: ${said}. Use another one with --data.`,
      { cause },
    );
  }
}

/** Who calls, and who may create keys. */
interface Access {
  readonly authenticator: Authenticator;
  readonly calls: Calls;
  readonly keys: Keys;
  /** Ends the calls of those who may no longer make them. */
  readonly recheck: () => Promise<void>;
}

function createAccess(bare: Store, config: ServerConfig, log: Log): Access {
  const store = withPawlErrors(bare);
  const { operatorKey, publicUrl, publicGrpcUrl, exposed } = config;
  const anonymous = `${operatorKey}${publicUrl}${publicGrpcUrl}` === "" && exposed.length === 0;
  const mode = { anonymous, operatorKey };
  const authenticator = new Authenticator({ store, mode, clock: systemClock, log });
  const calls = new Calls(authenticator.authenticate);
  return {
    authenticator,
    calls,
    keys: new Keys({ store, clock: systemClock, changed: () => authenticator.refresh() }),
    recheck: () => calls.recheck((caller) => authenticator.problemWith(caller)),
  };
}

/**
 * A server that others can reach must have a key, and must not be sent it in clear. While the store is
 * away nobody has a key, so that nothing can be done with the server.
 *
 * @throws StartupError which names all that is missing
 */
function checkExposure(
  config: ServerConfig,
  { authenticator }: Access,
  isStoreReached: boolean,
): void {
  const { exposed, operatorKey, plaintext } = config;
  if (exposed.length === 0) return;
  const where = [...new Set(exposed)].join(" and ");
  const problems: string[] = [];
  const hasKey = operatorKey !== "" || !isStoreReached || authenticator.hasOperator;
  if (!hasKey)
    problems.push(
      `Other machines reach ${where}, and there is no operator's key yet (NO_OPERATOR_KEY). ${firstKey(config)}`,
    );
  if (!plaintext)
    problems.push(
      `Keys would reach ${where} in clear (PLAINTEXT_REFUSED). Put a proxy that ends TLS in front of the ` +
        "server, and say so with --plaintext.",
    );
  if (problems.length === 0) return;
  throw new StartupError(hasKey ? "PLAINTEXT_REFUSED" : "NO_OPERATOR_KEY", problems.join("\n"));
}

/** How to make the first key, in a command that can be copied unless the store's URL may hold a password. */
function firstKey({ store, dataDir }: ServerConfig): string {
  if (store === ":memory:")
    return "Set PAWL_OPERATOR_KEY to what this prints:\n    pawl keys generate";
  let where = ` --store ${store}`;
  if (dataDir !== "") where = dataDir === resolve(".pawl") ? "" : ` --data ${dataDir}`;
  else if (/^postgres(ql)?:/.test(store)) where = ' --store "$PAWL_DATABASE_URL"';
  return `Create one; it is printed once:\n    pawl keys create me --operator${where}`;
}

interface Parts {
  readonly store: Store;
  readonly engine: Engine;
  readonly access: Access;
  readonly streams: WorkerStreams;
  readonly grpc: GrpcServer;
  readonly http: HttpServer;
  readonly telemetry: Telemetry | undefined;
}

/**
 * Workers are told first. Then nothing new is taken, all that was taken is committed and answered,
 * and the streams close. Leases stay: workers come back with them to the next server.
 */
async function stop(parts: Parts, log: Log): Promise<void> {
  const { store, engine, access, streams, grpc, http } = parts;
  engine.drain();
  streams.pauseAll();
  access.calls.stop();
  const closed = Promise.all([grpc.stop(), http.stop()]);
  await engine.close();
  await streams.endAll();
  const last = new AbortController();
  await Promise.race([closed, sleep(LAST_CALLS_MS, last.signal).catch(() => undefined)]);
  last.abort();
  grpc.kill();
  http.kill();
  await access.authenticator.stop();
  await parts.telemetry?.stop();
  await store.close();
  log.debug("app.closed");
}

/** The first contact with the store. Once it was made, the engine watches over the store. */
class Contact {
  readonly #store: Store;
  readonly #log: Log;
  readonly #over = new AbortController();
  made = false;

  constructor(store: Store, log: Log) {
    this.#store = store;
    this.#log = log;
  }

  /** Tries once, and continues trying in the background if that failed. */
  async make(): Promise<void> {
    const problem = await this.#attempt();
    if (problem === undefined) return;
    this.#log.warn("store.unreachable", {
      message: problem,
      next: "It is tried again until it answers; until then the server is not ready.",
    });
    void this.#goOn();
  }

  stop(): void {
    this.#over.abort();
  }

  async #goOn(): Promise<void> {
    const { signal } = this.#over;
    while (!this.made && !signal.aborted) {
      await sleep(CONTACT_MS, signal).catch(() => undefined);
      if (!signal.aborted) await this.#attempt();
    }
    if (this.made) this.#log.info("store.reached");
  }

  async #attempt(): Promise<string | undefined> {
    try {
      await this.#store.ping();
      this.made = true;
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }
}

/** The URL of a listener, by the host that a caller used. */
function urlBy(host: string, { host: own, port }: Address): string {
  const name = URL.parse(`http://${host}`)?.hostname.replace(/^\[(.*)\]$/, "$1");
  return `http://${formatAddress({ host: name || own, port })}`;
}

/** @returns the address with the port that was taken */
async function listen(
  option: string,
  address: Address,
  bind: () => Promise<number>,
): Promise<Address> {
  try {
    return { host: address.host, port: await bind() };
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
