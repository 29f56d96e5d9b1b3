import { percentile } from "./stats.ts";

/** What a worker measured: steps that were acknowledged, and how long each took. */
export interface StepRate {
  steps: number;
  /** The measured time. */
  ms: number;
  /** From the start of a step to its acknowledgement, in ms. */
  p50: number;
  p99: number;
}

/** Counts acknowledged steps in a window of time, after a warm-up. */
export class StepMeter {
  readonly #warmUpMs: number;
  readonly #measureMs: number;
  #from = 0;
  #to = Number.POSITIVE_INFINITY;
  #last = 0;
  #times: number[] = [];

  constructor(warmUpMs: number, measureMs: number) {
    this.#warmUpMs = warmUpMs;
    this.#measureMs = measureMs;
  }

  /** Starts the warm-up. */
  begin(): void {
    this.#from = performance.now() + this.#warmUpMs;
    this.#to = this.#from + this.#measureMs;
  }

  get isOver(): boolean {
    return performance.now() >= this.#to;
  }

  /** A step that started then (`performance.now()`) has been acknowledged. */
  count(begin: number): void {
    const now = performance.now();
    if (now < this.#from || now > this.#to) return;
    this.#last = now;
    this.#times.push(now - begin);
  }

  /** @throws where no step fell into the window. */
  result(): StepRate {
    const steps = this.#times.length;
    if (steps === 0) throw new Error("No step was acknowledged in the measured time.");
    // Where the work ran out early, the window ends with it.
    const ms = this.isOver ? this.#measureMs : this.#last - this.#from;
    const times = this.#times.sort((a, b) => a - b);
    return { steps, ms, p50: percentile(times, 50), p99: percentile(times, 99) };
  }
}
