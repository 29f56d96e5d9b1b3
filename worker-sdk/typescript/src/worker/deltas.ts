// Section D of docs/replay-machine.md.
/**
 * Live output on its way out: gathered for a moment, bounded, dropped when it does not fit.
 *
 * Every event of a run gets a number, also one that is dropped: so that watchers are told of what is
 * missing, and sending again after a reconnection shows nothing twice. What was sent counts against
 * the bound until the server has it on record.
 */
import { limits } from "../limits.ts";
import type { NewEventInit } from "../run/link.ts";

export interface DeltaBatch {
  readonly runId: string;
  readonly fence: number;
  /** The number of the first event under this fence; the others follow. */
  readonly first: number;
  readonly events: NewEventInit[];
}

interface Gathered extends DeltaBatch {
  bytes: number;
}

/**
 * Returns when the server has the events on record, and undefined while nothing can be sent. `must`:
 * what follows is about them, so that they take their place before it now.
 */
type Send = (batch: DeltaBatch, bytes: number, must: boolean) => Promise<unknown> | undefined;

interface Stream {
  fence: number;
  next: number;
  /** To be sent, in order. */
  waiting: Gathered[];
  sentBytes: number;
  /** Sent, and not yet on record: the number of the first event of each. */
  sent: Map<Promise<unknown>, number>;
}

export class Deltas {
  readonly #send: Send;
  readonly #onDrop: (count: number) => void;
  readonly #streams = new Map<string, Stream>();
  #bytes = 0;
  #waitingBytes = 0;
  #dropped = 0;
  #flushedAtMs = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `onDrop`: that many events were lost. */
  constructor(send: Send, onDrop: (count: number) => void) {
    this.#send = send;
    this.#onDrop = onDrop;
  }

  /** Returns the event's number. */
  add(runId: string, fence: number, event: NewEventInit, bytes: number): number {
    const stream = this.#stream(runId, fence);
    const number = stream.next;
    stream.next += 1;
    if (this.#bytes + bytes > limits.deltaBufferBytesMax) {
      this.#dropped += 1;
      this.#schedule();
      return number;
    }
    let batch = stream.waiting.at(-1);
    const fits =
      batch !== undefined &&
      batch.fence === fence &&
      batch.first + batch.events.length === number &&
      batch.events.length < limits.deltaBatchEventsMax &&
      batch.bytes + bytes <= limits.deltaBatchBytesMax;
    if (batch === undefined || !fits) {
      batch = { runId, fence, first: number, events: [], bytes: 0 };
      stream.waiting.push(batch);
    }
    batch.events.push(event);
    batch.bytes += bytes;
    this.#bytes += bytes;
    this.#waitingBytes += bytes;
    if (this.#waitingBytes >= limits.deltaFlushBytes) this.flush();
    this.#schedule();
    return number;
  }

  #stream(runId: string, fence: number): Stream {
    let stream = this.#streams.get(runId);
    if (stream === undefined) {
      stream = { fence, next: 1, waiting: [], sentBytes: 0, sent: new Map() };
      this.#streams.set(runId, stream);
    } else if (stream.fence !== fence) {
      // What was sent under the old fence is void.
      this.#dropWaiting(stream);
      stream.fence = fence;
      stream.next = 1;
    }
    return stream;
  }

  #dropWaiting(stream: Stream): void {
    for (const { bytes } of stream.waiting.splice(0)) {
      this.#bytes -= bytes;
      this.#waitingBytes -= bytes;
    }
  }

  /** At once after a quiet while, and otherwise not more often than that. */
  #schedule(): void {
    if (this.#timer !== undefined) return;
    const delay = this.#flushedAtMs + limits.deltaFlushMs - performance.now();
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.flush();
        if (this.#waitingBytes > 0) this.#schedule();
      },
      Math.max(0, delay),
    );
  }

  /** Sends what has gathered, of all runs or of one: that has to leave before what the run reports next. */
  flush(runId?: string): void {
    const only = runId === undefined ? undefined : this.#streams.get(runId);
    if (runId !== undefined && (only === undefined || only.waiting.length === 0)) return;
    this.#flushedAtMs = performance.now();
    const streams = runId === undefined ? this.#streams.values() : only === undefined ? [] : [only];
    for (const stream of streams) this.#sendAll(stream, runId !== undefined);
    if (this.#dropped > 0) {
      this.#onDrop(this.#dropped);
      this.#dropped = 0;
    }
  }

  /** As far as something can be sent now. */
  #sendAll(stream: Stream, must: boolean): void {
    for (let batch = stream.waiting[0]; batch !== undefined; batch = stream.waiting[0]) {
      const { bytes, first } = batch;
      const answer = this.#send(batch, bytes, must);
      if (answer === undefined) return;
      stream.waiting.shift();
      this.#waitingBytes -= bytes;
      stream.sentBytes += bytes;
      stream.sent.set(answer, first);
      const done = (): void => {
        if (!stream.sent.delete(answer)) return;
        stream.sentBytes -= bytes;
        this.#bytes -= bytes;
      };
      answer.then(done, done);
    }
  }

  /**
   * Sends what a run has said, and resolves once that is on record, or was given up. What it says from
   * now on does not count: a step that streams concurrently would never let the caller go.
   */
  async settled(runId: string): Promise<void> {
    const stream = this.#streams.get(runId);
    if (stream === undefined) return;
    const { fence, next } = stream;
    for (;;) {
      this.flush(runId);
      if (this.#streams.get(runId) !== stream || stream.fence !== fence) return;
      const said = [...stream.sent].flatMap(([answer, first]) => (first < next ? [answer] : []));
      if (said.length === 0) return;
      await Promise.allSettled(said);
    }
  }

  /** The run has left this worker. */
  forget(runId: string): void {
    const stream = this.#streams.get(runId);
    if (stream === undefined) return;
    this.#streams.delete(runId);
    this.#dropWaiting(stream);
    this.#bytes -= stream.sentBytes;
    stream.sentBytes = 0;
    stream.sent.clear();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const runId of [...this.#streams.keys()]) this.forget(runId);
  }
}
