import { availableParallelism } from "node:os";
import { monotonicMs } from "./clock.ts";

/** How long the event loop polls after a piece of work started. */
const POLL_MS = 0.6;
/** Work that comes at longer intervals is not worth it. */
const GAP_MS = 2;

/**
 * Keeps the event loop from falling asleep between pieces of work that follow each other closely,
 * such as the steps of a lone run. A core that fell asleep takes a while to come back, on a virtual
 * machine some 50 µs, and a step meets several sleeps on its way.
 *
 * It blocks nothing: in each turn of the loop all else that is due runs as usual. It takes at most
 * `POLL_MS` of the processor for each piece of work, and nothing where work comes at intervals of
 * more than `GAP_MS` or where there is but one core.
 *
 * States: asleep → polling (work that came soon after the work before it) → asleep (its time is
 * over, or `rest()`).
 */
export class Awake {
  readonly #isUseful = availableParallelism() > 1;
  readonly #now: () => number;
  #workedAt = Number.NEGATIVE_INFINITY;
  #until = 0;
  #isPolling = false;

  /** @param now in ms, never going back */
  constructor(now: () => number = monotonicMs) {
    this.#now = now;
  }

  /** Work has started that will soon be answered by another thread or process. */
  work(): void {
    const now = this.#now();
    const isClose = now - this.#workedAt < GAP_MS;
    this.#workedAt = now;
    if (!this.#isUseful || !isClose) return;
    this.#until = now + POLL_MS;
    if (this.#isPolling) return;
    this.#isPolling = true;
    setImmediate(this.#poll);
  }

  /** Nothing is to be expected soon, or somebody else looks out for it. */
  rest(): void {
    this.#until = 0;
  }

  get isPolling(): boolean {
    return this.#isPolling;
  }

  readonly #poll = (): void => {
    this.#isPolling = this.#now() < this.#until;
    if (this.#isPolling) setImmediate(this.#poll);
  };
}
