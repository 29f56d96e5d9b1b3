import { BOUNDS } from "../../model/bounds.ts";
import type { Tenant } from "../../model/caller.ts";
import type { Entry, EntryType } from "../../model/entry.ts";
import { notFound, PawlError } from "../../model/errors.ts";
import type { Payload } from "../../model/payload.ts";
import type { RunHeader } from "../../model/run.ts";
import type { Store } from "../../store/store.ts";
import { readHeader } from "../runs/read-header.ts";
import type { WorkItem } from "../workers/worker-types.ts";

/**
 * Gives entries that borrow another entry's payload (a consumed signal's) that payload, so that a
 * reader of the journal needs to know nothing of it.
 */
export async function withPayloads(
  store: Store,
  caller: Tenant,
  runId: string,
  entries: Entry[],
  runUid?: string,
): Promise<Entry[]> {
  const wanted = entries.filter(
    (entry) => entry.meta.payloadSeq !== undefined && entry.payload === undefined,
  );
  if (wanted.length === 0) return entries;
  const bySeq = new Map(entries.map((entry) => [entry.seq, entry.payload]));
  const missing = wanted
    .map((entry) => entry.meta.payloadSeq ?? 0)
    .filter((seq) => !bySeq.has(seq));
  const read = missing.length === 0 ? [] : await store.readEntries(caller, runId, missing, runUid);
  for (const entry of read) {
    if (entry !== undefined) bySeq.set(entry.seq, entry.payload);
  }
  return entries.map((entry) => {
    const borrowed = entry.meta.payloadSeq;
    if (borrowed === undefined || entry.payload !== undefined) return entry;
    return { ...entry, payload: bySeq.get(borrowed) };
  });
}

/** Which run: its id may be another one's by the time that it is read. */
export interface RunIdentity {
  readonly runId: string;
  readonly runUid: string;
}

/**
 * One entry with its payload. Rejects with NOT_FOUND where the run was deleted meanwhile, even if its id was used
 * again, and with DATA_CORRUPTED where its journal does not have the entry.
 */
export async function readEntry(
  store: Store,
  caller: Tenant,
  { runId, runUid }: RunIdentity,
  seq: number,
): Promise<Entry> {
  const [entry] = await store.readEntries(caller, runId, [seq], runUid);
  if (entry === undefined) {
    const header = await readHeader(store, caller, runId);
    if (header.runUid !== runUid) throw notFound("run", runId);
    throw new PawlError(
      "DATA_CORRUPTED",
      `Entry ${seq} of run "${runId}" is missing from its journal.`,
      {
        metadata: { run_id: runId, seq: String(seq) },
      },
    );
  }
  const [whole] = await withPayloads(store, caller, runId, [entry], runUid);
  return whole ?? entry;
}

const NO_INPUT: Payload = { encoding: "void", data: new Uint8Array(0) };

/** The input of a run: of its start, or of the last that was joined with it before it started. */
export function inputOf(journal: readonly Entry[]): Payload | undefined {
  const replaced = journal.findLast((entry) => entry.type === "run.input.replaced");
  return (replaced ?? journal[0])?.payload;
}

/** Its tags when it was started, which code may go by: those of now differ from one replay to the next. */
export function startTags({ header, journal }: WorkItem): Readonly<Record<string, string>> {
  const tags = journal[0]?.meta.details?.tags;
  if (tags !== undefined) return JSON.parse(tags) as Record<string, string>;
  // A version that did not record them may have started it.
  return journal.some(({ type }) => type === "run.tags.changed") ? {} : header.tags;
}

/** What a worker needs to execute a run that it was given. */
export async function workItem(
  store: Store,
  header: RunHeader,
  entries: Entry[],
): Promise<WorkItem> {
  const caller = { org: header.org };
  const journal = await withPayloads(store, caller, header.runId, entries);
  return {
    header,
    leaseUntil: header.lease?.until ?? 0,
    input: inputOf(journal) ?? NO_INPUT,
    journal,
    more: (journal.at(-1)?.seq ?? 0) < header.seq,
    careful: isCareful(header, journal),
  };
}

const ENDS: ReadonlySet<EntryType> = new Set([
  "workflow.step.completed",
  "workflow.step.retrying",
  "workflow.step.failed",
  "workflow.wait.resolved",
]);

/** Whether the run has lost a worker, and recorded no end of a step or wait since (see run-memory.ts). */
export function isCareful(header: RunHeader, journal: readonly Entry[]): boolean {
  if (header.attempt === 1) return false;
  if (header.crashes > 0) return true;
  const last = journal.findLast(({ type }) => type === "run.recovered" || ENDS.has(type));
  const isWhole = journal.at(-1)?.seq === header.seq;
  return isWhole && last?.type === "run.recovered";
}

/** Whether two payloads are the same value, as far as bytes tell. */
export function samePayload(
  a: Payload | undefined,
  b: Payload,
  digestOf: (data: Uint8Array) => string,
): boolean {
  if (a === undefined || a.encoding !== b.encoding) return false;
  if (a.data !== undefined && b.data !== undefined) return Buffer.compare(a.data, b.data) === 0;
  const address = (payload: Payload): string =>
    payload.ref?.sha256 ?? digestOf(payload.data ?? new Uint8Array(0));
  return address(a) === address(b);
}

export const WHOLE_PAGE = Object.freeze({
  entries: BOUNDS.journalPageEntries,
  bytes: BOUNDS.journalPageBytes,
});
