/**
 * Deltas on their way from workers to the store. Memory only: what is lost here is sent again by
 * its worker, or told to watchers as a gap.
 *
 * 1. Nothing is shown to a watcher before it is on record: so a place in the stream means the same
 *    everywhere, and a crash of this server takes nothing back that was seen.
 * 2. What came before a command on the run is on record no later than what that command writes:
 *    it rides along in the same commit, or was sent ahead of it on the same connection.
 * 3. Nobody waits: what does not fit is dropped. A number that was dropped is never used again.
 * 4. A chunk that was sent to the store stays as it is until its fate is known; sending it twice
 *    does no harm. Nothing is on record before what was sent before it: chunks that are put by
 *    themselves wait for those on their way, and what rides along takes those with it.
 */
import type { Clock } from "../../lib/clock.ts";
import { BOUNDS } from "../../model/bounds.ts";
import type { DeltaEvent } from "../../model/delta.ts";
import { runKey } from "../../model/ids.ts";
import type { NewChunk, PutDeltas } from "../../store/deltas.ts";
import type { Store } from "../../store/store.ts";
import type { Published } from "./event-types.ts";
import { bytesOf, Outgoing } from "./outgoing.ts";

export interface IntakeOptions {
  readonly store: Pick<Store, "putDeltas" | "deleteDeltas" | "runMarks">;
  readonly clock: Clock;
  /** Deltas of these runs are on record now. Must not throw. */
  readonly onKept: (keys: readonly string[]) => void;
  readonly onError: (error: unknown) => void;
}

const RETRY_MS = 200;

export class Intake {
  readonly #options: IntakeOptions;
  readonly #streams = new Map<string, Outgoing>();
  /** Keys of the streams that have something to write. */
  readonly #dirty = new Set<string>();
  #bytes = 0;
  #dropped = 0;
  #taken = 0;
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> | undefined;
  #nextFlushAt = 0;
  #closed = false;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** Deltas that did not fit, since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Deltas that were taken, since the start. */
  get taken(): number {
    return this.#taken;
  }

  /** The bytes of all runs that are not yet on record. */
  get pendingBytes(): number {
    return this.#bytes;
  }

  /**
   * @param first the number of the first event; 0: counted here
   * @param isNew nothing can have been sent under this fence by way of another server
   */
  publish(
    org: string,
    runId: string,
    fence: number,
    events: readonly (DeltaEvent | undefined)[],
    first: number,
    isNew = false,
  ): Promise<Published> {
    const key = runKey(org, runId);
    const stream = this.#stream(key, org, runId, fence, first);
    if (stream === undefined || events.length === 0)
      return Promise.resolve({ accepted: 0, acknowledged: 0 });
    if (first === 0 && stream.next === 0 && isNew) stream.next = 1;
    if (first === 0 && stream.next === 0) return this.#numbered(key, stream, events);
    return this.#take(key, stream, events, first === 0 ? stream.next : first);
  }

  /** What is on record of a run that this server continues with: sent again, it is no news. */
  resume(org: string, runId: string, fence: number, onRecord: number): void {
    const stream = this.#stream(runKey(org, runId), org, runId, fence, onRecord + 1);
    if (stream !== undefined) stream.next = Math.max(stream.next, onRecord + 1);
  }

  /** The stream of a fence; a higher fence replaces a lower one, whose attempts are void. */
  #stream(
    key: string,
    org: string,
    runId: string,
    fence: number,
    first: number,
  ): Outgoing | undefined {
    const known = this.#streams.get(key);
    if (known?.fence === fence) return known;
    if (this.#closed || (known !== undefined && known.fence > fence)) return undefined;
    if (known !== undefined) this.#end(key, known);
    this.#makeRoom();
    const stream = new Outgoing(org, runId, fence, first);
    this.#streams.set(key, stream);
    return stream;
  }

  /** Runs that went elsewhere unseen: what is idle can be made anew at any time. */
  #makeRoom(): void {
    if (this.#streams.size < BOUNDS.cachedRuns) return;
    for (const [key, stream] of this.#streams) {
      if (stream.bytes === 0) this.#end(key, stream);
      if (this.#streams.size < BOUNDS.cachedRuns) return;
    }
  }

  /** Continues counting where the store's record ends. */
  async #numbered(
    key: string,
    stream: Outgoing,
    events: readonly (DeltaEvent | undefined)[],
  ): Promise<Published> {
    stream.asking ??= this.#ask(stream);
    await stream.asking;
    if (this.#streams.get(key) !== stream) return { accepted: 0, acknowledged: 0 };
    return this.#take(key, stream, events, stream.next);
  }

  async #ask(stream: Outgoing): Promise<void> {
    const { org, runId, fence } = stream;
    const [mark] = await this.#options.store.runMarks([{ org, runId }]);
    stream.next = mark?.delta.fence === fence ? mark.delta.number + 1 : 1;
  }

  #take(
    key: string,
    stream: Outgoing,
    events: readonly (DeltaEvent | undefined)[],
    first: number,
  ): Promise<Published> {
    // What was sent before, and is sent again since its answer was lost.
    const known = Math.min(events.length, Math.max(0, stream.next - first));
    let accepted = known;
    const now = this.#options.clock.now();
    const before = stream.bytes;
    for (let index = known; index < events.length; index += 1) {
      const event = events[index];
      if (event === undefined) continue;
      const bytes = bytesOf(event);
      if (this.#isFull(stream, before, bytes)) {
        this.#dropped += 1;
        continue;
      }
      stream.add(event, first + index, bytes, now);
      this.#taken += 1;
      accepted += 1;
    }
    this.#bytes += stream.bytes - before;
    const last = first + events.length - 1;
    stream.next = Math.max(stream.next, last + 1);
    if (stream.hasEvents) {
      this.#dirty.add(key);
      this.#schedule();
    }
    return stream.settled(last, accepted);
  }

  #isFull(stream: Outgoing, before: number, bytes: number): boolean {
    const all = this.#bytes + stream.bytes - before;
    return (
      stream.bytes + bytes > BOUNDS.deltaBytesPendingPerRun ||
      all + bytes > BOUNDS.deltaBytesPending
    );
  }

  /** What is to be written before the next entries of a run, if its fence is still this one. */
  take(key: string, fence: number): readonly NewChunk[] | undefined {
    const stream = this.#streams.get(key);
    if (stream === undefined || stream.fence !== fence || !stream.isPending) return undefined;
    this.#dirty.delete(key);
    return this.#changing(stream, () => stream.takeChunks(this.#options.clock.now()));
  }

  /** What became of chunks that rode along, or were put by themselves. */
  settle(key: string, chunks: readonly NewChunk[], onRecord: boolean): void {
    const stream = this.#streams.get(key);
    if (stream === undefined || stream.fence !== chunks[0]?.fence) return;
    if (!onRecord) {
      stream.giveBack(chunks);
      this.#dirty.add(key);
      this.#schedule();
      return;
    }
    const gone = this.#changing(stream, () => stream.onRecord(chunks));
    // What came meanwhile has waited for them.
    if (stream.isPending && !stream.isOut) {
      this.#dirty.add(key);
      this.#schedule();
    }
    if (gone.length === 0) return;
    const { org, runId } = stream;
    this.#options.store
      .deleteDeltas({ org }, runId, gone)
      .catch((error: unknown) => this.#options.onError(error));
  }

  /** Keeps the sum of all bytes right. */
  #changing<T>(stream: Outgoing, change: () => T): T {
    const before = stream.bytes;
    const result = change();
    this.#bytes += stream.bytes - before;
    return result;
  }

  // ── by themselves ──

  #schedule(): void {
    if (this.#timer !== undefined || this.#flushing !== undefined || this.#dirty.size === 0) return;
    const delay = this.#closed ? 0 : this.#nextFlushAt - this.#options.clock.now();
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#flushing = this.#flush().finally(() => {
          this.#flushing = undefined;
          this.#schedule();
        });
      },
      Math.max(0, delay),
    );
  }

  async #flush(): Promise<void> {
    const { store, clock } = this.#options;
    const puts: (PutDeltas & { readonly key: string })[] = [];
    for (const key of this.#dirty) {
      const stream = this.#streams.get(key);
      if (stream === undefined || stream.isOut) continue;
      for (const chunk of this.take(key, stream.fence) ?? [])
        puts.push({ key, org: stream.org, runId: stream.runId, chunk });
    }
    this.#dirty.clear();
    if (puts.length === 0) return;
    const pause = Math.min(BOUNDS.deltaFlushMaxMs, Math.max(BOUNDS.deltaFlushMinMs, puts.length));
    this.#nextFlushAt = clock.now() + pause;
    let results: readonly string[];
    try {
      results = await store.putDeltas(puts);
    } catch (error) {
      this.#options.onError(error);
      this.#nextFlushAt = clock.now() + RETRY_MS;
      for (const { key, chunk } of puts) this.settle(key, [chunk], false);
      return;
    }
    const kept = new Set<string>();
    for (const [index, { key, chunk }] of puts.entries()) {
      if (results[index] === "stale") {
        this.forget(key, chunk.fence);
        continue;
      }
      kept.add(key);
      this.settle(key, [chunk], true);
    }
    if (kept.size > 0) this.#options.onKept([...kept]);
  }

  // ── the rest ──

  /** The number of the latest delta of a run, where a step attempt has sent any; or 0. */
  sentBy(key: string, fence: number, stepKey: string, attempt: number): number {
    const stream = this.#streams.get(key);
    if (stream === undefined || stream.fence !== fence) return 0;
    return stream.sentBy(stepKey, attempt);
  }

  /** The run is no longer held under this fence: what is still here is void. */
  forget(key: string, fence: number): void {
    const stream = this.#streams.get(key);
    if (stream !== undefined && stream.fence <= fence) this.#end(key, stream);
  }

  #end(key: string, stream: Outgoing): void {
    this.#streams.delete(key);
    this.#dirty.delete(key);
    this.#bytes -= stream.bytes;
    stream.end();
  }

  /** Writes what is here, once, and takes no more. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#flushing;
    await this.#flush();
    for (const [key, stream] of [...this.#streams]) this.#end(key, stream);
    clearTimeout(this.#timer);
  }
}
