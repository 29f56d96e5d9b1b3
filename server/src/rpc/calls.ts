/**
 * The calls in progress, whatever carries them: each gets its context here, and all that wait are
 * sent home when the server stops.
 */
import { type Caller, DEFAULT_CALLER } from "../model/caller.ts";
import { PawlError } from "../model/errors.ts";
import type { CallContext } from "./binding.ts";

export interface Call {
  readonly context: CallContext;
  /** The caller is gone: whatever waits for it can stop. */
  abort(): void;
  /** To be called when the call is over. */
  done(): void;
}

export class Calls {
  readonly #open = new Set<AbortController>();
  #stopping = false;

  /** On whose behalf: the one organization that there is, until calls carry keys. */
  begin(caller: Caller = DEFAULT_CALLER): Call {
    const controller = new AbortController();
    this.#open.add(controller);
    if (this.#stopping) controller.abort(draining());
    return {
      context: { caller, signal: controller.signal },
      abort: () => controller.abort(),
      done: () => {
        this.#open.delete(controller);
      },
    };
  }

  get size(): number {
    return this.#open.size;
  }

  /** Ends the waits of all calls, now and later, with DRAINING. */
  stop(): void {
    this.#stopping = true;
    for (const controller of this.#open) controller.abort(draining());
  }
}

function draining(): PawlError {
  return new PawlError(
    "DRAINING",
    "The server is stopping. Send the same request again, to another server or in a moment.",
    { retryAfterMs: 500 },
  );
}
