/** A run's one stream: its journal, with what its steps send live in between. */
import type { Channel, Delta } from "../hub/hub.ts";
import type { Caller } from "../model/caller.ts";
import type { Entry } from "../model/entry.ts";
import { invalid, PawlError } from "../model/errors.ts";
import { LIMITS } from "../model/limits.ts";
import { isTerminal } from "../model/run.ts";
import type { NewEvent, RunEvent, WatchRun } from "./api.ts";
import type { Core } from "./core.ts";
import { withPayloads } from "./journal.ts";
import { runKey } from "./run-cache.ts";
import { readHeader } from "./runs.ts";

/** A place in the stream: after journal entry `seq`, and after delta `index` of the channel `epoch`. */
interface Position {
  seq: number;
  epoch: string;
  index: number;
}

function makeCursor(position: Position): string {
  return Buffer.from(`${position.seq}.${position.index}.${position.epoch}`).toString("base64url");
}

function parseCursor(cursor: string): Position {
  if (cursor === "") return { seq: 0, epoch: "", index: 0 };
  const match = /^(\d+)\.(\d+)\.([0-9a-f]*)$/.exec(
    Buffer.from(cursor, "base64url").toString("utf8"),
  );
  if (match === null) throw invalid("after_cursor", "is not one that this server gave out");
  return { seq: Number(match[1]), index: Number(match[2]), epoch: match[3] ?? "" };
}

export function publishEvents(
  core: Core,
  caller: Caller,
  runId: string,
  fence: number,
  events: readonly NewEvent[],
): number {
  const key = runKey(caller.org, runId);
  const state = core.writer.cached(key);
  // Only for runs that this server knows to be held under this fence: deltas never wait for a read.
  if (state === undefined || state.header.fence !== fence || state.header.lease === null) return 0;
  const sized = events.map((event) => ({
    event,
    bytes: 200 + (event.payload?.data?.byteLength ?? 0),
  }));
  core.hub.publish(key, state.header.seq, core.clock.now(), sized);
  return events.length;
}

export async function* watchRun(
  core: Core,
  caller: Caller,
  watch: WatchRun,
  signal: AbortSignal,
): AsyncGenerator<readonly RunEvent[]> {
  if (core.hub.watchers >= LIMITS.watchersPerReplica) {
    throw new PawlError(
      "RATE_LIMITED",
      `This server has ${LIMITS.watchersPerReplica} watchers, which is its limit.`,
      { retryAfterMs: 1_000 },
    );
  }
  const position = parseCursor(watch.afterCursor);
  const channel = core.hub.watch(runKey(caller.org, watch.runId));
  try {
    if (!(await started(core, caller, watch, channel, signal))) return;
    if (watch.fromNow) {
      position.seq = (await readHeader(core, caller, watch.runId)).seq;
      position.epoch = channel.epoch;
      position.index = channel.deltas.at(-1)?.index ?? channel.dropped;
    }
    while (!signal.aborted) {
      const { version } = channel;
      const page = await core.store.readJournal(caller, watch.runId, position.seq, {
        entries: LIMITS.journalPageEntries,
        bytes: LIMITS.journalPageBytes,
      });
      const entries = await withPayloads(core.store, caller, watch.runId, page.entries);
      const events = merge(watch, position, channel, entries, page.more);
      if (events.length > 0) yield events;
      if (page.more) continue;
      const mayHaveEnded = endsWith(entries) || (entries.length === 0 && position.seq > 0);
      if (mayHaveEnded && (await ended(core, caller, watch.runId, position.seq))) return;
      // Between this comparison and the wait nothing can happen.
      if (channel.version === version) await channel.changed(signal);
    }
  } finally {
    channel.close();
  }
}

/** Whether the run exists; with `waitForStart`, once it does. */
async function started(
  core: Core,
  caller: Caller,
  watch: WatchRun,
  channel: Channel<NewEvent>,
  signal: AbortSignal,
): Promise<boolean> {
  while (!signal.aborted) {
    const { version } = channel;
    try {
      await readHeader(core, caller, watch.runId);
      return true;
    } catch (error) {
      const missing = error instanceof PawlError && error.reason === "NOT_FOUND";
      if (!missing || !watch.waitForStart) throw error;
    }
    if (channel.version === version)
      await channel.changed(AbortSignal.any([signal, AbortSignal.timeout(START_POLL_MS)]));
  }
  return false;
}

const START_POLL_MS = 1_000;

/** Entries and deltas in order: a delta comes after the entry that it was published after. */
function merge(
  watch: WatchRun,
  position: Position,
  channel: Channel<NewEvent>,
  entries: readonly Entry[],
  more: boolean,
): RunEvent[] {
  const events: RunEvent[] = [];
  if (position.epoch !== channel.epoch) {
    position.epoch = channel.epoch;
    position.index = 0;
  }
  const deltas = channel.deltas.filter((delta) => delta.index > position.index);
  if (watch.deltas && position.index > 0 && channel.dropped > position.index) {
    events.push(gap(watch.runId, position, channel));
  }
  let next = 0;
  const upTo = (seq: number): void => {
    for (
      let delta = deltas[next];
      delta !== undefined && delta.afterSeq < seq;
      delta = deltas[next]
    ) {
      next += 1;
      position.index = delta.index;
      if (watch.deltas) events.push(deltaEvent(watch.runId, position, delta));
    }
  };
  for (const entry of entries) {
    upTo(entry.seq);
    position.seq = entry.seq;
    if (watch.checkpoints) events.push(checkpoint(watch.runId, position, entry));
  }
  if (!more) upTo(position.seq + 1);
  return events;
}

function gap(runId: string, position: Position, channel: Channel<NewEvent>): RunEvent {
  const lost = channel.dropped - position.index;
  position.index = channel.dropped;
  return {
    cursor: makeCursor(position),
    runId,
    eventId: `${runId}/gap/${position.epoch}.${position.index}`,
    type: "gap",
    class: "delta",
    serverAt: 0,
    delta: {
      type: "gap",
      key: "",
      attempt: 0,
      contentIndex: 0,
      sequence: 0,
      sourceAt: 0,
      parentEventId: "",
      payload: { encoding: "json", data: Buffer.from(JSON.stringify({ lost })) },
    },
  };
}

function checkpoint(runId: string, position: Position, entry: Entry): RunEvent {
  return {
    cursor: makeCursor(position),
    runId,
    eventId: `${runId}/${entry.seq}`,
    type: entry.type,
    class: "checkpoint",
    serverAt: entry.at,
    entry,
  };
}

function deltaEvent(runId: string, position: Position, delta: Delta<NewEvent>): RunEvent {
  return {
    cursor: makeCursor(position),
    runId,
    eventId: `${runId}/${position.epoch}.${delta.index}`,
    type: delta.event.type,
    class: "delta",
    serverAt: delta.at,
    delta: delta.event,
  };
}

function endsWith(entries: readonly Entry[]): boolean {
  const type = entries.at(-1)?.type;
  return type === "run.completed" || type === "run.failed" || type === "run.cancelled";
}

async function ended(core: Core, caller: Caller, runId: string, seq: number): Promise<boolean> {
  const header = await readHeader(core, caller, runId);
  return isTerminal(header.state) && header.seq <= seq;
}

export async function listEvents(
  core: Core,
  caller: Caller,
  runId: string,
  afterCursor: string,
  pageSize: number,
): Promise<{ events: RunEvent[]; nextCursor: string }> {
  const position = parseCursor(afterCursor);
  const page = await core.store.readJournal(caller, runId, position.seq, {
    entries: pageSize,
    bytes: LIMITS.journalPageBytes,
  });
  const header = await readHeader(core, caller, runId);
  const entries = await withPayloads(core.store, caller, runId, page.entries);
  const events = entries.map((entry) => {
    position.seq = entry.seq;
    position.epoch = "";
    position.index = 0;
    return checkpoint(runId, position, entry);
  });
  const last = !page.more && isTerminal(header.state);
  return { events, nextCursor: last ? "" : makeCursor(position) };
}
