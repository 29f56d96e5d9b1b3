/** A Pawl server inside a program: the same services without a socket, for scripts and tests. */

import { hostname } from "node:os";
import { createRouterTransport, type Transport } from "@connectrpc/connect";
import { everyoneIsOwner } from "./auth/authenticate.ts";
import { createEngine } from "./engine/engine.ts";
import { uniqueId } from "./lib/ids.ts";
import type { LogLevel } from "./lib/log.ts";
import { createLog } from "./lib/write-log.ts";
import { LIMITS } from "./model/limits.ts";
import { Calls } from "./rpc/calls.ts";
import { connectRoutes } from "./rpc/connect-routes.ts";
import { apiBindings } from "./rpc/services.ts";
import { Sessions } from "./rpc/session.ts";
import { openStore } from "./store/open.ts";

export interface EmbeddedOptions {
  /**
   * A SQLite file, which makes runs survive the program, or a `postgres://…` URL. Default
   * `:memory:`: all is gone with the program.
   */
  readonly store?: string;
  /** Whether an older schema is migrated. Default true. */
  readonly migrate?: boolean;
  /** Events below it are not logged to standard error. Default `warn`. */
  readonly logLevel?: LogLevel;
  /**
   * Names the server over restarts, for its leases to be found again: a program that was killed
   * continues at once. In a SQLite file they are found in any case. Default: a fresh name, with which
   * leases in PostgreSQL run out by themselves (15 s).
   */
  readonly replica?: string;
  /**
   * What answer links and callback URLs begin with, where a server of the same store listens for
   * them: this one has no listener. Default `http://127.0.0.1:8000`.
   */
  readonly publicUrl?: string;
}

export interface Embedded {
  /** For `createClient` of @connectrpc/connect, and for the SDK's `Worker` and `Client`. */
  readonly transport: Transport;
  /** Finishes what was started and closes the store. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Starts a server in this process.
 *
 * @throws StartupError where the store cannot be opened, in words for people.
 */
export async function createEmbedded(options: EmbeddedOptions = {}): Promise<Embedded> {
  const log = createLog({ level: options.logLevel ?? "warn" });
  const { publicUrl } = options;
  const store = await openStore(options.store ?? ":memory:", {
    migrate: options.migrate ?? true,
    onMessage: (message) => log.debug("store.message", { message }),
  });
  const engine = createEngine({
    store,
    replicaId: options.replica ?? uniqueId(),
    process: `${hostname()}:${process.pid}`,
    log,
    ...(publicUrl === undefined ? {} : { publicUrl: () => publicUrl.replace(/\/+$/, "") }),
  });
  // In PostgreSQL it has a former life only under its name.
  if (!store.replicas || options.replica !== undefined) {
    await engine.takeOver().catch((error: unknown) => {
      log.warn("leases.left_to_expire", { error });
    });
  }
  const calls = new Calls(everyoneIsOwner);
  const sessions = new Sessions();
  const bindings = apiBindings({ engine, sessions, log });
  const transport = createRouterTransport(connectRoutes({ bindings, calls, log }), {
    router: { readMaxBytes: LIMITS.messageBytes, writeMaxBytes: LIMITS.messageBytes },
  });
  let closing: Promise<void> | undefined;
  async function close(): Promise<void> {
    engine.drain();
    sessions.pauseAll();
    calls.stop();
    await engine.close();
    await sessions.endAll();
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
