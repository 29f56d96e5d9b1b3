import { BOUNDS } from "../model/bounds.ts";
import type { RunMemory } from "./journal/run-memory.ts";

/**
 * The runs that workers hold, least recently used first. Bounded by runs and by the step records
 * in them; what falls out is read again when it is needed.
 */
export class RunCache {
  readonly #runs = new Map<string, { state: RunMemory; steps: number }>();
  #steps = 0;

  get(key: string): RunMemory | undefined {
    return this.#runs.get(key)?.state;
  }

  set(key: string, state: RunMemory): void {
    const known = this.#runs.get(key);
    const steps = state.steps.size + 1;
    if (known !== undefined && known.state === state) {
      this.#steps += steps - known.steps;
      known.steps = steps;
    } else {
      this.delete(key);
      this.#runs.set(key, { state, steps });
      this.#steps += steps;
    }
    if (this.#steps > BOUNDS.cachedSteps || this.#runs.size > BOUNDS.cachedRuns) this.#shrink(key);
  }

  delete(key: string): void {
    const known = this.#runs.get(key);
    if (known === undefined) return;
    this.#steps -= known.steps;
    this.#runs.delete(key);
  }

  #shrink(keep: string): void {
    for (const key of this.#runs.keys()) {
      if (this.#steps <= BOUNDS.cachedSteps && this.#runs.size <= BOUNDS.cachedRuns) return;
      if (key !== keep) this.delete(key);
    }
  }
}
