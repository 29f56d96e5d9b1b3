/** Puts a recorded run into an empty store, ready to be executed as far as its record goes. */
import type { JournalEntry } from "@pawl/proto";
import { DEFAULT_ORG } from "../auth/authenticate.ts";
import { systemClock } from "../lib/clock.ts";
import { sha256 } from "../lib/ids.ts";
import { BOUNDS } from "../model/bounds.ts";
import type { Entry } from "../model/entry.ts";
import { PawlError } from "../model/errors.ts";
import type { PayloadBlob } from "../model/payload.ts";
import { laneOf, NEW_RUN, type RunHeader } from "../model/run.ts";
import { entryIn, timeIn } from "../rpc/convert/entry-codec.ts";
import type { Store } from "../store/store.ts";
import { JournalFileError, type RecordedRun } from "./journal-file.ts";

/** The entries with which a run may end. They are what a replay has to come to again. */
const ENDS: readonly string[] = ["run.completed", "run.failed", "run.cancelled", "run.cancelling"];

export interface Seeded {
  readonly runId: string;
  readonly workflow: string;
  readonly queue: string;
  /** Entries that are replayed. */
  readonly length: number;
  /** How the record ends, if it does. */
  readonly end: JournalEntry | undefined;
}

/** @throws JournalFileError for entries that this version does not know */
export async function seed(store: Store, { run, entries }: RecordedRun): Promise<Seeded> {
  const { kept, end } = cut(entries);
  const blobs: PayloadBlob[] = [];
  const journal = kept.map((entry) => storedEntry(entry, blobs));
  const now = systemClock.now();
  const last = Math.max(run.fence, ...kept.map(({ fence }) => fence));
  const header: RunHeader = {
    // Its parent is not here, and must not be looked for.
    ...NEW_RUN,
    org: DEFAULT_ORG,
    runId: run.runId || "replayed",
    runUid: run.runUid,
    workflow: run.workflow,
    version: run.version,
    queue: run.queue || "default",
    fence: last + 1,
    seq: journal.length,
    attempt: run.attempt,
    createdAt: timeIn(run.createdAt) ?? now,
    startAt: now,
    startedAt: now,
    updatedAt: now,
    options: { sessionId: run.sessionId, userId: run.userId },
    tags: { ...run.tags },
  };
  const { org, runId, workflow, queue } = header;
  const refs = blobs.map(({ sha256: address, data }) => ({
    sha256: address,
    size: data.byteLength,
  }));
  const ready = { queue, lane: laneOf(header), rank: 4, readyAt: now };
  const write = {
    ...{ org, runId, expect: null, seq: journal.length, updatedAt: now, insert: header },
    ...{ entries: journal, changes: { payloads: { put: blobs, refs }, ready } },
  };
  await store.commit({ now, writes: [write], claims: [] });
  return { runId, workflow, queue, length: journal.length, end };
}

/** The record without the end that it may have: that is what the code has to come to again. */
function cut(entries: readonly JournalEntry[]): {
  kept: readonly JournalEntry[];
  end: JournalEntry | undefined;
} {
  let length = entries.length;
  let end: JournalEntry | undefined;
  while (length > 0 && ENDS.includes(entries[length - 1]?.type ?? "")) {
    length -= 1;
    end ??= entries[length];
  }
  return { kept: entries.slice(0, length), end };
}

/** The entry as the store keeps it: what is large stands by itself. */
function storedEntry(entry: JournalEntry, blobs: PayloadBlob[]): Entry {
  const read = readEntry(entry);
  const { payload } = read;
  if (payload?.data === undefined || payload.data.byteLength <= BOUNDS.inlinePayloadBytes)
    return read;
  const { encoding, data } = payload;
  const address = sha256(data);
  if (!blobs.some((blob) => blob.sha256 === address)) blobs.push({ sha256: address, data });
  return { ...read, payload: { encoding, ref: { sha256: address, size: data.byteLength } } };
}

function readEntry(entry: JournalEntry): Entry {
  try {
    return entryIn(entry);
  } catch (cause) {
    if (!(cause instanceof PawlError)) throw cause;
    throw new JournalFileError(`entry ${entry.seq} cannot be read: ${cause.message}`);
  }
}
