/** How user code waits: for time, signals and people. */
import type { Duration } from "../duration.ts";
import type {
  ApprovalOptions,
  ApprovalOutcome,
  AskUser,
  Callback,
  CallbackOptions,
} from "./question-types.ts";

export interface SleepOptions {
  /** The name of the sleep in the journal. Default: `sleep`. */
  readonly name?: string;
}

/** The next time that matches a cron expression. */
export interface CronTime {
  /** Five fields (minute, hour, day, month, weekday), or six with seconds first: `0 9 * * MON-FRI`. */
  readonly cron: string;
  /** An IANA zone, such as `Europe/Berlin`. Default: UTC. */
  readonly timeZone?: string;
}

export interface SignalOptions<D> {
  /** How long to wait, kept by the server. Default: forever, because waiting costs nothing. */
  readonly timeout?: Duration;
  /** The result at the timeout. Default: none, and WaitTimeoutError is thrown. */
  readonly default?: D;
}

export interface SignalsOptions {
  /** The iteration ends when no signal has arrived for this long. Default: never. */
  readonly timeout?: Duration;
}

/** The waits of a context. The server keeps all of them, and they hold no worker. */
export interface WaitCalls {
  /** Waits for a duration. The server keeps the timer. */
  sleep(duration: Duration, options?: SleepOptions): Promise<void>;
  /**
   * Waits until a time (a number is in ms since the epoch), or until the next time that matches a cron
   * expression: `ctx.sleepUntil({ cron: "0 9 * * *", timeZone: "Europe/Berlin" })`.
   */
  sleepUntil(moment: Date | number | CronTime, options?: SleepOptions): Promise<void>;

  /**
   * Waits for the next signal with this name and returns its payload. A signal that was sent before the wait
   * counts. (The AbortSignal is `ctx.abortSignal`.) @throws WaitTimeoutError at a `timeout` without `default`
   */
  signal<T = unknown, D = never>(name: string, options?: SignalOptions<D>): Promise<T | D>;
  signal<T>(name: string, options?: SignalOptions<T>): Promise<T>;
  /**
   * Returns the payloads of the signals with this name, first in, first out:
   * `for await (const order of ctx.signals<Order>("order"))`. Each received signal is recorded, and a replay
   * returns the same ones in the same order. The iteration ends when you leave the loop, or when no signal
   * arrives within `timeout`.
   */
  signals<T = unknown>(name: string, options?: SignalsOptions): AsyncIterableIterator<T>;

  /** Asks people a question: text, approval, choice, multichoice or form. */
  readonly waitForUser: AskUser;
  /**
   * Asks for approval by some people of a group, or by several groups in turn (`chain`; see `chainByAmount`).
   * A rejection ends it immediately, and later groups are not asked.
   *
   * @throws WaitTimeoutError if a round is not decided in time and there is no `default`
   */
  approval(question: string, options: ApprovalOptions): Promise<ApprovalOutcome>;
  /**
   * Creates a URL that an external process calls once: pass it on in a step, then await `result()`. The URL is
   * the same in every replay. It works like a key, so keep it out of step results.
   */
  callback<T = unknown, D = never>(
    name?: string,
    options?: CallbackOptions<D>,
  ): Promise<Callback<T | D>>;
  callback<T>(name?: string, options?: CallbackOptions<T>): Promise<Callback<T>>;
}
