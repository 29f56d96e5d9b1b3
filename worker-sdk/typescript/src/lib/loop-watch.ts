/**
 * Notices that this process stood still: its event loop was blocked, or the process or the whole
 * machine was suspended. Whatever it had heard before says nothing about now: a lease may be gone.
 *
 * A timer alone would notice too late, since after a suspension what lies in the sockets is read
 * before timers fire; so code that is about to start something looks as well.
 */
const everyMs = 100;
/** Two turns of the timer that are further apart than this are a gap. */
const gapMs = 500;

/** A step whose code held the event loop. */
export interface Culprit {
  readonly runId: string;
  readonly stepKey: string;
}

type Listener = (ms: number, culprit: Culprit | undefined) => void;

export class LoopWatch {
  readonly #listeners = new Set<Listener>();
  #timer: NodeJS.Timeout | undefined;
  #turnMs = 0;
  #turnWallMs = 0;
  #gapEndMs = Number.NEGATIVE_INFINITY;
  #blamed: { readonly culprit: Culprit; readonly endMs: number } | undefined;

  /** Calls the listener after each gap, until the returned function is called. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    if (this.#timer === undefined) {
      this.#noteTurn();
      this.#timer = setInterval(() => {
        this.look();
        this.#noteTurn();
      }, everyMs);
      this.#timer.unref();
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }

  #noteTurn(): void {
    this.#turnMs = performance.now();
    this.#turnWallMs = Date.now();
  }

  /** Notices a gap that ends now. The wall clock continues while a machine is suspended; the other may not. */
  look(): void {
    if (this.#timer === undefined) return;
    const nowMs = performance.now();
    const ms = Math.max(nowMs - this.#turnMs, Date.now() - this.#turnWallMs);
    if (ms <= gapMs) return;
    this.#noteTurn();
    this.#gapEndMs = nowMs;
    const blamed = this.#blamed !== undefined && this.#blamed.endMs >= nowMs - ms;
    const culprit = blamed ? this.#blamed?.culprit : undefined;
    for (const listener of this.#listeners) listener(Math.round(ms), culprit);
  }

  /** Whether a gap has ended since that moment of `performance.now()`. */
  stoodStillSince(ms: number): boolean {
    this.look();
    return this.#gapEndMs >= ms;
  }

  /** Code of a step has run without a break since that moment of `performance.now()`. */
  ran(sinceMs: number, runId: string, stepKey: string): void {
    const endMs = performance.now();
    if (endMs - sinceMs > gapMs - everyMs) this.#blamed = { culprit: { runId, stepKey }, endMs };
  }
}

/** A process has one event loop. */
export const loopWatch = new LoopWatch();
