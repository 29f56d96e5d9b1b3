/** The patience with who does not read what was sent. */
import { type EventEmitter, once } from "node:events";
import { BOUNDS } from "../model/bounds.ts";
import { PawlError } from "../model/errors.ts";

const RETRY_MS = 1_000;

/**
 * Waits until the other side has read what a stream holds back for it.
 *
 * Rejects with SLOW_CONSUMER where nothing was read in `patienceMs`, and with an AbortError when
 * `signal` fires. A watcher that is let go has the cursor of what it has read.
 */
export async function drained(
  stream: EventEmitter,
  signal: AbortSignal,
  patienceMs: number = BOUNDS.slowReaderMs,
): Promise<void> {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), patienceMs);
  try {
    await once(stream, "drain", { signal: AbortSignal.any([signal, patience.signal]) });
  } catch (cause) {
    if (signal.aborted || !patience.signal.aborted) throw cause;
    throw new PawlError(
      "SLOW_CONSUMER",
      `The stream was not read for ${patienceMs / 1_000} s. Reconnect with the last cursor that you received.`,
      { retryAfterMs: RETRY_MS, cause },
    );
  } finally {
    clearTimeout(timer);
  }
}
