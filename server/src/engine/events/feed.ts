/**
 * What the watchers of one run share on one server: one reader of the store, and a window of the
 * events that it has read last.
 *
 * A feed exists while somebody follows it. Followers keep their own place in the window; who falls
 * behind it is let go with its cursor, and delays nobody.
 */
import type { Channel, Hub } from "../../hub/hub.ts";
import type { Clock } from "../../lib/clock.ts";
import { BOUNDS } from "../../model/bounds.ts";
import type { Caller } from "../../model/caller.ts";
import { PawlError } from "../../model/errors.ts";
import { runKey } from "../../model/ids.ts";
import type { Store } from "../../store/store.ts";
import type { NewEvent, RunEvent } from "./event-types.ts";
import { deltaEvent, type Merger, type PlacedEvent } from "./merge.ts";
import { isBehind, makeCursor, type Position } from "./position.ts";
import { readNext } from "./read.ts";
import { bytesOfEvent } from "./size.ts";

export type Classes = "all" | "checkpoint" | "delta";

/** Events that were read together; each follower gets the same arrays. */
export interface Piece {
  readonly from: Position;
  readonly to: Position;
  readonly placed: readonly PlacedEvent[];
  readonly events: Readonly<Record<Classes, readonly RunEvent[]>>;
  readonly bytes: number;
}

export function ofClass(events: readonly RunEvent[], classes: Classes): readonly RunEvent[] {
  return classes === "all" ? events : events.filter((event) => event.class === classes);
}

export interface FeedsParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly hub: Hub<NewEvent>;
}

class Feed {
  readonly #parts: FeedsParts;
  readonly #caller: Caller;
  readonly #merger: Merger;
  readonly #channel: Channel<NewEvent>;
  readonly #onEnd: () => void;
  readonly #over = new AbortController();
  #pieces: Piece[] = [];
  /**
   * The place after the last piece. The merger may be ahead of it: it moves when a page is read,
   * which is shown once it is known whether the run has ended.
   */
  #shownTo: Position;
  /** Place of the first piece among all that there have been. */
  #base = 0;
  #events = 0;
  #bytes = 0;
  #ended = false;
  #error: unknown;
  #waiters: (() => void)[] = [];
  followers = 0;

  constructor(parts: FeedsParts, caller: Caller, merger: Merger, onEnd: () => void) {
    this.#parts = parts;
    this.#caller = caller;
    this.#merger = merger;
    this.#onEnd = onEnd;
    this.#shownTo = merger.position;
    this.#channel = parts.hub.watch(runKey(caller.org, merger.runId));
    this.#channel.onPublish((event) => this.#show(event));
    void this.#run();
  }

  get #start(): Position {
    return this.#pieces[0]?.from ?? this.#shownTo;
  }

  /** Whether all that comes after a place is still here. */
  covers(position: Position): boolean {
    const start = this.#start;
    return position.seq >= start.seq && !isBehind(position, start);
  }

  async #run(): Promise<void> {
    const { signal } = this.#over;
    try {
      while (!signal.aborted && !this.#ended) {
        const { version } = this.#channel;
        const batch = await readNext(this.#parts.store, this.#caller, this.#merger);
        if (batch.events.length > 0) this.#push(this.#merger.position, batch.events);
        if (batch.ended) this.#ended = true;
        else if (!batch.more && this.#channel.version === version)
          await this.#channel.changed(signal);
      }
    } catch (error) {
      this.#error = error;
    }
    this.close();
  }

  #push(to: Position, placed: readonly PlacedEvent[]): void {
    const from = this.#shownTo;
    const all = placed.map(({ event }) => event);
    let bytes = 0;
    for (const event of all) bytes += bytesOfEvent(event);
    const events = { all, checkpoint: ofClass(all, "checkpoint"), delta: ofClass(all, "delta") };
    this.#pieces.push({ from, to, placed, events, bytes });
    this.#shownTo = to;
    this.#events += all.length;
    this.#bytes += bytes;
    while (
      this.#pieces.length > 1 &&
      (this.#events > BOUNDS.watcherBufferedEvents || this.#bytes > BOUNDS.watcherBufferedBytes)
    ) {
      const oldest = this.#pieces.shift();
      this.#base += 1;
      this.#events -= oldest?.placed.length ?? 0;
      this.#bytes -= oldest?.bytes ?? 0;
    }
    this.#wake();
  }

  /** What is for those who watch now, and has no place of its own in the stream. */
  #show(event: NewEvent): void {
    const position = this.#shownTo;
    const at = this.#parts.clock.now();
    const shown = deltaEvent(this.#merger.runId, { ...position, at, event });
    const placed = { event: { cursor: makeCursor(position), ...shown }, after: position };
    this.#push(position, [placed]);
  }

  #wake(): void {
    for (const resolve of this.#waiters.splice(0)) resolve();
  }

  close(): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    this.#channel.close();
    this.#onEnd();
    this.#wake();
  }

  /** The events after a place, as they come; ends with the run. */
  async *follow(
    from: Position,
    classes: Classes,
    signal: AbortSignal,
  ): AsyncGenerator<readonly RunEvent[]> {
    let position = from;
    let next = this.#base;
    // What was only shown was for those who were there.
    const came = this.#base + this.#pieces.length;
    while (!signal.aborted) {
      if (next < this.#base) throw slowConsumer(this.#merger.runId, position);
      const piece = this.#pieces[next - this.#base];
      if (piece !== undefined) {
        next += 1;
        if (piece.from === piece.to && next <= came) continue;
        const events = eventsAfter(piece, position, classes);
        position = furthest(position, piece.to);
        if (events.length > 0) yield events;
      } else if (this.#error !== undefined) throw this.#error;
      else if (this.#ended || this.#over.signal.aborted) return;
      else await this.#changed(signal);
    }
  }

  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.#waiters.push(done);
      signal.addEventListener("abort", done, { once: true });
    });
  }
}

/** Notes stand between a delta and the entry that decides on it, at the place of the delta. */
function isBeyond(place: Position, other: Position): boolean {
  if (place.seq > other.seq || isBehind(other, place)) return true;
  return place.seq === other.seq && !isBehind(place, other) && place.notes > other.notes;
}

/** The position that is as far as either in the journal, and as far as either in the deltas. */
function furthest(one: Position, other: Position): Position {
  const seq = Math.max(one.seq, other.seq);
  const ahead = isBehind(one, other) ? other : one;
  if (ahead.seq < seq) return { ...ahead, seq, notes: 0 };
  const isSame = one.seq === other.seq && !isBehind(one, other) && !isBehind(other, one);
  return isSame ? { ...ahead, notes: Math.max(one.notes, other.notes) } : ahead;
}

/** What of a piece is new to a follower that has read ahead by itself. */
export function eventsAfter(
  { from, placed, events }: Piece,
  position: Position,
  classes: Classes,
): readonly RunEvent[] {
  if (!isBeyond(position, from)) return events[classes];
  const rest = placed.flatMap(({ event, after }) => {
    // Only shown. It must not lead back to where the shared reader is, behind this follower.
    if (after === from) return [{ ...event, cursor: makeCursor(position) }];
    // An entry can close fences that a watcher that connects later, for whom there was nothing under
    // them, has not heard of: only its number says whether it is new.
    const isNew = event.entry === undefined ? isBeyond(after, position) : after.seq > position.seq;
    return isNew ? [event] : [];
  });
  return ofClass(rest, classes);
}

function slowConsumer(runId: string, position: Position): PawlError {
  const cursor = makeCursor(position);
  return new PawlError(
    "SLOW_CONSUMER",
    `This watcher of run "${runId}" fell behind by more than ${BOUNDS.watcherBufferedEvents} events ` +
      "or their bytes. Continue from the last cursor.",
    { metadata: { run_id: runId, cursor }, retryAfterMs: 100 },
  );
}

/** The feeds of a server. */
export class Feeds {
  readonly #parts: FeedsParts;
  readonly #feeds = new Map<string, Feed>();

  constructor(parts: FeedsParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#feeds.size;
  }

  /**
   * Follows a run from where the merger is, which must have been its end a moment ago. The merger is
   * the feed's from now on, if there was no feed.
   */
  async *follow(
    caller: Caller,
    merger: Merger,
    classes: Classes,
    signal: AbortSignal,
  ): AsyncGenerator<readonly RunEvent[]> {
    const key = runKey(caller.org, merger.runId);
    const { position } = merger;
    const known = this.#feeds.get(key);
    const feed = known?.covers(position) === true ? known : this.#open(caller, key, merger);
    feed.followers += 1;
    try {
      yield* feed.follow(position, classes, signal);
    } finally {
      feed.followers -= 1;
      if (feed.followers === 0) feed.close();
    }
  }

  #open(caller: Caller, key: string, merger: Merger): Feed {
    const feed: Feed = new Feed(this.#parts, caller, merger, () => {
      if (this.#feeds.get(key) === feed) this.#feeds.delete(key);
    });
    this.#feeds.set(key, feed);
    return feed;
  }
}
