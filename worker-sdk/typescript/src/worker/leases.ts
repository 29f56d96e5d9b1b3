import { WorkerService } from "@pawl/proto";
import type { Logger } from "../lib/logger.ts";
import type { Platform } from "../transport/platform.ts";
import type { RunTable } from "./run-table.ts";

/** Renews the leases of a worker without a session, and passes on what it is told about them. */
export class LeaseKeeper {
  readonly #platform: Platform;
  readonly #runs: RunTable;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;
  #beating: Promise<boolean> | undefined;

  constructor(platform: Platform, runs: RunTable, logger: Logger) {
    this.#platform = platform;
    this.#runs = runs;
    this.#logger = logger;
  }

  start(intervalMs: number): void {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#periodically(), intervalMs);
  }

  #periodically(): void {
    if (this.#beating === undefined) void this.beat();
  }

  /** Renews now, after a renewal that is under way; false where the server did not answer. */
  async beat(): Promise<boolean> {
    if (this.#beating !== undefined) await this.#beating;
    this.#beating ??= this.#beat().finally(() => {
      this.#beating = undefined;
    });
    return this.#beating;
  }

  async #beat(): Promise<boolean> {
    const leases = this.#runs.leases();
    if (leases.length === 0) return true;
    try {
      const { results } = await this.#platform.once(
        WorkerService.method.heartbeatLeases,
        { leases },
        { timeoutMs: 5_000 },
      );
      for (const result of results) this.#runs.leaseResult(result);
      return true;
    } catch (error) {
      // The next one tries again; every write names its fence, so nothing is at risk meanwhile.
      this.#logger.warn("the leases could not be renewed", { error: String(error) });
      return false;
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
