import type { RequestError } from "../errors.ts";
import { delay } from "../lib/delay.ts";
import { currentTracing, loadTracing } from "../telemetry/setup.ts";
import { Platform } from "../transport/platform.ts";
import { Connection } from "./connection.ts";
import { Poller } from "./poller.ts";
import { resolveWorkerOptions, type WorkerOptions, type WorkerSettings } from "./worker-options.ts";

const drainPollMs = 20;

/**
 * Executes the runs of some workflows.
 *
 * `run()` does so until SIGTERM or SIGINT, or until `stop()`; `start()` returns
 * once the server knows of the worker. While no server is in reach it continues
 * trying; runs under way continue from where they were.
 */
export class Worker {
  readonly #settings: WorkerSettings;
  readonly #platform: Platform;
  readonly #connection: Connection | Poller;
  readonly #ended = Promise.withResolvers<void>();
  #stopping: Promise<void> | undefined;

  constructor(options: WorkerOptions) {
    this.#settings = resolveWorkerOptions(options);
    const { transport, info, workflows, slots, logger, mode, replayAlways } = this.#settings;
    this.#platform = new Platform(transport, Number.POSITIVE_INFINITY);
    const parts = {
      platform: this.#platform,
      info,
      workflows,
      slots,
      replayAlways,
      logger,
      onRefused: (error: RequestError) => this.#ended.reject(error),
    };
    this.#connection = mode === "poll" ? new Poller(parts) : new Connection(parts);
    this.#ended.promise.catch(() => undefined);
  }

  get workerId(): string {
    return this.#settings.info.workerId;
  }

  /** Runs that it holds at this moment. */
  get inFlight(): number {
    return this.#connection.runs.size;
  }

  /** Resolves once the server knows of this worker. Rejects with RequestError if it is refused. */
  async start(): Promise<void> {
    await loadTracing(this.#settings.logger);
    await this.#connection.start();
  }

  /** Works until the process is told to end (SIGTERM, SIGINT), or until `stop()`. */
  async run(): Promise<void> {
    const stop = () => void this.stop();
    process.once("SIGTERM", stop);
    process.once("SIGINT", stop);
    try {
      await this.start();
      await this.#ended.promise;
    } finally {
      process.off("SIGTERM", stop);
      process.off("SIGINT", stop);
      await this.stop();
    }
  }

  /**
   * Takes no more runs, lets those under way end or suspend, for at most the
   * drain timeout, then gives the rest back and closes.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#drainAndClose();
    return this.#stopping;
  }

  async #drainAndClose(): Promise<void> {
    this.#connection.drain();
    const endMs = performance.now() + this.#settings.drainMs;
    while (this.#connection.runs.size > 0 && performance.now() < endMs) await delay(drainPollMs);
    this.#platform.close();
    await this.#connection.close();
    if (this.#settings.ownsTransport) this.#settings.transport.close();
    await currentTracing()?.flush();
    this.#ended.resolve();
  }
}
