import { RequestError } from "../errors.ts";
import { Backoff, delay } from "../lib/delay.ts";
import type { Logger } from "../lib/logger.ts";

/** The run that something is sent for. */
export interface Sender {
  readonly runId: string;
  readonly fence: number;
  readonly isGone: boolean;
  readonly logger: Logger;
  leave(why: string): void;
  /** Asks the platform what it wants with the run; false where it could not be asked. */
  recheck(): Promise<boolean>;
}

/**
 * Codes of refusals, which the code that sent the request deals with itself: INVALID_ARGUMENT,
 * NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION, OUT_OF_RANGE, UNIMPLEMENTED.
 */
const refusals = new Set([3, 5, 6, 9, 11, 12]);
/** UNKNOWN, INTERNAL, DATA_LOSS: a fault on the other side, which may lie in the request all the same. */
const faults = new Set([2, 13, 15]);
/** How often a request is sent that is answered by a fault: for about half a minute. */
const faultTries = 20;
/** The run is no longer this worker's. */
const gone = new Set(["LEASE_LOST", "RUN_TERMINAL", "RUN_PAUSED", "ILLEGAL_TRANSITION"]);

function never(): Promise<never> {
  return new Promise(() => undefined);
}

/**
 * Sends until the platform has answered. Never settles once the run is gone;
 * rejects only for reasons that the caller deals with. `send` reads the fence
 * each time: a cancel may replace it meanwhile.
 */
export async function persist<T>(sender: Sender, send: () => Promise<T>): Promise<T> {
  let backoff: Backoff | undefined;
  let failures = 0;
  for (;;) {
    const { fence } = sender;
    try {
      return await send();
    } catch (error) {
      if (sender.isGone) return never();
      if (!(error instanceof RequestError)) throw error;
      if (gone.has(error.reason)) {
        if (fence !== sender.fence) continue;
        // A cancel may have replaced the fence without a word: with plain calls nobody is told unasked.
        const asked = error.reason !== "LEASE_LOST" || (await sender.recheck());
        if (sender.isGone) return never();
        if (fence !== sender.fence) continue;
        if (asked) {
          sender.leave(error.message);
          return never();
        }
      } else if (refusals.has(error.code)) throw error;
      if (faults.has(error.code)) failures += 1;
      if (failures >= faultTries) throw error;
      const { runId, logger } = sender;
      logger.warn("the platform could not take a report; it is sent again", {
        runId,
        reason: error.reason,
      });
      backoff ??= new Backoff(50, 2_000);
      await delay(error.retryAfterMs ?? backoff.next());
      if (sender.isGone) return never();
    }
  }
}
