/**
 * Wake-ups, in memory. Carries nothing that must survive: code that is woken reads the store.
 *
 * A channel exists while somebody watches its run.
 */

/** How far a run is known to have arrived: its journal, and the deltas that are on record. */
export interface Mark {
  readonly seq: number;
  /** Of the latest delta; 0, 0: none. */
  readonly fence: number;
  readonly number: number;
}

export interface Channel<T> {
  /** The run has ended, as far as this server heard. */
  readonly ended: boolean;
  /** Grows with every change: who compares it before and after a read has missed nothing. */
  readonly version: number;
  /** Resolves at the next change. */
  changed(signal: AbortSignal): Promise<void>;
  /** Calls back with what is shown, until the channel is closed. */
  onShow(listener: (event: T) => void): void;
  close(): void;
}

class RunChannel<T> {
  ended = false;
  watchers = 0;
  version = 0;
  mark: Mark | undefined;
  waiters: (() => void)[] = [];
  readonly listeners = new Set<(event: T) => void>();

  wake(): void {
    this.version += 1;
    for (const resolve of this.waiters.splice(0)) resolve();
  }
}

export class Hub<T> {
  readonly #channels = new Map<string, RunChannel<T>>();
  readonly #all = new RunChannel<T>();

  /** Changes with every commit, to whichever run. */
  get all(): Pick<Channel<T>, "version" | "changed"> {
    const all = this.#all;
    return { version: all.version, changed: (signal) => nextChange(all, signal) };
  }

  /** Something was committed, here or elsewhere. */
  touch(): void {
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

  watch(key: string): Channel<T> {
    let channel = this.#channels.get(key);
    if (channel === undefined) {
      channel = new RunChannel<T>();
      this.#channels.set(key, channel);
    }
    channel.watchers += 1;
    return this.#handle(key, channel);
  }

  #handle(key: string, channel: RunChannel<T>): Channel<T> {
    const listeners: ((event: T) => void)[] = [];
    let open = true;
    return {
      get version() {
        return channel.version;
      },
      get ended() {
        return channel.ended;
      },
      changed: (signal) => nextChange(channel, signal),
      onShow: (listener) => {
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

  /** Something was committed for this run. */
  notify(key: string, ended: boolean): void {
    const channel = this.#channels.get(key);
    if (channel === undefined) return;
    channel.ended = ended;
    channel.wake();
  }

  /** Deltas of this run were put on record. */
  wake(key: string): void {
    this.#channels.get(key)?.wake();
  }

  /** What the store says about a run that is watched; wakes if that is news since the last time. */
  notice(key: string, mark: Mark, ended: boolean): void {
    const channel = this.#channels.get(key);
    if (channel === undefined) return;
    const known = channel.mark;
    channel.mark = mark;
    const same =
      known?.seq === mark.seq && known.fence === mark.fence && known.number === mark.number;
    if (same && channel.ended === ended) return;
    channel.ended = ended;
    channel.wake();
  }

  /** Shows something to current watchers of the run. */
  show(key: string, event: T): void {
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
