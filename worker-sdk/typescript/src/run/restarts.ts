/**
 * Replay-always mode: whatever is recorded, the code is given it by a replay of the journal and never
 * directly, so that code which depends on something that is not on record shows it at once.
 */
const everyMs = 5;
/** What is still running after this is not waited for: the code is given the result as usual. */
const patienceMs = 50;

export class Restarts {
  readonly #isIdle: () => boolean;
  readonly #restart: () => void;
  #withheld: (() => void)[] = [];

  /** `isIdle`: nothing of the run is under way here. `restart`: executes the run anew. */
  constructor(isIdle: () => boolean, restart: () => void) {
    this.#isIdle = isIdle;
    this.#restart = restart;
  }

  /** Withholds a result that is on record, until the run is executed anew. */
  withhold(deliver: () => void): void {
    this.#withheld.push(deliver);
    if (this.#withheld.length === 1) setImmediate(() => this.#look(performance.now() + patienceMs));
  }

  #look(endMs: number): void {
    if (this.#isIdle()) {
      this.#withheld = [];
      this.#restart();
    } else if (performance.now() < endMs) {
      setTimeout(() => this.#look(endMs), everyMs);
    } else {
      for (const deliver of this.#withheld.splice(0)) deliver();
    }
  }
}
