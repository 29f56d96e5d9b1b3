/** The only sources of time and chance; injected, so that tests can turn them. */
export interface Clock {
  /** In ms since the epoch. */
  now(): number;
  /** In [0, 1). */
  random(): number;
  /** In ms since some moment, never set. */
  steady(): number;
}

export const systemClock: Clock = Object.freeze({
  now: () => Date.now(),
  random: () => Math.random(),
  steady: () => performance.now(),
});

/** Resolves after `ms`, or rejects with the signal's reason when it fires. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason);
      return;
    }
    const finish = (): void => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** For durations: in ms since some moment, never going back. */
export function monotonicMs(): number {
  return performance.now();
}
