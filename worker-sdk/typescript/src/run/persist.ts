import { PawlError } from "../errors.ts";
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

/** Reasons that the code which sent the request deals with itself. */
const forCaller = new Set([
  "PAYLOAD_TOO_LARGE",
  "INVALID_ARGUMENT",
  "COMMIT_CONFLICT",
  "RUN_EXISTS",
  "INVALID_INPUT",
  "NOT_FOUND",
  "WAIT_ALREADY_RESOLVED",
]);
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
  for (;;) {
    const { fence } = sender;
    try {
      return await send();
    } catch (error) {
      if (sender.isGone) return never();
      if (!(error instanceof PawlError) || forCaller.has(error.reason)) throw error;
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
      }
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
