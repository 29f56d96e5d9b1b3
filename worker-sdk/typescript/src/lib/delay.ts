/** Resolves after `ms`, or at once when `signal` aborts; it never rejects. */
export function delay(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
  });
}

/** Growing delays between attempts to reach the server, with jitter, in ms. */
export class Backoff {
  readonly #firstMs: number;
  readonly #maxMs: number;
  #nextMs: number;

  constructor(firstMs: number, maxMs: number) {
    this.#firstMs = firstMs;
    this.#maxMs = maxMs;
    this.#nextMs = firstMs;
  }

  /** The next delay: between half of the nominal one and all of it. */
  next(): number {
    const nominal = this.#nextMs;
    this.#nextMs = Math.min(nominal * 2, this.#maxMs);
    return nominal * (0.5 + Math.random() / 2);
  }

  reset(): void {
    this.#nextMs = this.#firstMs;
  }
}

const longestTimerMs = 2_147_483_647;

/** A timer for any length of time; the returned function ends it. */
export function startTimer(ms: number, fire: () => void): () => void {
  let timer: NodeJS.Timeout;
  const arm = (left: number) => {
    const part = Math.min(left, longestTimerMs);
    timer = setTimeout(() => (left > part ? arm(left - part) : fire()), part);
  };
  arm(Math.max(0, ms));
  return () => clearTimeout(timer);
}
