/**
 * The calls in progress, whatever carries them: each is authenticated here, and all that wait are
 * sent home when the server stops.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
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
  /** The calls under way, with their callers as soon as those are known. */
  readonly #open = new Map<AbortController, Caller | undefined>();
  #stopping = false;

  constructor(authenticate: Authenticate) {
    this.#authenticate = authenticate;
  }

  begin(): Call {
    const controller = new AbortController();
    const { signal } = controller;
    this.#open.set(controller, undefined);
    if (this.#stopping) controller.abort(draining());
    const enterAs = (caller: Caller, host = ""): CallContext => {
      signal.throwIfAborted();
      if (this.#open.has(controller)) this.#open.set(controller, caller);
      return { caller, host, signal };
    };
    return {
      signal,
      enterAs,
      enter: async (credentials) => {
        signal.throwIfAborted();
        return enterAs(await this.#authenticate(credentials), credentials.header("host"));
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

  /**
   * Ends the calls of those who may no longer make them, streams included.
   *
   * @param problemWith is asked once for each caller
   */
  async recheck(problemWith: (caller: Caller) => Promise<PawlError | undefined>): Promise<void> {
    // Callers who were found before the change are entered by then.
    await nextTurn();
    const callers = new Set(this.#open.values());
    for (const caller of callers) {
      const problem = caller === undefined ? undefined : await problemWith(caller);
      if (problem === undefined) continue;
      for (const [controller, by] of this.#open) if (by === caller) controller.abort(problem);
    }
  }

  /** Ends the waits of all calls, now and later, with DRAINING. */
  stop(): void {
    this.#stopping = true;
    for (const controller of this.#open.keys()) controller.abort(draining());
  }
}

function draining(): PawlError {
  return new PawlError(
    "DRAINING",
    "The server is stopping. Send the same request again, to another server or in a moment.",
    { retryAfterMs: 500 },
  );
}
