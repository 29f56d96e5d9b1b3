/**
 * Wake-ups and live output, in memory. Carries nothing that must survive: whoever is woken reads
 * the store, and deltas are shown, not remembered.
 *
 * A channel exists while somebody watches its run or while it keeps deltas. Readers pull: they
 * remember their own place, so a slow one costs nothing and delays nobody; what it missed because
 * the buffer moved on is told to it as a gap.
 */
import { uniqueId } from "../lib/ids.ts";
import { LIMITS } from "../model/limits.ts";

/** A delta in a run's stream: after journal entry `afterSeq`, the `index`-th of this channel. */
export interface Delta<T> {
  readonly index: number;
  readonly afterSeq: number;
  readonly at: number;
  readonly bytes: number;
  readonly event: T;
}

export interface Channel<T> {
  /** Tells the channel from an earlier one of the same run. */
  readonly epoch: string;
  /** The latest journal entry that is known to be committed. */
  readonly lastSeq: number;
  /** The run has ended, as far as this server heard. */
  readonly ended: boolean;
  readonly deltas: readonly Delta<T>[];
  /** Deltas up to this index are gone. */
  readonly dropped: number;
  /** Grows with every change: who compares it before and after a read has missed nothing. */
  readonly version: number;
  /** Resolves at the next change. */
  changed(signal: AbortSignal): Promise<void>;
  close(): void;
}

class RunChannel<T> {
  readonly epoch = uniqueId().slice(0, 8);
  lastSeq = 0;
  ended = false;
  deltas: Delta<T>[] = [];
  bytes = 0;
  dropped = 0;
  nextIndex = 1;
  /** A worker holds the run, as far as this server heard: late comers get its deltas. */
  live = true;
  watchers = 0;
  waiters: (() => void)[] = [];
  version = 0;

  wake(): void {
    this.version += 1;
    for (const resolve of this.waiters.splice(0)) resolve();
  }

  /** Answers how many it let go. */
  trim(): number {
    let gone = 0;
    while (
      this.bytes > LIMITS.deltaBytesKeptPerRun ||
      this.deltas.length - gone > LIMITS.deltasKeptPerStep
    ) {
      const oldest = this.deltas[gone];
      if (oldest === undefined) break;
      this.bytes -= oldest.bytes;
      this.dropped = oldest.index;
      gone += 1;
    }
    if (gone > 0) this.deltas = this.deltas.slice(gone);
    return gone;
  }
}

export class Hub<T> {
  readonly #channels = new Map<string, RunChannel<T>>();
  #watchers = 0;
  /** Deltas that came in, since the start. */
  published = 0;
  /** Deltas that a full buffer let go before their run was over, since the start. */
  dropped = 0;

  get watchers(): number {
    return this.#watchers;
  }

  /** Channels that are kept. */
  get size(): number {
    return this.#channels.size;
  }

  /** Keys of the runs that somebody watches here. */
  watched(): string[] {
    const keys: string[] = [];
    for (const [key, channel] of this.#channels) if (channel.watchers > 0) keys.push(key);
    return keys;
  }

  watch(key: string): Channel<T> {
    const channel = this.#channel(key);
    channel.watchers += 1;
    this.#watchers += 1;
    let open = true;
    return {
      epoch: channel.epoch,
      get lastSeq() {
        return channel.lastSeq;
      },
      get version() {
        return channel.version;
      },
      get ended() {
        return channel.ended;
      },
      get deltas() {
        return channel.deltas;
      },
      get dropped() {
        return channel.dropped;
      },
      changed: (signal) => nextChange(channel, signal),
      close: () => {
        if (!open) return;
        open = false;
        channel.watchers -= 1;
        this.#watchers -= 1;
        this.#dropIfIdle(key, channel);
      },
    };
  }

  /** Something was committed for this run. `live`: a worker holds it. */
  notify(key: string, seq: number, live: boolean, ended: boolean): void {
    const channel = this.#channels.get(key);
    if (channel === undefined) return;
    channel.lastSeq = Math.max(channel.lastSeq, seq);
    channel.ended = ended;
    channel.live = live;
    channel.wake();
    this.#dropIfIdle(key, channel);
  }

  /** Shows deltas to whoever watches, and keeps them for whoever comes while the run is live. */
  publish(
    key: string,
    afterSeq: number,
    at: number,
    events: readonly { event: T; bytes: number }[],
  ): void {
    const channel = this.#channel(key);
    channel.live = true;
    channel.lastSeq = Math.max(channel.lastSeq, afterSeq);
    for (const { event, bytes } of events) {
      channel.deltas.push({
        index: channel.nextIndex,
        afterSeq: channel.lastSeq,
        at,
        bytes,
        event,
      });
      channel.nextIndex += 1;
      channel.bytes += bytes;
    }
    this.published += events.length;
    this.dropped += channel.trim();
    channel.wake();
  }

  /** The run is no longer held here: its deltas are of no more use to late comers. */
  release(key: string): void {
    const channel = this.#channels.get(key);
    if (channel === undefined) return;
    channel.live = false;
    this.#dropIfIdle(key, channel);
  }

  #channel(key: string): RunChannel<T> {
    let channel = this.#channels.get(key);
    if (channel === undefined) {
      channel = new RunChannel<T>();
      this.#channels.set(key, channel);
    }
    return channel;
  }

  #dropIfIdle(key: string, channel: RunChannel<T>): void {
    if (channel.watchers > 0 || (channel.live && channel.deltas.length > 0)) return;
    if (this.#channels.get(key) === channel) this.#channels.delete(key);
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
