import type { Tenant } from "../../model/caller.ts";
import type { Entry, EntryHead } from "../../model/entry.ts";
import { isCorruption, toEntry, toHead } from "../entry.ts";
import type { JournalPage, LoadedRun, LoadRef, PageLimit } from "../runs.ts";
import type { Database } from "./database.ts";
import { getHeader } from "./runs.ts";

const HEAD_COLUMNS = "seq, at, attempt, type, step_key, meta";
const ENTRY_COLUMNS = `${HEAD_COLUMNS}, crc, encoding, payload_sha256, payload_size, payload`;

export const READ_HEADS = `SELECT ${HEAD_COLUMNS} FROM journal
WHERE org_id = ? AND run_id = ? AND seq > ? ORDER BY seq`;
export const READ_JOURNAL = `SELECT ${ENTRY_COLUMNS} FROM journal
WHERE org_id = ? AND run_id = ? AND seq > ? ORDER BY seq LIMIT ?`;
export const READ_ENTRY = `SELECT ${ENTRY_COLUMNS} FROM journal
WHERE org_id = ? AND run_id = ? AND seq = ?`;

export const IS_RUN = "SELECT 1 FROM run WHERE org_id = ? AND run_id = ? AND run_uid = ?";

/** What a row costs besides its texts and bytes, roughly. */
const ENTRY_OVERHEAD_BYTES = 64;

export function loadRuns(db: Database, refs: readonly LoadRef[]): (LoadedRun | undefined)[] {
  return refs.map(({ org, runId, afterSeq }) => {
    const header = getHeader(db, org, runId);
    if (header === undefined) return undefined;
    const entries: EntryHead[] = [];
    if (header.seq > afterSeq) {
      for (const row of db.prepare(READ_HEADS).iterate(org, runId, afterSeq)) {
        entries.push(toHead(runId, row));
      }
    }
    return { header, entries };
  });
}

export function readJournal(
  db: Database,
  { org }: Tenant,
  runId: string,
  after: number,
  limit: PageLimit,
): JournalPage {
  const entries: Entry[] = [];
  const more = readInto(entries, db, org, runId, after, limit);
  return { entries, more };
}

/** The first entries of a run, ending before one that is damaged. */
export function readFirst(db: Database, org: string, runId: string, limit: PageLimit): Entry[] {
  const entries: Entry[] = [];
  try {
    readInto(entries, db, org, runId, 0, limit);
  } catch (cause) {
    if (!isCorruption(cause)) throw cause;
  }
  return entries;
}

/** Returns whether there is more. */
function readInto(
  entries: Entry[],
  db: Database,
  org: string,
  runId: string,
  after: number,
  limit: PageLimit,
): boolean {
  let bytes = 0;
  for (const row of db.prepare(READ_JOURNAL).iterate(org, runId, after, limit.entries + 1)) {
    const entry = toEntry(runId, row);
    bytes += entryBytes(entry, row.meta);
    if (entries.length > 0 && (entries.length >= limit.entries || bytes > limit.bytes)) return true;
    entries.push(entry);
  }
  return false;
}

function entryBytes(entry: Entry, meta: unknown): number {
  const texts = entry.key.length + (typeof meta === "string" ? meta.length : 0);
  return ENTRY_OVERHEAD_BYTES + texts + (entry.payload?.data?.byteLength ?? 0);
}

export function readEntries(
  db: Database,
  { org }: Tenant,
  runId: string,
  seqs: readonly number[],
  runUid = "",
): (Entry | undefined)[] {
  if (runUid !== "" && db.prepare(IS_RUN).get(org, runId, runUid) === undefined)
    return seqs.map(() => undefined);
  return seqs.map((seq) => {
    const row = db.prepare(READ_ENTRY).get(org, runId, seq);
    return row === undefined ? undefined : toEntry(runId, row);
  });
}
