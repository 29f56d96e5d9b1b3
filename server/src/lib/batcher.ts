/**
 * Group commit without a timer: what is pushed while a run is under way makes up the next one,
 * so batches grow with the load and a lone item waits for nobody. It knows nothing of what it
 * carries; `run` answers each item itself.
 *
 * Callers that all wait for the same batch come back all at once, and then both sides take turns at
 * idling. So a burst that meets an idle batcher is run in two halves: from then on one half is under
 * way while the answers of the other travel. That pays only while a run takes about as long as the
 * way there and back; with a slow disk it would double the flushes, so it is left alone then.
 *
 * States: idle → scheduled (end of this turn) → running → scheduled | idle. `drain()` resolves at idle.
 */
export interface Batcher<T> {
  /** False when the queue is full: the item was not taken. */
  push(item: T): boolean;
  readonly queued: number;
  /** Resolves when nothing is queued or running. */
  drain(): Promise<void>;
}

export interface BatcherOptions<T> {
  /** Handles one batch. Must not reject, and must settle every item. */
  readonly run: (items: T[]) => Promise<void>;
  readonly itemsMax: number;
  readonly weightMax: number;
  /** In the unit of `weightMax`, such as bytes. */
  readonly weight: (item: T) => number;
  readonly queuedMax: number;
}

/** Smaller bursts are not worth two runs. */
const SPLIT_FROM = 16;
/** The idle time before a burst, as a share of the run before it, within which halves overlap well. */
const SPLIT_GAP_MIN = 0.25;
const SPLIT_GAP_MAX = 4;

export function createBatcher<T>(options: BatcherOptions<T>): Batcher<T> {
  let queue: T[] = [];
  let running = false;
  let scheduled = false;
  const idle: (() => void)[] = [];
  let ranMs = 0;
  let endedAt = 0;
  let wasIdle = true;

  /** How many items a burst of `count` is cut to. */
  function split(count: number): number {
    if (!wasIdle || count < SPLIT_FROM) return count;
    const gap = performance.now() - endedAt;
    return gap > ranMs * SPLIT_GAP_MIN && gap < ranMs * SPLIT_GAP_MAX ? count >> 1 : count;
  }

  function schedule(): void {
    if (running || scheduled) return;
    scheduled = true;
    // The rest of this turn may push more: frames of one message arrive in one turn.
    queueMicrotask(flush);
  }

  function take(): T[] {
    let weight = 0;
    let count = 0;
    for (const item of queue) {
      weight += options.weight(item);
      if (count > 0 && (count >= options.itemsMax || weight > options.weightMax)) break;
      count += 1;
    }
    count = split(count);
    if (count === queue.length) {
      const all = queue;
      queue = [];
      return all;
    }
    return queue.splice(0, count);
  }

  function flush(): void {
    scheduled = false;
    if (queue.length === 0) {
      for (const resolve of idle.splice(0)) resolve();
      return;
    }
    running = true;
    const batch = take();
    const startedAt = performance.now();
    options.run(batch).finally(() => {
      running = false;
      endedAt = performance.now();
      ranMs = endedAt - startedAt;
      wasIdle = queue.length === 0;
      schedule();
    });
  }

  return {
    push(item) {
      if (queue.length >= options.queuedMax) return false;
      queue.push(item);
      schedule();
      return true;
    },
    get queued() {
      return queue.length;
    },
    drain() {
      return new Promise((resolve) => {
        idle.push(resolve);
        schedule();
      });
    },
  };
}
