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
  /** What the sleep is called in the journal. Default: `sleep`. */
  readonly name?: string;
}

/** The next time that a cron expression names. */
export interface CronTime {
  /** Five fields (minute, hour, day, month, weekday), or six with seconds first: `0 9 * * MON-FRI`. */
  readonly cron: string;
  /** An IANA zone, such as `Europe/Berlin`. Default: UTC. */
  readonly timeZone?: string;
}

export interface SignalOptions<D> {
  /** How long to wait. Default: for ever. */
  readonly timeout?: Duration;
  /** What to return at the timeout; without it WaitTimeoutError is thrown. */
  readonly default?: D;
}

export interface SignalsOptions {
  /** The iteration ends when no signal has arrived for this long. Default: never. */
  readonly timeout?: Duration;
}

/** The waits of a context. All of them are kept by the server, and hold no worker. */
export interface WaitCalls {
  /** Waits by the server's clock, without holding a worker. */
  sleep(duration: Duration, options?: SleepOptions): Promise<void>;
  /**
   * Waits for a moment (ms since the epoch, where it is a number), or for the next time that a
   * cron expression names: `ctx.sleepUntil({ cron: "0 9 * * *", timeZone: "Europe/Berlin" })`.
   */
  sleepUntil(moment: Date | number | CronTime, options?: SleepOptions): Promise<void>;

  /**
   * Waits for the next signal of that name that was sent to this run, also before
   * the wait. Returns its payload. Throws WaitTimeoutError at a `timeout` without
   * `default`. (The AbortSignal is `ctx.abortSignal`.)
   */
  signal<T = unknown, D = never>(name: string, options?: SignalOptions<D>): Promise<T | D>;
  signal<T>(name: string, options?: SignalOptions<T>): Promise<T>;
  /**
   * The signals of that name, one after the other, first in, first out, as payloads:
   * `for await (const order of ctx.signals<Order>("order"))`. Each one that is taken is on
   * record, and a replay hands out the same ones in the same order. Continues for ever, unless
   * the loop is left or a `timeout` passes in which none comes.
   */
  signals<T = unknown>(name: string, options?: SignalsOptions): AsyncIterableIterator<T>;

  /** Asks people a question: text, approval, choice, multichoice or form. */
  readonly waitForUser: AskUser;
  /**
   * Asks for approval by that many of a group, or by one group after the other (`chain`; see
   * `chainByAmount`). A rejection ends it at once: those who would come later are not asked.
   *
   * Throws WaitTimeoutError when a round is not decided in time and there is no `default`.
   */
  approval(question: string, options: ApprovalOptions): Promise<ApprovalOutcome>;
  /**
   * Makes a URL for an outside process to call once: hand it over in a step, then await
   * `result`. The URL is the same in every replay.
   */
  callback<T = unknown, D = never>(
    name?: string,
    options?: CallbackOptions<D>,
  ): Promise<Callback<T | D>>;
  callback<T>(name?: string, options?: CallbackOptions<T>): Promise<Callback<T>>;
}
