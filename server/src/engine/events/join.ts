/**
 * How a watcher begins: where its cursor says, now, or as a late comer. A late comer gets the
 * checkpoints, with the deltas that are kept for good in their places, then what is open by now,
 * each stream merged, and from there on everything.
 */
import type { Caller } from "../../model/caller.ts";
import type { DeltaHead } from "../../store/deltas.ts";
import type { RunEvent } from "../api.ts";
import type { Core } from "../core.ts";
import { WHOLE_PAGE, withPayloads } from "../journal.ts";
import { readHeader } from "../runs.ts";
import { compact } from "./compact.ts";
import { checkpointEvent, closedPlace, deltaEvent, Merger, type PlacedDelta } from "./merge.ts";
import { OpenStreams, openAt } from "./open-streams.ts";
import { isBehind, makeCursor, type Position } from "./position.ts";
import { readChunks } from "./read.ts";

/** A merger at a place in the stream that was left there. */
export async function resumeAt(
  core: Core,
  caller: Caller,
  runId: string,
  position: Position,
): Promise<Merger> {
  const chunks = await core.store.deltaHeads(caller, runId);
  if (chunks.length === 0) return new Merger(runId, position, new OpenStreams());
  const entries = await headsOf(core, caller, runId);
  return new Merger(runId, position, openAt(position, entries, chunks));
}

async function headsOf(core: Core, caller: Caller, runId: string) {
  const [run] = await core.store.loadRuns([{ org: caller.org, runId, afterSeq: 0 }]);
  return run?.entries ?? [];
}

/** The place after all that is there now, with what is open there. */
export async function endOf(
  core: Core,
  caller: Caller,
  runId: string,
): Promise<{ end: Position; open: OpenStreams; chunks: readonly DeltaHead[] }> {
  // First the journal's end: what belongs before it is there by then.
  const { seq } = await readHeader(core, caller, runId);
  const all = await core.store.deltaHeads(caller, runId);
  const chunks = all.filter((chunk) => chunk.afterSeq <= seq);
  const last = chunks.at(-1);
  const place = { fence: last?.fence ?? 0, number: last?.last ?? 0 };
  const entries = chunks.length === 0 ? [] : await headsOf(core, caller, runId);
  const open = openAt({ seq, ...place }, entries, chunks);
  return { end: { seq, ...closedPlace(place, open), notes: 0, mode: "live" }, open, chunks };
}

async function placeOf(core: Core, caller: Caller, runId: string, from: Position) {
  if (from.mode !== "compacting") return endOf(core, caller, runId);
  const chunks = await core.store.deltaHeads(caller, runId);
  const open = openAt(from, await headsOf(core, caller, runId), chunks);
  const end: Position = { ...from, notes: 0, mode: "live" };
  return { end, open, chunks };
}

/**
 * The events that bring a late comer up to now, in batches; answers the merger that goes on from
 * there. `from`: where it was before, if it is not its first time.
 */
export async function* joinRun(
  core: Core,
  caller: Caller,
  runId: string,
  from: Position,
): AsyncGenerator<readonly RunEvent[], Merger> {
  const { end, open, chunks } = await placeOf(core, caller, runId, from);
  const durable = chunks.some((chunk) => chunk.keep);
  const merged = await mergedDeltas(core, caller, runId, end, open, chunks);
  const merger = new Merger(runId, end, open);
  if (from.mode !== "compacting") {
    // Nothing but entries may be left: then the last of them is where all goes on.
    const rest = merged.length === 0 ? end : undefined;
    yield* history(core, caller, runId, { from, end, durable, rest });
  }
  if (merged.length === 0) return merger;
  const seen = from.mode === "compacting" ? from.notes : 0;
  yield merged.slice(seen).map((delta, index) => {
    const nth = seen + index + 1;
    const after: Position =
      nth === merged.length ? end : { ...end, notes: nth, mode: "compacting" };
    return { cursor: makeCursor(after), ...deltaEvent(runId, delta), merged: delta.merged };
  });
  return merger;
}

interface Stretch {
  readonly from: Position;
  readonly end: Position;
  readonly durable: boolean;
  /** The place after the last entry, where nothing else follows. */
  readonly rest: Position | undefined;
}

/** Entries up to the end, with the deltas between them that are kept for good. */
async function* history(
  core: Core,
  caller: Caller,
  runId: string,
  { from, end, durable, rest }: Stretch,
): AsyncGenerator<readonly RunEvent[]> {
  let position: Position = { ...from, notes: 0, mode: "joining" };
  let deltas: PlacedDelta[] = [];
  let read = { fence: from.fence, number: from.number, more: durable };
  const fill = async (): Promise<void> => {
    while (deltas.length === 0 && read.more) {
      const page = await readChunks(core, caller, runId, read);
      const last = page.deltas.at(-1);
      read = { fence: last?.fence ?? 0, number: last?.number ?? 0, more: page.more };
      deltas = page.deltas.filter(
        (delta) => delta.event.policy === "durable" && !isBehind(end, delta),
      );
    }
  };
  while (position.seq < end.seq) {
    const page = await core.store.readJournal(caller, runId, position.seq, WHOLE_PAGE);
    if (page.entries.length === 0) break;
    const events: RunEvent[] = [];
    const between = async (seq: number): Promise<void> => {
      for (await fill(); deltas[0] !== undefined && deltas[0].afterSeq < seq; await fill()) {
        const delta = deltas.shift();
        if (delta === undefined) return;
        position = { ...position, fence: delta.fence, number: delta.number };
        events.push({ cursor: makeCursor(position), ...deltaEvent(runId, delta) });
      }
    };
    for (const entry of await withPayloads(core.store, caller, runId, page.entries)) {
      if (entry.seq > end.seq) break;
      await between(entry.seq);
      position = { ...position, seq: entry.seq };
      const isLast = entry.seq === end.seq && deltas.length === 0 && !read.more;
      const after = isLast && rest !== undefined ? rest : position;
      events.push({ cursor: makeCursor(after), ...checkpointEvent(runId, entry) });
    }
    if (position.seq >= end.seq) await between(end.seq + 1);
    if (events.length > 0) yield events;
  }
}

/** The deltas up to a place whose fate is open there, each stream merged. */
async function mergedDeltas(
  core: Core,
  caller: Caller,
  runId: string,
  end: Position,
  open: OpenStreams,
  chunks: readonly DeltaHead[],
): Promise<ReturnType<typeof compact>> {
  if (chunks.length === 0) return [];
  const found: PlacedDelta[] = [];
  let read = { fence: 0, number: 0, more: true };
  while (read.more) {
    const page = await readChunks(core, caller, runId, read);
    const last = page.deltas.at(-1);
    if (last === undefined) break;
    read = { fence: last.fence, number: last.number, more: page.more && !isBehind(end, last) };
    for (const delta of page.deltas) {
      // Chunks that were sent again may overlap.
      const before = found.at(-1);
      if (before !== undefined && !isBehind(before, delta)) continue;
      if (isBehind(end, delta) || delta.event.policy !== "buffered") continue;
      const { key, attempt } = delta.event;
      const isOpen = key === "" ? true : open.isOf(key, attempt, delta.fence);
      if (isOpen) found.push(delta);
    }
  }
  return compact(found);
}
