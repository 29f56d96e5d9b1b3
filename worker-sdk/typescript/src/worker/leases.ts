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
  #beating = false;

  constructor(platform: Platform, runs: RunTable, logger: Logger) {
    this.#platform = platform;
    this.#runs = runs;
    this.#logger = logger;
  }

  start(intervalMs: number): void {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => void this.beat(), intervalMs);
  }

  async beat(): Promise<void> {
    const leases = this.#runs.leases();
    if (this.#beating || leases.length === 0) return;
    this.#beating = true;
    try {
      const { results } = await this.#platform.transport.unary(
        WorkerService.method.heartbeatLeases,
        { leases },
        { timeoutMs: 5_000 },
      );
      for (const result of results) this.#runs.leaseResult(result);
    } catch (error) {
      // The next one tries again; every write names its fence, so nothing is at risk meanwhile.
      this.#logger.warn("the leases could not be renewed", { error: String(error) });
    } finally {
      this.#beating = false;
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
