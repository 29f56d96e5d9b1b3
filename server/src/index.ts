/** A Pawl server inside a program: the same services without a socket, for scripts and tests. */

import { hostname } from "node:os";
import { createRouterTransport, type Transport } from "@connectrpc/connect";
import { Keys } from "./auth/api-keys.ts";
import { everyoneIsOwner } from "./auth/authenticate.ts";
import { parseReplica } from "./config.ts";
import { createEngine } from "./engine/engine.ts";
import { systemClock } from "./lib/clock.ts";
import { uniqueId } from "./lib/ids.ts";
import type { LogLevel } from "./lib/log.ts";
import { nodeProblem } from "./lib/node-version.ts";
import { createLog } from "./lib/write-log.ts";
import { BOUNDS } from "./model/bounds.ts";
import { Calls } from "./rpc/calls.ts";
import { connectRoutes } from "./rpc/connect-routes.ts";
import { nowhere } from "./rpc/services/server-service.ts";
import { apiBindings } from "./rpc/services.ts";
import { WorkerStreams } from "./rpc/worker-stream.ts";
import { openStore } from "./store/open.ts";

export interface EmbeddedOptions {
  /**
   * A SQLite file or a `postgres://…` URL. Default: `:memory:`, which suits tests; its runs are lost when the
   * program ends. Use a file if runs must survive the program.
   */
  readonly store?: string;
  /** Whether to migrate an older schema. Default: true. If false, an older schema is an error. */
  readonly migrate?: boolean;
  /** The minimum level of the lines on standard error. Default: `warn`, because the program has its own log. */
  readonly logLevel?: LogLevel;
  /**
   * The name of the server, which must be unique among running servers. With the same name after a restart it
   * finds its leases, so that its runs continue immediately. Default: a new name, with which leases in PostgreSQL
   * expire after 15 s. A SQLite file needs no name.
   */
  readonly replica?: string;
  /**
   * The start of answer links and callback URLs. An embedded server has no listener, so this is the URL of a
   * server with the same store. Default: `http://127.0.0.1:8000`.
   */
  readonly publicUrl?: string;
}

export interface Embedded {
  /** The transport for `createClient` of @connectrpc/connect, and for the SDK's `Worker` and `Client`. */
  readonly transport: Transport;
  /** Finishes pending work and closes the store. You can call it twice. */
  close(): Promise<void>;
}

/**
 * Starts a server in this process, without sockets.
 *
 * @throws StartupError if the store cannot be opened
 */
export async function createEmbedded(options: EmbeddedOptions = {}): Promise<Embedded> {
  const problem = nodeProblem(process.versions.node);
  if (problem !== undefined) throw new Error(problem);
  const log = createLog({ level: options.logLevel ?? "warn" });
  const { publicUrl } = options;
  const replica = parseReplica(options.replica);
  const store = await openStore(options.store ?? ":memory:", {
    migrate: options.migrate ?? true,
    onMessage: (message) => log.debug("store.message", { message }),
  });
  const engine = createEngine({
    store,
    replicaId: replica ?? uniqueId(),
    process: `${hostname()}:${process.pid}`,
    log,
    ...(publicUrl === undefined ? {} : { publicUrl: () => publicUrl.replace(/\/+$/, "") }),
  });
  // In PostgreSQL it has a former life only under its name.
  if (!store.replicas || replica !== undefined) {
    await engine.takeOver().catch((error: unknown) => {
      log.warn("leases.left_to_expire", { error });
    });
  }
  const calls = new Calls(everyoneIsOwner);
  const streams = new WorkerStreams();
  // Everyone in this process is the owner, whatever keys there are.
  const keys = new Keys({ store, clock: systemClock, changed: () => Promise.resolve() });
  const bindings = apiBindings({ engine, keys, streams, log, locate: nowhere });
  const transport = createRouterTransport(connectRoutes({ bindings, calls, log }), {
    router: { readMaxBytes: BOUNDS.messageBytes, writeMaxBytes: BOUNDS.messageBytes },
  });
  let closing: Promise<void> | undefined;
  async function close(): Promise<void> {
    engine.drain();
    streams.pauseAll();
    calls.stop();
    await engine.close();
    await streams.endAll();
    await store.close();
  }
  return {
    transport,
    close() {
      closing ??= close();
      return closing;
    },
  };
}
