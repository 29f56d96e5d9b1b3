/**
 * Something that happens, for everyone who wants to know. Made before those who emit it and those who
 * listen, so that neither knows the other. Listeners must not throw.
 */
export class Signal<T = void> {
  readonly #listeners = new Set<(value: T) => void>();

  /** Returns how to stop listening. */
  on(listener: (value: T) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls everyone who listens now. Bound, so that it can be passed on. */
  readonly emit = (value: T): void => {
    for (const listener of [...this.#listeners]) listener(value);
  };
}
