/** Use cases on a run's one stream: its journal, with what its steps send live in between. */
import type { Caller } from "../model/caller.ts";
import { PawlError } from "../model/errors.ts";
import { LIMITS } from "../model/limits.ts";
import type { RunHeader } from "../model/run.ts";
import type {
  EngineApi,
  ListEvents,
  NewEvent,
  Published,
  RunEvent,
  RunsEvents,
  WatchRun,
  WatchRuns,
} from "./api.ts";
import type { Core } from "./core.ts";
import type { OpenStream } from "./events/branch.ts";
import { type Classes, ofClass } from "./events/feed.ts";
import { endOf, joinRun, resumeAt } from "./events/join.ts";
import type { Merger } from "./events/merge.ts";
import { makeCursor, parseCursor, placeWithin, START } from "./events/position.ts";
import { READ_PAGE, readNext } from "./events/read.ts";
import { bytesOfEvent } from "./events/size.ts";
import { parseTreeCursor } from "./events/tree-cursor.ts";
import { watchRuns } from "./events/watch-runs.ts";
import { treeCursorNow, watchTree } from "./events/watch-tree.ts";
import { runKey } from "./run-cache.ts";
import { readHeader } from "./runs.ts";

type EventsApi = Pick<
  EngineApi,
  "publishEvents" | "cursorNow" | "watchRun" | "watchRuns" | "listEvents"
>;

export function eventsApi(core: Core): EventsApi {
  return {
    publishEvents: (caller, runId, fence, events, first) =>
      publishEvents(core, caller, runId, fence, events, first),
    cursorNow: (caller, request) => cursorNow(core, caller, request),
    watchRun: (caller, request, signal) => watchRun(core, caller, request, signal),
    watchRuns: (caller, request, signal) => watchMany(core, caller, request, signal),
    listEvents: (caller, list) => listEvents(core, caller, list),
  };
}

function publishEvents(
  core: Core,
  caller: Caller,
  runId: string,
  fence: number,
  events: readonly (NewEvent | undefined)[],
  first: number,
): Promise<Published> {
  const key = runKey(caller.org, runId);
  const known = core.writer.cached(key)?.header;
  // A fence never goes back, so that even an old one says what is stale.
  if (known !== undefined && known.fence > fence)
    return Promise.resolve({ accepted: 0, acknowledged: 0 });
  const held = core.sessions.holder(key)?.held.get(key);
  const isNew = held?.fence === fence && held.fresh;
  return core.intake.publish(caller.org, runId, fence, events, first, isNew);
}

async function* watchRun(
  core: Core,
  caller: Caller,
  watch: WatchRun,
  signal: AbortSignal,
): AsyncGenerator<readonly RunEvent[]> {
  const { includeChildren } = watch;
  const afterCursor = watch.fromNow ? await cursorNow(core, caller, watch) : watch.afterCursor;
  const run = { ...watch, afterCursor };
  const own = { ...run, afterCursor: parseTreeCursor(afterCursor).cursor };
  const stream = includeChildren
    ? watchAll(core, caller, run, signal)
    : watchFrom(core, caller, own, signal);
  yield* counted(core, stream);
}

/** The place from which on a watcher sees all that is new from now on. */
async function cursorNow(core: Core, caller: Caller, watch: WatchRun): Promise<string> {
  const { runId, includeChildren } = watch;
  try {
    if (includeChildren) return await treeCursorNow(core, caller, runId);
    return makeCursor((await endOf(core, caller, runId)).end);
  } catch (error) {
    const missing = error instanceof PawlError && error.reason === "NOT_FOUND";
    if (!missing || !watch.waitForStart) throw error;
    return makeCursor(START);
  }
}

async function* watchAll(
  core: Core,
  caller: Caller,
  watch: WatchRun,
  signal: AbortSignal,
): AsyncGenerator<readonly RunEvent[]> {
  const { waitForStart } = watch;
  const { runId } = watch;
  if ((await started(core, caller, watch, signal)) === undefined) return;
  const open: OpenStream = (id, afterCursor, until) => {
    // A child is known before it exists.
    const wait = id !== runId || waitForStart;
    const own = { ...ALL, runId: id, afterCursor, waitForStart: wait };
    return watchFrom(core, caller, own, until);
  };
  yield* watchTree(core, caller, watch, classesOf(watch), open, signal);
}

const ALL = { checkpoints: true, deltas: true, fromNow: false, includeChildren: false };

async function* watchMany(
  core: Core,
  caller: Caller,
  watch: WatchRuns,
  signal: AbortSignal,
): AsyncGenerator<RunsEvents> {
  yield* counted(core, watchRuns(core, caller, watch, signal));
}

async function* counted<T>(core: Core, stream: AsyncIterable<T>): AsyncGenerator<T> {
  if (core.watchers.count >= LIMITS.watchersPerReplica) {
    throw new PawlError(
      "RATE_LIMITED",
      `This server has ${LIMITS.watchersPerReplica} watchers, which is its limit.`,
      { retryAfterMs: 1_000 },
    );
  }
  core.watchers.count += 1;
  try {
    yield* stream;
  } finally {
    core.watchers.count -= 1;
  }
}

async function* watchFrom(
  core: Core,
  caller: Caller,
  watch: WatchRun,
  signal: AbortSignal,
): AsyncGenerator<readonly RunEvent[]> {
  const cursor = watch.afterCursor === "" ? START : parseCursor(watch.afterCursor);
  const header = await started(core, caller, watch, signal);
  if (header === undefined) return;
  const from = placeWithin(header, cursor);
  const classes = classesOf(watch);
  const beginning = begin(core, caller, watch, from);
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
  let bytes = LIMITS.deltaChunkBytes;
  for (let more = true; more && !signal.aborted; ) {
    const batch = await readNext(core, caller, merger, { ...READ_PAGE, bytes });
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
  yield* core.feeds.follow(core, caller, merger, classes, signal);
}

async function* begin(
  core: Core,
  caller: Caller,
  watch: WatchRun,
  from: ReturnType<typeof parseCursor>,
): AsyncGenerator<readonly RunEvent[], Merger> {
  const { runId } = watch;
  if (watch.afterCursor !== "" && from.mode === "live") return resumeAt(core, caller, runId, from);
  return yield* joinRun(core, caller, runId, from);
}

function classesOf({ checkpoints, deltas }: Pick<WatchRun, "checkpoints" | "deltas">): Classes {
  if (checkpoints && deltas) return "all";
  return checkpoints ? "checkpoint" : "delta";
}

/** The run, once it exists. */
async function started(
  core: Core,
  caller: Caller,
  watch: WatchRun,
  signal: AbortSignal,
): Promise<RunHeader | undefined> {
  const channel = core.hub.watch(runKey(caller.org, watch.runId));
  try {
    while (!signal.aborted) {
      const { version } = channel;
      try {
        return await readHeader(core, caller, watch.runId);
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

const START_POLL_MS = 1_000;

/**
 * A page of all that is there: checkpoints, and the deltas that are still kept. What is gone since it
 * had its time is no gap to a reader of the past.
 */
async function listEvents(
  core: Core,
  caller: Caller,
  list: ListEvents,
): Promise<{ events: RunEvent[]; nextCursor: string }> {
  const { runId, pageSize } = list;
  const { cursor } = parseTreeCursor(list.afterCursor);
  const given = cursor === "" ? START : parseCursor(cursor);
  const from = placeWithin(await readHeader(core, caller, runId), given);
  const { life, seq, fence, number, notes } = from;
  const place = { life, seq, fence, number, notes, mode: "live" } as const;
  const merger = await resumeAt(core, caller, runId, place);
  merger.keptSince = core.clock.now() - LIMITS.deltaGraceMs;
  const classes = classesOf(list);
  const events: RunEvent[] = [];
  let bytes = 0;
  for (;;) {
    const batch = await readNext(core, caller, merger, { ...READ_PAGE, entries: pageSize });
    for (const { event } of batch.events) {
      if (classes !== "all" && event.class !== classes) continue;
      bytes += bytesOfEvent(event);
      const isFull = events.length === pageSize || bytes > LIMITS.journalPageBytes;
      if (isFull && events.length > 0) return { events, nextCursor: events.at(-1)?.cursor ?? "" };
      events.push(event);
    }
    if (batch.ended) return { events, nextCursor: "" };
    if (!batch.more) {
      return { events, nextCursor: makeCursor(merger.position) };
    }
  }
}
