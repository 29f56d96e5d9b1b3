/**
 * When a run has nothing to do here: no operation is busy, and what is pending is
 * the server's. It has to stay so for a moment, since user code may do things
 * between its steps that nobody sees.
 */
import { limits } from "../limits.ts";
import type { Pending } from "./pending.ts";

export class Waiting {
  /** Operations that have something of this worker's to do. */
  #busy = 0;
  /** Grows with everything that happens. */
  #activity = 0;
  /** Due times in ms since the epoch, where known, by step key. */
  readonly #waits = new Map<string, number | undefined>();
  #timer: NodeJS.Timeout | undefined;
  readonly #mayBeQuiet: (busy: number, waits: number) => boolean;
  readonly #onQuiet: () => void;
  readonly #now: () => number;

  /**
   * `mayBeQuiet`: whether it is quiet now, by the number of operations that are busy and of waits.
   * `onQuiet`: it has been quiet for a moment. `now`: by the clock that due times are of.
   */
  constructor(
    mayBeQuiet: (busy: number, waits: number) => boolean,
    onQuiet: () => void,
    now: () => number,
  ) {
    this.#mayBeQuiet = mayBeQuiet;
    this.#onQuiet = onQuiet;
    this.#now = now;
  }

  /** An operation has something to do here (`true`), or only waits. */
  setBusy(busy: boolean): void {
    this.#busy += busy ? 1 : -1;
    this.#activity += 1;
    if (!busy) this.check();
  }

  get isBusy(): boolean {
    return this.#busy > 0;
  }

  noteActivity(): void {
    this.#activity += 1;
  }

  add(key: string, dueMs: number | undefined): void {
    this.#waits.set(key, dueMs);
    this.#activity += 1;
    this.check();
  }

  remove(key: string): void {
    this.#waits.delete(key);
    this.#activity += 1;
  }

  has(key: string): boolean {
    return this.#waits.has(key);
  }

  /**
   * Bodies with a wait inside, which may be long. A pause does not last for them: they are executed
   * again. It does for at-most-once steps, which are not.
   */
  bodiesThatWait(operations: Iterable<Pending>): number {
    const waits = [...this.#waits.keys()];
    const waitsInside = (body: string) => waits.some((key) => key.startsWith(`${body}/`));
    return [...operations].filter(
      ({ isRunning, isRepeatable, key }) => isRunning && isRepeatable && waitsInside(key),
    ).length;
  }

  /** Whether all waits are long enough to give the run back for. */
  get isWorthwhile(): boolean {
    const now = this.#now();
    for (const dueMs of this.#waits.values()) {
      if (dueMs !== undefined && dueMs - now < limits.hotWaitMs) return false;
    }
    return true;
  }

  /** Looks whether it is quiet, and again in a moment. */
  check(): void {
    if (this.#timer !== undefined || !this.#isQuiet) return;
    const before = this.#activity;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#activity !== before) this.check();
      else if (this.#isQuiet) this.#onQuiet();
    }, limits.suspendLingerMs);
  }

  get #isQuiet(): boolean {
    return this.#mayBeQuiet(this.#busy, this.#waits.size);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
