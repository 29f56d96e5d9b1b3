/** How user code waits: for time, signals and people. */
import type { Duration } from "../duration.ts";

export interface SleepOptions {
  /** What the sleep is called in the journal. Default: `sleep`. */
  readonly name?: string;
}

export interface SignalOptions<D> {
  /** How long to wait. Default: for ever. */
  readonly timeout?: Duration;
  /** What to return at the timeout; without it WaitTimeoutError is thrown. */
  readonly default?: D;
}

export interface SignalsOptions {
  /** The iteration ends when no signal has come for this long. Default: never. */
  readonly timeout?: Duration;
}

/** The waits of a context. All of them are kept by the server, and hold no worker. */
export interface WaitCalls {
  /** Waits by the server's clock, without holding a worker. */
  sleep(duration: Duration, options?: SleepOptions): Promise<void>;
  sleepUntil(moment: Date | number, options?: SleepOptions): Promise<void>;

  /**
   * Waits for the next signal of that name that was sent to this run, also before
   * the wait. Returns its payload. Throws WaitTimeoutError at a `timeout` without
   * `default`. (The AbortSignal is `ctx.abortSignal`.)
   */
  signal<T = unknown, D = never>(name: string, options?: SignalOptions<D>): Promise<T | D>;
  /**
   * The signals of that name, one after the other, first in, first out, as payloads:
   * `for await (const order of ctx.signals<Order>("order"))`. Each one that is taken is on
   * record, and a replay hands out the same ones in the same order. Goes on for ever, unless
   * the loop is left or a `timeout` passes in which none comes.
   */
  signals<T = unknown>(name: string, options?: SignalsOptions): AsyncIterableIterator<T>;
}
