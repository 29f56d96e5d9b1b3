/** Reads a run's stream from the store. */
import type { Caller } from "../../model/caller.ts";
import { unpackDeltas } from "../../model/delta.ts";
import { LIMITS } from "../../model/limits.ts";
import { isTerminal } from "../../model/run.ts";
import type { DeltaChunk, DeltaPlace } from "../../store/deltas.ts";
import type { Core } from "../core.ts";
import { withPayloads } from "../journal.ts";
import { readHeader } from "../runs.ts";
import type { Merger, Pages, PlacedDelta, PlacedEvent } from "./merge.ts";

export interface Batch {
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

/** For a reader of what happens now. */
export const READ_PAGE: PageSize = Object.freeze({
  entries: LIMITS.journalPageEntries,
  bytes: LIMITS.journalPageBytes,
});

/** What comes next after the merger's position. */
export async function readNext(
  core: Core,
  caller: Caller,
  merger: Merger,
  size: PageSize = READ_PAGE,
): Promise<Batch> {
  const { runId, position } = merger;
  // First the journal: what was put before an entry is there when the entry is.
  const page = await core.store.readJournal(caller, runId, position.seq, size);
  const [entries, chunks] = await Promise.all([
    withPayloads(core.store, caller, runId, page.entries),
    readChunks(core, caller, runId, position, size.bytes),
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
  const ended = mayHaveEnded && (await isEnded(core, caller, runId, merger.position.seq));
  return { events, more, ended };
}

export async function readChunks(
  core: Core,
  caller: Caller,
  runId: string,
  after: DeltaPlace,
  bytes: number = LIMITS.journalPageBytes,
): Promise<{ deltas: PlacedDelta[]; more: boolean }> {
  const { chunks, more } = await core.store.readDeltas(caller, runId, after, {
    entries: LIMITS.deltaPageChunks,
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

async function isEnded(core: Core, caller: Caller, runId: string, seq: number): Promise<boolean> {
  const header = await readHeader(core, caller, runId);
  return isTerminal(header.state) && header.seq <= seq;
}
