/** What one run sends under one fence, on its way to the store: gathered, cut into chunks, answered. */

import { BOUNDS } from "../../model/bounds.ts";
import { attemptKey, type DeltaEvent, packDeltas, packSteps } from "../../model/delta.ts";
import type { ChunkName, NewChunk } from "../../store/deltas.ts";
import type { Published } from "./event-types.ts";

interface Chunk {
  readonly chunk: NewChunk;
  /** Sent to the store; its fate is not known. */
  out: boolean;
}

interface Waiter {
  readonly last: number;
  readonly accepted: number;
  readonly resolve: (published: Published) => void;
}

/** What a delta takes besides its payload, about. */
const EVENT_BYTES = 120;
/** Step attempts of a run whose latest delta is noted. */
const ATTEMPTS_NOTED = 1_000;

export function bytesOf(event: DeltaEvent): number {
  return EVENT_BYTES + (event.payload?.data?.byteLength ?? 0);
}

export class Outgoing {
  readonly org: string;
  readonly runId: string;
  readonly fence: number;
  /** The number that comes next; 0: the store has to be asked. */
  next: number;
  asking: Promise<void> | undefined;
  /** All that is not on record. */
  bytes = 0;
  /** Not yet in a chunk: numbered from `#first` on. */
  #events: DeltaEvent[] = [];
  #first: number;
  #eventBytes = 0;
  #chunks: Chunk[] = [];
  #waiters: Waiter[] = [];
  #durableBytes = 0;
  /** Step attempts that have sent something. */
  readonly #attempts = new Set<string>();
  /** Chunks on record that go when there is too much. */
  readonly #kept: (ChunkName & { readonly bytes: number })[] = [];
  #keptBytes = 0;

  constructor(org: string, runId: string, fence: number, first: number) {
    this.org = org;
    this.runId = runId;
    this.fence = fence;
    this.next = first;
    this.#first = first;
  }

  /** Something is not in a chunk yet. */
  get hasEvents(): boolean {
    return this.#events.length > 0;
  }

  add(event: DeltaEvent, number: number, bytes: number, now: number): void {
    const follows = number === this.#first + this.#events.length;
    const full =
      this.#eventBytes + bytes > BOUNDS.deltaChunkBytes ||
      this.#events.length >= BOUNDS.deltaChunkEvents;
    if (this.#events.length > 0 && (!follows || full)) this.#seal(now);
    if (this.#events.length === 0) this.#first = number;
    let kept = event;
    if (event.policy === "durable") {
      this.#durableBytes += bytes;
      if (this.#durableBytes > BOUNDS.deltaBytesDurable) kept = { ...event, policy: "buffered" };
    }
    this.#events.push(kept);
    this.#eventBytes += bytes;
    this.bytes += bytes;
    this.#attempts.add(attemptKey(event.key, event.attempt));
    if (this.#attempts.size <= ATTEMPTS_NOTED) return;
    for (const oldest of this.#attempts) {
      this.#attempts.delete(oldest);
      return;
    }
  }

  /** The number of the latest delta, if this attempt has sent any; or 0. */
  sentBy(key: string, attempt: number): number {
    return this.#attempts.has(attemptKey(key, attempt)) ? this.next - 1 : 0;
  }

  /** Makes a chunk of what has gathered. */
  #seal(now: number): void {
    const events = this.#events;
    const first = this.#first;
    const data = packDeltas(events);
    const chunk = {
      fence: this.fence,
      first,
      last: first + events.length - 1,
      at: now,
      keep: events.some((event) => event.policy === "durable"),
      steps: packSteps(events),
      data,
    };
    this.bytes += data.byteLength - this.#eventBytes;
    this.#chunks.push({ chunk, out: false });
    this.#events = [];
    this.#eventBytes = 0;
  }

  /** Something is not on record. */
  get isPending(): boolean {
    return this.hasEvents || this.#chunks.length > 0;
  }

  /** Something was sent to the store, and its fate is not known. */
  get isOut(): boolean {
    return this.#chunks.some(({ out }) => out);
  }

  /**
   * All that is not on record, in order, to be sent to the store now; once more what is on its way
   * there already: it may fail to arrive, and what comes after it would be on record first.
   */
  takeChunks(now: number): NewChunk[] {
    if (this.hasEvents) this.#seal(now);
    for (const chunk of this.#chunks) chunk.out = true;
    return this.#chunks.map(({ chunk }) => chunk);
  }

  /** Chunks that did not get there, or of which it is not known, are to be taken again. */
  giveBack(chunks: readonly NewChunk[]): void {
    for (const chunk of this.#chunks) if (chunks.includes(chunk.chunk)) chunk.out = false;
  }

  /** Chunks are on record: tells everyone who waits for them. Returns what must be sent for them to stay. */
  onRecord(chunks: readonly NewChunk[]): ChunkName[] {
    const arrived = this.#chunks.filter(({ chunk }) => chunks.includes(chunk));
    this.#chunks = this.#chunks.filter(({ chunk }) => !chunks.includes(chunk));
    // What was sent twice has arrived with the first of both.
    for (const { chunk } of arrived) {
      const { fence, first, keep, data } = chunk;
      const bytes = data.byteLength;
      this.bytes -= bytes;
      if (keep) continue;
      this.#kept.push({ fence, first, bytes });
      this.#keptBytes += bytes;
    }
    this.#answer();
    return this.#keptBytes > BOUNDS.deltaBytesKeptPerRun ? this.#oldest() : [];
  }

  #oldest(): ChunkName[] {
    const gone: ChunkName[] = [];
    while (this.#keptBytes > BOUNDS.deltaBytesKeptPerRun / 2) {
      const oldest = this.#kept.shift();
      if (oldest === undefined) break;
      this.#keptBytes -= oldest.bytes;
      gone.push({ fence: oldest.fence, first: oldest.first });
    }
    return gone;
  }

  /** Resolves once all up to this number are on record, or the lease is over. */
  settled(last: number, accepted: number): Promise<Published> {
    if (!this.hasEvents && this.#chunks.length === 0)
      return Promise.resolve({ accepted, acknowledged: last });
    return new Promise((resolve) => this.#waiters.push({ last, accepted, resolve }));
  }

  #answer(): void {
    const unsent = this.hasEvents ? this.#first : Number.POSITIVE_INFINITY;
    const pending = this.#chunks[0]?.chunk.first ?? unsent;
    let done = 0;
    for (const { last, accepted, resolve } of this.#waiters) {
      if (last >= pending) break;
      resolve({ accepted, acknowledged: last });
      done += 1;
    }
    if (done > 0) this.#waiters.splice(0, done);
  }

  /** The lease is over: what is not on record is void. */
  end(): void {
    for (const { resolve } of this.#waiters.splice(0)) resolve({ accepted: 0, acknowledged: 0 });
  }
}
