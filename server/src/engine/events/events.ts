import type { Hub } from "../../hub/hub.ts";
import type { Clock } from "../../lib/clock.ts";
import { BOUNDS } from "../../model/bounds.ts";
import type { Caller } from "../../model/caller.ts";
import { PawlError } from "../../model/errors.ts";
import { runKey } from "../../model/ids.ts";
import type { RunHeader } from "../../model/run.ts";
import type { Store } from "../../store/store.ts";
import { readHeader } from "../runs/read-header.ts";
import type { Connections } from "../workers/connections.ts";
import type { Writer } from "../writer.ts";
import type { StreamOpener } from "./branch.ts";
import type {
  ListEvents,
  NewEvent,
  PublishEvents,
  Published,
  RunEvent,
  RunsEvents,
  WatchRun,
  WatchRuns,
} from "./event-types.ts";
import { type Classes, type Feeds, ofClass } from "./feed.ts";
import type { Intake } from "./intake.ts";
import { endOf, joinRun, resumeAt } from "./join.ts";
import type { Merger } from "./merge.ts";
import { makeCursor, parseCursor, placeWithin, START } from "./position.ts";
import { READ_PAGE, readNext } from "./read.ts";
import { bytesOfEvent } from "./size.ts";
import { parseTreeCursor } from "./tree-cursor.ts";
import { watchRuns } from "./watch-runs.ts";
import { treeCursorNow, watchTree } from "./watch-tree.ts";

export interface EventsParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly hub: Hub<NewEvent>;
  readonly writer: Writer;
  readonly connections: Connections;
  readonly intake: Intake;
  readonly feeds: Feeds;
}

/** Use cases on a run's one stream: its journal, with what its steps send live in between. */
export class Events {
  readonly #parts: EventsParts;
  /** Streams that are open. */
  #watching = 0;

  constructor(parts: EventsParts) {
    this.#parts = parts;
  }

  get watching(): number {
    return this.#watching;
  }

  publish(caller: Caller, { runId, fence, events, first }: PublishEvents): Promise<Published> {
    const key = runKey(caller.org, runId);
    const known = this.#parts.writer.cached(key)?.header;
    // A fence never goes back, so that even an old one says what is stale.
    if (known !== undefined && known.fence > fence)
      return Promise.resolve({ accepted: 0, acknowledged: 0 });
    const held = this.#parts.connections.holder(key)?.held.get(key);
    const isNew = held?.fence === fence && held.fresh;
    return this.#parts.intake.publish(caller.org, runId, fence, events, first, isNew);
  }

  async *watch(
    caller: Caller,
    watch: WatchRun,
    signal: AbortSignal,
  ): AsyncGenerator<readonly RunEvent[]> {
    const { includeChildren } = watch;
    const afterCursor = watch.fromNow ? await this.cursorNow(caller, watch) : watch.afterCursor;
    const run = { ...watch, afterCursor };
    const own = { ...run, afterCursor: parseTreeCursor(afterCursor).cursor };
    const stream = includeChildren
      ? this.#watchAll(caller, run, signal)
      : this.#watchFrom(caller, own, signal);
    yield* this.#counted(stream);
  }

  /** The place from which on a watcher sees all that is new from now on. */
  async cursorNow(caller: Caller, watch: WatchRun): Promise<string> {
    const { runId, includeChildren } = watch;
    try {
      if (includeChildren) return await treeCursorNow(this.#parts.store, caller, runId);
      return makeCursor((await endOf(this.#parts.store, caller, runId)).end);
    } catch (error) {
      const missing = error instanceof PawlError && error.reason === "NOT_FOUND";
      if (!missing || !watch.waitForStart) throw error;
      return makeCursor(START);
    }
  }

  async *watchRuns(
    caller: Caller,
    watch: WatchRuns,
    signal: AbortSignal,
  ): AsyncGenerator<RunsEvents> {
    yield* this.#counted(watchRuns(this.#parts, caller, watch, signal));
  }

  /**
   * A page of all that is there: checkpoints, and the deltas that are still kept. What is gone since it
   * had its time is no gap to a reader of the past.
   */
  async list(
    caller: Caller,
    list: ListEvents,
  ): Promise<{ events: RunEvent[]; nextCursor: string }> {
    const { runId, pageSize } = list;
    const { cursor } = parseTreeCursor(list.afterCursor);
    const given = cursor === "" ? START : parseCursor(cursor);
    const from = placeWithin(await readHeader(this.#parts.store, caller, runId), given);
    const { life, seq, fence, number, notes } = from;
    const place = { life, seq, fence, number, notes, mode: "live" } as const;
    const merger = await resumeAt(this.#parts.store, caller, runId, place);
    merger.keptSince = this.#parts.clock.now() - BOUNDS.deltaGraceMs;
    const classes = classesOf(list);
    const events: RunEvent[] = [];
    let bytes = 0;
    for (;;) {
      const batch = await readNext(this.#parts.store, caller, merger, {
        ...READ_PAGE,
        entries: pageSize,
      });
      for (const { event } of batch.events) {
        if (classes !== "all" && event.class !== classes) continue;
        bytes += bytesOfEvent(event);
        const isFull = events.length === pageSize || bytes > BOUNDS.journalPageBytes;
        if (isFull && events.length > 0) return { events, nextCursor: events.at(-1)?.cursor ?? "" };
        events.push(event);
      }
      if (batch.ended) return { events, nextCursor: "" };
      if (!batch.more) {
        return { events, nextCursor: makeCursor(merger.position) };
      }
    }
  }

  async *#watchAll(
    caller: Caller,
    watch: WatchRun,
    signal: AbortSignal,
  ): AsyncGenerator<readonly RunEvent[]> {
    const { waitForStart } = watch;
    const { runId } = watch;
    if ((await this.#started(caller, watch, signal)) === undefined) return;
    const open: StreamOpener = (id, afterCursor, until) => {
      // A child is known before it exists.
      const wait = id !== runId || waitForStart;
      const own = { ...ALL, runId: id, afterCursor, waitForStart: wait };
      return this.#watchFrom(caller, own, until);
    };
    yield* watchTree(this.#parts.store, caller, watch, classesOf(watch), open, signal);
  }

  async *#counted<T>(stream: AsyncIterable<T>): AsyncGenerator<T> {
    if (this.#watching >= BOUNDS.watchersPerReplica) {
      throw new PawlError(
        "RATE_LIMITED",
        `This server has ${BOUNDS.watchersPerReplica} watchers, which is its limit.`,
        { retryAfterMs: 1_000 },
      );
    }
    this.#watching += 1;
    try {
      yield* stream;
    } finally {
      this.#watching -= 1;
    }
  }

  async *#watchFrom(
    caller: Caller,
    watch: WatchRun,
    signal: AbortSignal,
  ): AsyncGenerator<readonly RunEvent[]> {
    const cursor = watch.afterCursor === "" ? START : parseCursor(watch.afterCursor);
    const header = await this.#started(caller, watch, signal);
    if (header === undefined) return;
    const from = placeWithin(header, cursor);
    const classes = classesOf(watch);
    const beginning = begin(this.#parts.store, caller, watch, from);
    let merger: Merger;
    for (;;) {
      const { value, done } = await beginning.next();
      if (done === true) {
        merger = value;
        break;
      }
      const events = ofClass(value, classes);
      if (events.length > 0) yield events;
    }
    // A reader with little time sees something soon; one that stays does not pay for many pages.
    let bytes = BOUNDS.deltaChunkBytes;
    for (let more = true; more && !signal.aborted; ) {
      const batch = await readNext(this.#parts.store, caller, merger, { ...READ_PAGE, bytes });
      bytes = Math.min(2 * bytes, READ_PAGE.bytes);
      const events = ofClass(
        batch.events.map(({ event }) => event),
        classes,
      );
      if (events.length > 0) yield events;
      if (batch.ended) return;
      more = batch.more;
    }
    if (signal.aborted) return;
    yield* this.#parts.feeds.follow(caller, merger, classes, signal);
  }

  /** The run, once it exists. */
  async #started(
    caller: Caller,
    watch: WatchRun,
    signal: AbortSignal,
  ): Promise<RunHeader | undefined> {
    const channel = this.#parts.hub.watch(runKey(caller.org, watch.runId));
    try {
      while (!signal.aborted) {
        const { version } = channel;
        try {
          return await readHeader(this.#parts.store, caller, watch.runId);
        } catch (error) {
          const missing = error instanceof PawlError && error.reason === "NOT_FOUND";
          if (!missing || !watch.waitForStart) throw error;
        }
        if (channel.version === version)
          await channel.changed(AbortSignal.any([signal, AbortSignal.timeout(START_POLL_MS)]));
      }
      return undefined;
    } finally {
      channel.close();
    }
  }
}

const ALL = { checkpoints: true, deltas: true, fromNow: false, includeChildren: false };

async function* begin(
  store: Store,
  caller: Caller,
  watch: WatchRun,
  from: ReturnType<typeof parseCursor>,
): AsyncGenerator<readonly RunEvent[], Merger> {
  const { runId } = watch;
  if (watch.afterCursor !== "" && from.mode === "live") return resumeAt(store, caller, runId, from);
  return yield* joinRun(store, caller, runId, from);
}

function classesOf({ checkpoints, deltas }: Pick<WatchRun, "checkpoints" | "deltas">): Classes {
  if (checkpoints && deltas) return "all";
  return checkpoints ? "checkpoint" : "delta";
}

const START_POLL_MS = 1_000;
