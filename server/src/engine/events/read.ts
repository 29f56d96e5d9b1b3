/** Reads a run's stream from the store. */

import { BOUNDS } from "../../model/bounds.ts";
import type { Caller } from "../../model/caller.ts";
import { unpackDeltas } from "../../model/delta.ts";
import { isTerminal } from "../../model/run.ts";
import type { DeltaChunk, DeltaPlace } from "../../store/deltas.ts";
import type { Store } from "../../store/store.ts";
import { withPayloads } from "../journal/journal-reads.ts";
import { readHeader } from "../runs/read-header.ts";
import type { Merger, Pages, PlacedDelta, PlacedEvent } from "./merge.ts";

export interface StreamPage {
  readonly events: readonly PlacedEvent[];
  /** There is more to be read at once. */
  readonly more: boolean;
  /** The run has ended, and this is its end. */
  readonly ended: boolean;
}

export interface PageSize {
  readonly entries: number;
  readonly bytes: number;
}

/** The pages of a reader of what happens now. */
export const READ_PAGE: PageSize = Object.freeze({
  entries: BOUNDS.journalPageEntries,
  bytes: BOUNDS.journalPageBytes,
});

/** What comes next after the merger's position. */
export async function readNext(
  store: Store,
  caller: Caller,
  merger: Merger,
  size: PageSize = READ_PAGE,
): Promise<StreamPage> {
  const { runId, position } = merger;
  // First the journal: what was put before an entry is there when the entry is.
  const page = await store.readJournal(caller, runId, position.seq, size);
  const [entries, chunks] = await Promise.all([
    withPayloads(store, caller, runId, page.entries),
    readChunks(store, caller, runId, position, size.bytes),
  ]);
  const pages: Pages = {
    entries,
    moreEntries: page.more,
    deltas: chunks.deltas,
    moreDeltas: chunks.more,
  };
  const events = merger.take(pages);
  const more = page.more || chunks.more;
  const last = entries.at(-1)?.type ?? "";
  const mayHaveEnded = !more && (isEnd(last) || (entries.length === 0 && position.seq > 0));
  const ended = mayHaveEnded && (await isEnded(store, caller, runId, merger.position.seq));
  return { events, more, ended };
}

export async function readChunks(
  store: Store,
  caller: Caller,
  runId: string,
  after: DeltaPlace,
  bytes: number = BOUNDS.journalPageBytes,
): Promise<{ deltas: PlacedDelta[]; more: boolean }> {
  const { chunks, more } = await store.readDeltas(caller, runId, after, {
    entries: BOUNDS.deltaPageChunks,
    bytes,
  });
  return { deltas: chunks.flatMap((chunk) => placed(chunk)), more };
}

function placed({ fence, first, afterSeq, at, data }: DeltaChunk): PlacedDelta[] {
  return unpackDeltas(data).map((event, index) => ({
    fence,
    number: first + index,
    afterSeq,
    at,
    event,
  }));
}

function isEnd(type: string): boolean {
  return type === "run.completed" || type === "run.failed" || type === "run.cancelled";
}

async function isEnded(store: Store, caller: Caller, runId: string, seq: number): Promise<boolean> {
  const header = await readHeader(store, caller, runId);
  return isTerminal(header.status) && header.seq <= seq;
}
