// Section Q of docs/replay-machine.md.
/**
 * Hands results to user code, one at a time, in the order of the journal.
 *
 * User code may join several steps by means of its own (Promise.race, a counter,
 * two loops concurrently); what it does then depends on the order in which they
 * settle. So a replay settles them in the order in which the journal recorded
 * them, and lets the code run until it waits again before the next one. The
 * first run does the same with acknowledgements that arrive together. "Until it
 * waits again" is a `nextTick` asked for from within a microtask: Node runs it
 * when no microtask is left.
 *
 * While recorded results are still to be handed out, a step that is not recorded
 * is held back (`park`): what comes out of the journal next may end its branch.
 */
interface Delivery {
  readonly seq: number;
  /** Breaks ties in the order of arrival. */
  readonly order: number;
  readonly recorded: boolean;
  readonly deliver: () => void | Promise<void>;
}

function before(a: Delivery, b: Delivery): boolean {
  return a.seq === b.seq ? a.order < b.order : a.seq < b.seq;
}

export class Deliveries {
  /** How many deliveries there have been. */
  turn = 0;
  readonly #heap: Delivery[] = [];
  #parked: (() => void)[] = [];
  #order = 0;
  #recordedWaiting = 0;
  #draining = false;
  #replaying = false;
  #lastSeq = 0;
  #latestSeq = 0;

  /** There is a journal to replay: parks new steps until user code first waits for one. */
  beginReplay(): void {
    this.#replaying = true;
    this.#schedule();
  }

  /** Recorded results are being handed out. */
  get replaying(): boolean {
    return this.#replaying || this.#recordedWaiting > 0;
  }

  /** The place in the journal of what was delivered last. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** The latest place in the journal that anything was reported from, delivered or not. */
  get latestSeq(): number {
    return Math.max(this.#lastSeq, this.#latestSeq);
  }

  /** Delivers a recorded result, in its order. */
  pushRecorded(seq: number, deliver: () => void | Promise<void>): void {
    this.#recordedWaiting += 1;
    this.#push({ seq, order: this.#order++, recorded: true, deliver });
  }

  /**
   * Delivers what has just happened. `alone`: nothing else of the run is in
   * flight, so nothing can come between and it is delivered at once.
   */
  push(seq: number, deliver: () => void, alone: boolean): void {
    if (alone && !this.#draining) {
      this.turn += 1;
      this.#lastSeq = seq;
      deliver();
      return;
    }
    this.#push({ seq, order: this.#order++, recorded: false, deliver });
  }

  /** Delivers before anything that is waiting: the consequence of the last delivery. */
  pushNext(deliver: () => void): void {
    this.#push({ seq: this.#lastSeq, order: this.#order++, recorded: false, deliver });
  }

  /** Runs `start` when no recorded result is waiting. */
  park(start: () => void): void {
    this.#parked.push(start);
    this.#schedule();
  }

  #push(delivery: Delivery): void {
    this.#latestSeq = Math.max(this.#latestSeq, delivery.seq);
    const heap = this.#heap;
    let at = heap.push(delivery) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above] as Delivery;
      if (!before(delivery, parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = delivery;
    this.#schedule();
  }

  #pop(): Delivery | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      const left = heap[below];
      if (left === undefined) break;
      const right = heap[below + 1];
      if (right !== undefined && before(right, left)) below += 1;
      const smallest = heap[below] as Delivery;
      if (!before(smallest, last)) break;
      heap[at] = smallest;
      at = below;
    }
    heap[at] = last;
    return first;
  }

  #schedule(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#afterMicrotasks();
  }

  #afterMicrotasks(): void {
    queueMicrotask(() => process.nextTick(() => this.#step()));
  }

  #step(): void {
    const next = this.#pop();
    if (next === undefined) {
      this.#idle();
      return;
    }
    this.turn += 1;
    this.#lastSeq = Math.max(this.#lastSeq, next.seq);
    if (next.recorded) this.#recordedWaiting -= 1;
    const done = next.deliver();
    if (done === undefined) this.#afterMicrotasks();
    else void done.then(() => this.#afterMicrotasks());
  }

  #idle(): void {
    this.#draining = false;
    this.#replaying = false;
    const parked = this.#parked;
    this.#parked = [];
    for (const start of parked) start();
  }
}
