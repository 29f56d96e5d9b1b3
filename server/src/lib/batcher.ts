/**
 * Group commit without a timer: what is pushed while a run is under way makes up the next one,
 * so batches grow with the load and a lone item waits for nobody. It knows nothing of what it
 * carries; `run` answers each item itself.
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

export function createBatcher<T>(options: BatcherOptions<T>): Batcher<T> {
  let queue: T[] = [];
  let running = false;
  let scheduled = false;
  let idle: (() => void)[] = [];

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
    options.run(take()).finally(() => {
      running = false;
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
