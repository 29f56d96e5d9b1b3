/**
 * How a watcher starts: where its cursor says, now, or late. A late watcher gets the
 * checkpoints and, in their places, the deltas that are kept for good or open by now, texts joined
 * (`compact.ts`), and from there on everything.
 */
import type { Caller } from "../../model/caller.ts";
import { unpackSteps } from "../../model/delta.ts";
import type { Entry } from "../../model/entry.ts";
import type { DeltaHead } from "../../store/deltas.ts";
import type { Store } from "../../store/store.ts";
import { WHOLE_PAGE, withPayloads } from "../journal/journal-reads.ts";
import { readHeader } from "../runs/read-header.ts";
import { type Compacted, Compactor } from "./compact.ts";
import type { RunEvent } from "./event-types.ts";
import { checkpointEvent, closedPlace, deltaEvent, Merger, type PlacedDelta } from "./merge.ts";
import { OpenStreams, openAt } from "./open-streams.ts";
import { isBehind, lifeOf, makeCursor, type Position, placeIn } from "./position.ts";
import { readChunks } from "./read.ts";
import { bytesOfEvent } from "./size.ts";

/** Events that are given out together. */
const BATCH_EVENTS = 500;
const BATCH_BYTES = 256 * 1024;

/** A merger at a place in the stream that was left there. */
export async function resumeAt(
  store: Store,
  caller: Caller,
  runId: string,
  position: Position,
): Promise<Merger> {
  const chunks = await store.deltaHeads(caller, runId);
  if (chunks.length === 0) return new Merger(runId, position, new OpenStreams());
  const entries = await headsOf(store, caller, runId);
  return new Merger(runId, position, openAt(position, entries, chunks));
}

async function headsOf(store: Store, caller: Caller, runId: string) {
  const [run] = await store.loadRuns([{ org: caller.org, runId, afterSeq: 0 }]);
  return run?.entries ?? [];
}

/** The place after all that is there now, with what is open there. */
export async function endOf(
  store: Store,
  caller: Caller,
  runId: string,
): Promise<{ end: Position; open: OpenStreams; chunks: readonly DeltaHead[] }> {
  // First the journal's end: what belongs before it is there by then.
  const header = await readHeader(store, caller, runId);
  const { seq } = header;
  const life = lifeOf(header);
  const all = await store.deltaHeads(caller, runId);
  const chunks = all.filter((chunk) => chunk.afterSeq <= seq);
  const last = chunks.at(-1);
  const place = { fence: last?.fence ?? 0, number: last?.last ?? 0 };
  const entries = chunks.length === 0 ? [] : await headsOf(store, caller, runId);
  const open = openAt({ seq, ...place }, entries, chunks);
  const end: Position = { life, seq, ...closedPlace(place, open), notes: 0, mode: "live" };
  return { end, open, chunks };
}

/** The end of what a late watcher gets: what there is now, or where it was when it came for the first time. */
async function joinTo(store: Store, caller: Caller, runId: string, { life, end }: Position) {
  if (end === undefined) return endOf(store, caller, runId);
  const chunks = await store.deltaHeads(caller, runId);
  const entries = chunks.length === 0 ? [] : await headsOf(store, caller, runId);
  const place: Position = { ...end, life, notes: 0, mode: "live" };
  return { end: place, open: openAt(place, entries, chunks), chunks };
}

/**
 * The events that bring a late watcher up to now, in batches; returns the merger that continues from
 * there. `from`: where it was before, if it is not its first time.
 */
export async function* joinRun(
  store: Store,
  caller: Caller,
  runId: string,
  from: Position,
): AsyncGenerator<readonly RunEvent[], Merger> {
  const { end, open, chunks } = await joinTo(store, caller, runId, from);
  let batch: RunEvent[] = [];
  let bytes = 0;
  let { seq, fence, number } = from;
  let last: Omit<RunEvent, "cursor"> | undefined;
  const place = (): string =>
    makeCursor({
      life: end.life,
      seq,
      fence,
      number,
      notes: 0,
      mode: "joining",
      end: placeIn(end),
    });
  for await (const items of history(store, caller, runId, { from, end, open, chunks })) {
    for (const { entry, delta } of items) {
      if (delta !== undefined && !isBehind(from, { fence: delta.fence, number: delta.first }))
        continue;
      // The last event of all leads to the end.
      if (last !== undefined) {
        const event = { cursor: place(), ...last };
        bytes += bytesOfEvent(event);
        batch.push(event);
      }
      if (entry !== undefined) {
        seq = entry.seq;
        last = checkpointEvent(runId, entry);
      } else {
        ({ fence, first: number } = delta);
        last = { ...deltaEvent(runId, delta), merged: delta.merged };
      }
      if (batch.length < BATCH_EVENTS && bytes < BATCH_BYTES) continue;
      yield batch;
      batch = [];
      bytes = 0;
    }
  }
  if (last !== undefined) batch.push({ cursor: makeCursor(end), ...last });
  if (batch.length > 0) yield batch;
  return new Merger(runId, end, open);
}

interface Stretch {
  readonly from: Position;
  readonly end: Position;
  readonly open: OpenStreams;
  readonly chunks: readonly DeltaHead[];
}

/** Entries up to the end, and in between the deltas that are kept for good or still open there. */
async function* history(
  store: Store,
  caller: Caller,
  runId: string,
  { from, end, open, chunks }: Stretch,
): AsyncGenerator<Compacted<Entry>[]> {
  const compactor = new Compactor<Entry>();
  const deltas = lateDeltas(store, caller, runId, { from, end, open, chunks });
  let next = await deltas.next();
  const before = async function* (seq: number): AsyncGenerator<Compacted<Entry>[]> {
    for (; next.done !== true && next.value.afterSeq < seq; next = await deltas.next()) {
      compactor.delta(next.value);
      if (compactor.ready >= BATCH_EVENTS) yield isNew(compactor.take(), from);
    }
  };
  // What lies before the place is not given out again, but decides what is joined.
  const passed = chunks.length === 0 ? from.seq : 0;
  for (let position = passed; position < end.seq; ) {
    const page = await store.readJournal(caller, runId, position, WHOLE_PAGE);
    const final = page.entries.at(-1);
    if (final === undefined) break;
    for (const entry of await withPayloads(store, caller, runId, page.entries)) {
      if (entry.seq > end.seq) break;
      yield* before(entry.seq);
      compactor.entry(entry);
    }
    position = final.seq;
    yield isNew(compactor.take(), from);
  }
  yield* before(end.seq + 1);
  yield isNew(compactor.end(), from);
}

function isNew(items: Compacted<Entry>[], { seq }: Position): Compacted<Entry>[] {
  return items.filter(({ entry }) => entry === undefined || entry.seq > seq);
}

/** The deltas up to the end that are kept for good, or whose fate is open there. */
async function* lateDeltas(
  store: Store,
  caller: Caller,
  runId: string,
  { end, open, chunks }: Stretch,
): AsyncGenerator<PlacedDelta> {
  const wanted = (key: string, attempt: number, fence: number): boolean =>
    key === "" || open.isOf(key, attempt, fence);
  const first = chunks.find(
    ({ keep, steps, fence }) =>
      keep || unpackSteps(steps).some(([key, attempt]) => wanted(key, attempt, fence)),
  );
  if (first === undefined) return;
  const said = new OpenStreams();
  let read = { fence: first.fence, number: first.first - 1 };
  for (let more = true; more; ) {
    const page = await readChunks(store, caller, runId, read);
    more = page.more;
    for (const delta of page.deltas) {
      // Chunks that were sent again may overlap.
      if (!isBehind(read, delta)) continue;
      if (isBehind(end, delta)) return;
      read = { fence: delta.fence, number: delta.number };
      const { key, attempt, policy, sequence } = delta.event;
      if (key === "" && said.isRepeat(delta.fence, sequence)) continue;
      said.note(key, key === "" ? sequence : attempt, delta.fence);
      if (policy === "durable" || (policy === "buffered" && wanted(key, attempt, delta.fence)))
        yield delta;
    }
  }
}
