/** Notifications are collected for this long, in ms. */
const WINDOW_MS = 10;

/** Sends at once, and then at most once per window however often it is asked to. */
export class Wakes {
  readonly #send: () => Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #isDirty = false;

  constructor(send: () => Promise<void>) {
    this.#send = send;
  }

  wake(): void {
    if (this.#timer !== undefined) {
      this.#isDirty = true;
      return;
    }
    this.#isDirty = false;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#isDirty) this.wake();
    }, WINDOW_MS);
    this.#timer.unref();
    // A lost wake-up costs the other replicas latency only; they look at the store anyway.
    this.#send().catch(() => undefined);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
