/**
 * Wake-ups, in memory. Carries nothing that must survive: code that is woken reads the store, unless
 * what it wants to read has arrived along with the wake-up.
 *
 * A channel exists while somebody watches its run.
 */

/** How far a run is known to have arrived: its journal, and the deltas that are on record. */
export interface RunProgress {
  readonly seq: number;
  /** The fence and number of the latest delta; 0, 0: none. */
  readonly fence: number;
  readonly number: number;
}

export interface Channel<T, O = unknown> {
  /** The run has ended, as far as this server heard. */
  readonly ended: boolean;
  /** How, where this server has just committed that. */
  readonly outcome: O | undefined;
  /** Grows with every change: who compares it before and after a read has missed nothing. */
  readonly version: number;
  /** Resolves at the next change. */
  changed(signal: AbortSignal): Promise<void>;
  /** Resolves when the run has ended, after this time, or when the signal fires. */
  end(afterMs: number, signal: AbortSignal): Promise<void>;
  /** Calls back with what is published, until the channel is closed. */
  onPublish(listener: (event: T) => void): void;
  close(): void;
}

class RunChannel<T, O = unknown> {
  ended = false;
  outcome: O | undefined;
  watchers = 0;
  version = 0;
  mark: RunProgress | undefined;
  waiters: (() => void)[] = [];
  /** Who only waits for the end. */
  readonly enders = new Set<() => void>();
  readonly listeners = new Set<(event: T) => void>();

  wake(): void {
    this.version += 1;
    for (const resolve of this.waiters.splice(0)) resolve();
    if (this.ended) for (const resolve of this.enders) resolve();
  }
}

export class Hub<T, O = unknown> {
  readonly #channels = new Map<string, RunChannel<T, O>>();
  readonly #all = new RunChannel<T>();

  /** Changes with every commit, to whichever run. */
  get all(): Pick<Channel<T>, "version" | "changed"> {
    const all = this.#all;
    return { version: all.version, changed: (signal) => nextChange(all, signal) };
  }

  /** Wakes those that watch all runs: something was committed, here or elsewhere. */
  wakeAll(): void {
    this.#all.wake();
  }

  /** Channels that are kept. */
  get size(): number {
    return this.#channels.size;
  }

  /** Keys of the runs that somebody watches here. */
  watched(): string[] {
    return [...this.#channels.keys()];
  }

  watch(key: string): Channel<T, O> {
    let channel = this.#channels.get(key);
    if (channel === undefined) {
      channel = new RunChannel<T, O>();
      this.#channels.set(key, channel);
    }
    channel.watchers += 1;
    return this.#handle(key, channel);
  }

  #handle(key: string, channel: RunChannel<T, O>): Channel<T, O> {
    const listeners: ((event: T) => void)[] = [];
    let open = true;
    return {
      get version() {
        return channel.version;
      },
      get ended() {
        return channel.ended;
      },
      get outcome() {
        return channel.outcome;
      },
      changed: (signal) => nextChange(channel, signal),
      end: (afterMs, signal) => untilEnded(channel, afterMs, signal),
      onPublish: (listener) => {
        listeners.push(listener);
        channel.listeners.add(listener);
      },
      close: () => {
        if (!open) return;
        open = false;
        for (const listener of listeners) channel.listeners.delete(listener);
        channel.watchers -= 1;
        if (channel.watchers === 0) this.#channels.delete(key);
      },
    };
  }

  /**
   * Wakes the watchers of a run that a commit has changed.
   *
   * @param outcome how it ended, if it did; made only where somebody watches
   */
  wakeAfterCommit(key: string, ended: boolean, outcome?: () => O | undefined): void {
    const channel = this.#channels.get(key);
    if (channel === undefined) return;
    channel.ended = ended;
    channel.outcome = ended ? outcome?.() : undefined;
    channel.wake();
  }

  /** Wakes the watchers of a run whose deltas were put on record. */
  wake(key: string): void {
    this.#channels.get(key)?.wake();
  }

  /** Wakes the watchers of a run if what the store says about it is news since the last time. */
  wakeIfNews(key: string, mark: RunProgress, ended: boolean): void {
    const channel = this.#channels.get(key);
    if (channel === undefined) return;
    const known = channel.mark;
    channel.mark = mark;
    const same =
      known?.seq === mark.seq && known.fence === mark.fence && known.number === mark.number;
    if (same && channel.ended === ended) return;
    channel.ended = ended;
    channel.outcome = undefined;
    channel.wake();
  }

  /** Sends an event to the current watchers of the run. */
  publish(key: string, event: T): void {
    for (const listener of this.#channels.get(key)?.listeners ?? []) listener(event);
  }
}

function nextChange<T>(channel: RunChannel<T>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const wake = (): void => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    };
    const onAbort = (): void => {
      const at = channel.waiters.indexOf(wake);
      if (at >= 0) channel.waiters.splice(at, 1);
      resolve();
    };
    channel.waiters.push(wake);
    signal.addEventListener("abort", onAbort, { once: true });
  });
}

function untilEnded<T, O>(
  channel: RunChannel<T, O>,
  afterMs: number,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    if (channel.ended || signal.aborted) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      channel.enders.delete(done);
      resolve();
    };
    const timer = setTimeout(done, afterMs);
    channel.enders.add(done);
    signal.addEventListener("abort", done, { once: true });
  });
}
