/** A worker without a stream: asks for work by long polls, and reports by plain calls. */
import { type WorkerInfo, WorkerService, type WorkItem } from "@pawl/proto";
import { durationFromMs, msFrom } from "../duration.ts";
import { RequestError } from "../errors.ts";
import { Backoff, delay } from "../lib/delay.ts";
import type { Logger } from "../lib/logger.ts";
import { loopWatch } from "../lib/loop-watch.ts";
import type { Platform } from "../transport/platform.ts";
import { isTransient } from "../transport/status.ts";
import type { AnyWorkflow } from "../workflow-types.ts";
import { LeaseKeeper } from "./leases.ts";
import { RunTable } from "./run-table.ts";
import { tellOfStandstill } from "./standstill.ts";
import { UnaryLink } from "./unary-link.ts";

export interface PollerOptions {
  readonly platform: Platform;
  readonly info: WorkerInfo;
  readonly workflows: ReadonlyMap<string, AnyWorkflow>;
  readonly slots: number;
  readonly replayAlways: boolean;
  readonly logger: Logger;
  readonly onRefused: (error: RequestError) => void;
}

const pollMs = 20_000;
const itemsMax = 100;

export class Poller {
  readonly runs: RunTable;
  readonly #options: PollerOptions;
  readonly #link: UnaryLink;
  readonly #leases: LeaseKeeper;
  readonly #polling = new AbortController();
  readonly #opened = Promise.withResolvers<void>();
  #free: PromiseWithResolvers<void> | undefined;
  #loop: Promise<void> | undefined;
  #endListening: (() => void) | undefined;

  constructor(options: PollerOptions) {
    const { platform, logger } = options;
    this.#options = options;
    const onFree = () => this.#free?.resolve();
    this.runs = new RunTable(logger, onFree, undefined, options.replayAlways);
    this.#leases = new LeaseKeeper(platform, this.runs, logger);
    this.#link = new UnaryLink({
      platform,
      logger,
      suspends: true,
      onReleased: (run) => this.runs.released(run),
      onAttention: () => this.#leases.beat(),
    });
  }

  /** Resolves once the server has answered for the first time. */
  start(): Promise<void> {
    this.#leases.start(5_000);
    this.#endListening ??= loopWatch.listen((ms, culprit) => {
      tellOfStandstill(this.#options.logger, this.runs, ms, culprit);
      void this.#leases.beat();
    });
    this.#loop ??= this.#pollForEver();
    return this.#opened.promise;
  }

  async #pollForEver(): Promise<void> {
    const backoff = new Backoff(50, 1_000);
    const { signal } = this.#polling;
    let complained = false;
    while (!signal.aborted) {
      const room = this.#options.slots - this.runs.size;
      if (room <= 0) {
        await this.#untilFree();
        continue;
      }
      try {
        await this.#pollOnce(Math.min(room, itemsMax));
        backoff.reset();
        complained = false;
      } catch (error) {
        if (signal.aborted) break;
        if (
          error instanceof RequestError &&
          !isTransient(error) &&
          error.reason !== "DEADLINE_EXCEEDED"
        ) {
          this.#opened.reject(error);
          this.#opened.promise.catch(() => undefined);
          this.#options.onRefused(error);
          break;
        }
        if (!complained) {
          this.#options.logger.warn("work could not be asked for; trying again until it can", {
            error: String(error),
          });
        }
        complained = true;
        await delay(backoff.next(), signal);
      }
    }
    this.#opened.resolve();
  }

  async #untilFree(): Promise<void> {
    this.#free = Promise.withResolvers<void>();
    await this.#free.promise;
    this.#free = undefined;
  }

  async #pollOnce(maxItems: number): Promise<void> {
    const { platform, info } = this.#options;
    // The first answer comes at once, so that `start` resolves when the workflows are registered.
    const first = this.#leasesEveryMs === 0;
    const response = await platform.once(
      WorkerService.method.pollWork,
      { worker: info, maxItems, wait: durationFromMs(first ? 1 : pollMs) },
      { abortSignal: this.#polling.signal, timeoutMs: pollMs + 10_000 },
    );
    const everyMs =
      response.heartbeatInterval === undefined ? 5_000 : msFrom(response.heartbeatInterval);
    if (everyMs !== this.#leasesEveryMs) {
      this.#leasesEveryMs = everyMs;
      this.#leases.start(everyMs);
    }
    this.#opened.resolve();
    for (const item of response.items) this.#take(item);
  }

  #leasesEveryMs = 0;

  #take(item: WorkItem): void {
    const workflow = this.#options.workflows.get(item.workflow);
    const { platform, logger } = this.#options;
    if (workflow === undefined) {
      logger.error("the server sent a run of a workflow that this worker does not serve", {
        workflow: item.workflow,
      });
      return;
    }
    void this.runs.take(item, workflow, { platform, link: this.#link, logger });
  }

  /** Asks for no more work. */
  drain(): void {
    this.#polling.abort();
    this.#free?.resolve();
  }

  async close(): Promise<void> {
    this.drain();
    this.#leases.stop();
    this.#endListening?.();
    this.runs.dropAll("the worker stops");
    this.#link.close();
    await this.#loop;
  }
}
