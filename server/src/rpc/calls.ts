/**
 * The calls in progress, whatever carries them: each is authenticated here, and all that wait are
 * sent home when the server stops.
 */
import type { Authenticate, Credentials } from "../auth/authenticate.ts";
import type { Caller } from "../model/caller.ts";
import { PawlError } from "../model/errors.ts";
import type { CallContext } from "./binding.ts";

export interface Call {
  /** Fires when the caller is gone or the server stops. */
  readonly signal: AbortSignal;
  /**
   * Finds out who calls. Nothing is done for a call before.
   *
   * @throws PawlError UNAUTHENTICATED, or DRAINING where the server stops
   */
  enter(credentials: Credentials): Promise<CallContext>;
  /** The same for a caller that is known already, such as the holder of a link. */
  enterAs(caller: Caller): CallContext;
  /** The caller is gone: whatever waits for it can stop. */
  abort(): void;
  /** To be called when the call is over. */
  done(): void;
}

export class Calls {
  readonly #authenticate: Authenticate;
  readonly #open = new Set<AbortController>();
  #stopping = false;

  constructor(authenticate: Authenticate) {
    this.#authenticate = authenticate;
  }

  begin(): Call {
    const controller = new AbortController();
    const { signal } = controller;
    this.#open.add(controller);
    if (this.#stopping) controller.abort(draining());
    const enterAs = (caller: Caller): CallContext => {
      signal.throwIfAborted();
      return { caller, signal };
    };
    return {
      signal,
      enterAs,
      enter: async (credentials) => {
        signal.throwIfAborted();
        return enterAs(await this.#authenticate(credentials));
      },
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
