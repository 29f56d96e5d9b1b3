/**
 * A background loop: one idempotent function, run every `periodMs` and whenever it is woken,
 * one activation at a time. It carries no data: an activation reads the store for what to do,
 * so that a restart and a lost wake-up take the same path as everyday work.
 *
 * States: idle (a timer is set) → running → idle; `stop()` from either, and it waits for a run
 * in progress. A wake-up while running makes it run once more.
 */
export interface Loop {
  /** Run now, or once more if running. */
  readonly wake: () => void;
  /** Run no later than this, in ms since the epoch. */
  readonly wakeAt: (at: number) => void;
  stop(): Promise<void>;
}

export interface LoopOptions {
  readonly name: string;
  readonly periodMs: number;
  /** One activation. May return when to run next, in ms since the epoch, if sooner than the period. */
  readonly run: () => Promise<number | undefined>;
  readonly now: () => number;
  readonly onError: (name: string, error: unknown) => void;
}

export function startLoop(options: LoopOptions): Loop {
  let timer: NodeJS.Timeout | undefined;
  let nextAt = Number.POSITIVE_INFINITY;
  let running: Promise<void> | undefined;
  let again = false;
  let stopped = false;

  function schedule(at: number): void {
    if (stopped || (timer !== undefined && at >= nextAt)) return;
    clearTimeout(timer);
    nextAt = at;
    // No longer than the period, which is the truth, and which any timer can hold.
    timer = setTimeout(activate, Math.min(options.periodMs, Math.max(0, at - options.now())));
    timer.unref();
  }

  function activate(): void {
    clearTimeout(timer);
    timer = undefined;
    nextAt = Number.POSITIVE_INFINITY;
    if (stopped) return;
    if (running !== undefined) {
      again = true;
      return;
    }
    running = options
      .run()
      .catch((error: unknown) => {
        options.onError(options.name, error);
        return undefined;
      })
      .then((next) => {
        running = undefined;
        const rerun = again;
        again = false;
        const latest = options.now() + options.periodMs;
        schedule(rerun ? options.now() : Math.min(next ?? latest, latest));
      });
  }

  schedule(options.now());
  return {
    wake() {
      if (running !== undefined) again = true;
      else schedule(options.now());
    },
    wakeAt: schedule,
    async stop() {
      stopped = true;
      clearTimeout(timer);
      timer = undefined;
      await running;
    },
  };
}
