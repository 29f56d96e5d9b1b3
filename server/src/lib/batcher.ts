/**
 * Group commit without a timer: what is pushed while runs are under way makes up the next one, so
 * batches grow with the load and a lone item waits for nobody. It knows nothing of what it carries;
 * `run` answers each item itself.
 *
 * Callers that all wait for the same batch come back all at once, and then both sides take turns at
 * idling. Two things keep both busy. A second run goes out before the first has been answered, once
 * it is worth it; items with the same key are never in both. And no run takes more than half of what
 * is there, so that there is a second one: while one half is carried out, the callers of the other
 * half come back. That pays only while what each run costs besides its items (waiting for the disk,
 * above all) is less than the time that that many callers take to come back.
 *
 * States: idle → scheduled (end of this turn) → running (one or two) → scheduled | idle. `drain()`
 * resolves at idle.
 */
export interface Batcher<T> {
  /** False when the queue is full: the item was not taken. */
  push(item: T): boolean;
  readonly queued: number;
  /** Resolves when nothing is queued or running. */
  drain(): Promise<void>;
}

export interface BatcherOptions<T> {
  /**
   * Handles one batch. Must not reject, and must settle every item but those that it resolves with:
   * these run again, ahead of all that was pushed meanwhile.
   */
  readonly run: (items: T[]) => Promise<readonly T[]>;
  /** Items with the same key run in the order of their pushes; undefined: in any. */
  readonly key: (item: T) => string | undefined;
  readonly itemsMax: number;
  readonly weightMax: number;
  /** In the unit of `weightMax`, such as bytes. */
  readonly weight: (item: T) => number;
  readonly queuedMax: number;
}

/** Fewer items are not worth two runs. */
const SPLIT_FROM = 16;
/** About what the way to a caller and back takes for each item, in ms. */
const AWAY_MS = 0.02;
/** How much of a peak is left after another run, and by how much a least time grows: the recent counts. */
const FADE = 0.98;

/** A second run goes out with that many items at least, and with such a share of the first one's. */
const AHEAD_FROM = 8;
const AHEAD_SHARE = 0.5;

/** From the head of the queue, within the bounds, passing over what has to wait for a run. */
function divide<T>(
  queue: readonly T[],
  busy: ReadonlySet<string | undefined>,
  count: number,
  { key, weight, itemsMax, weightMax }: BatcherOptions<T>,
): { batch: T[]; rest: T[] } {
  const countMax = Math.min(itemsMax, count);
  const batch: T[] = [];
  const rest: T[] = [];
  let sum = 0;
  let isFull = false;
  for (const item of queue) {
    const itemKey = key(item);
    if (!isFull && (itemKey === undefined || !busy.has(itemKey))) {
      sum += weight(item);
      isFull = batch.length > 0 && (batch.length >= countMax || sum > weightMax);
      if (!isFull) {
        batch.push(item);
        continue;
      }
    }
    rest.push(item);
  }
  return { batch, rest };
}

export function createBatcher<T>(options: BatcherOptions<T>): Batcher<T> {
  let queue: T[] = [];
  /** None, one or two. */
  const running: (readonly T[])[] = [];
  let scheduled = false;
  const idle: (() => void)[] = [];
  /** The most items that were queued and running lately. */
  let peak = 0;
  /** The least time that a run took lately, from its start or the end of the one before it. */
  let leastMs = Number.POSITIVE_INFINITY;
  let endedAt = 0;

  function mayRun(): boolean {
    const [first, second] = running;
    if (first === undefined) return true;
    return second === undefined && queue.length >= Math.max(AHEAD_FROM, first.length * AHEAD_SHARE);
  }

  function schedule(): void {
    if (scheduled || !mayRun()) return;
    scheduled = true;
    // The rest of this turn may push more: frames of one message arrive in one turn.
    queueMicrotask(flush);
  }

  /** How many items the next run may take. */
  function share(): number {
    const there = running.reduce((sum, items) => sum + items.length, queue.length);
    peak = Math.max(there, peak * FADE);
    const isWorthIt = peak >= SPLIT_FROM && leastMs < peak * AWAY_MS;
    return isWorthIt ? Math.ceil(peak / 2) : queue.length;
  }

  function flush(): void {
    scheduled = false;
    if (queue.length === 0) {
      if (running.length === 0) for (const resolve of idle.splice(0)) resolve();
      return;
    }
    const busy = new Set(running.flat().map(options.key));
    const { batch, rest } = divide(queue, busy, share(), options);
    queue = rest;
    if (batch.length === 0) return;
    running.push(batch);
    const startedAt = performance.now();
    void options.run(batch).then((again) => {
      running.splice(running.indexOf(batch), 1);
      if (again.length > 0) queue = [...again, ...queue];
      const now = performance.now();
      leastMs = Math.min(now - Math.max(startedAt, endedAt), leastMs / FADE);
      endedAt = now;
      schedule();
    });
    schedule();
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
