import { crc32 } from "node:zlib";
import type { Entry, EntryHead, EntryMeta, EntryType } from "../model/entry.ts";
import { ENTRY_TYPES } from "../model/entry.ts";
import type { Payload } from "../model/payload.ts";
import type { Row } from "./row.ts";
import { int, text } from "./row.ts";
import type { RunWrite } from "./runs.ts";
import { StoreError } from "./store-error.ts";

/** The columns of an entry as both stores write them, without org_id, run_id and the checksum. */
export interface EntryColumns {
  readonly seq: number;
  readonly at: number;
  readonly attempt: number;
  readonly type: string;
  readonly key: string;
  readonly meta: string;
  readonly encoding: string | null;
  readonly sha256: string | null;
  readonly size: number | null;
  readonly data: Uint8Array | null;
}

/** A write whose entries are in the form in which they are stored. */
export type ColumnWrite = Omit<RunWrite, "entries"> & { readonly entries: readonly EntryColumns[] };

export function toColumns(entry: Entry): EntryColumns {
  const { payload } = entry;
  return {
    seq: entry.seq,
    at: entry.at,
    attempt: entry.attempt,
    type: entry.type,
    key: entry.key,
    meta: JSON.stringify(entry.meta),
    encoding: payload === undefined ? null : payload.encoding,
    sha256: payload?.ref === undefined ? null : payload.ref.sha256,
    size: payload?.ref === undefined ? null : payload.ref.size,
    data: payload?.data === undefined ? null : payload.data,
  };
}

/** CRC-32 over all that replay acts on, the payload or its reference last. */
export function checksum(entry: Omit<EntryColumns, "at" | "seq">): number {
  const head = crc32(
    `${entry.type}\0${entry.key}\0${entry.attempt}\0${entry.meta}\0${entry.encoding ?? ""}\0${entry.sha256 ?? ""}`,
  );
  return entry.data === null ? head : crc32(entry.data, head);
}

const TYPES: ReadonlySet<string> = new Set(ENTRY_TYPES);

function isEntryType(value: string): value is EntryType {
  return TYPES.has(value);
}

export function toHead(runId: string, row: Row): EntryHead {
  const seq = int(row, "seq");
  const type = text(row, "type");
  if (!isEntryType(type)) throw corrupted(runId, seq, `unknown entry type "${type}"`);
  return {
    seq,
    at: int(row, "at"),
    type,
    key: text(row, "step_key"),
    attempt: int(row, "attempt"),
    meta: parseMeta(runId, seq, text(row, "meta")),
  };
}

/** A whole entry, its checksum verified. */
export function toEntry(runId: string, row: Row): Entry {
  const seq = int(row, "seq");
  const data = row.payload;
  const columns = {
    attempt: int(row, "attempt"),
    type: text(row, "type"),
    key: text(row, "step_key"),
    meta: text(row, "meta"),
    encoding: typeof row.encoding === "string" ? row.encoding : null,
    sha256: typeof row.payload_sha256 === "string" ? row.payload_sha256 : null,
    size: typeof row.payload_size === "number" ? row.payload_size : null,
    data: data instanceof Uint8Array ? data : null,
  };
  if (checksum(columns) !== int(row, "crc")) throw corrupted(runId, seq, "checksum mismatch");
  return { ...toHead(runId, row), payload: toPayload(columns) };
}

function toPayload(
  columns: Pick<EntryColumns, "encoding" | "sha256" | "size" | "data">,
): Payload | undefined {
  const { encoding, sha256, size, data } = columns;
  if (encoding === null) return undefined;
  if (sha256 !== null && size !== null) return { encoding, ref: { sha256, size } };
  return { encoding, data: data ?? new Uint8Array(0) };
}

function parseMeta(runId: string, seq: number, meta: string): EntryMeta {
  try {
    return JSON.parse(meta) as EntryMeta;
  } catch (cause) {
    throw corrupted(runId, seq, "its meta is not JSON", cause);
  }
}

export function isCorruption(error: unknown): boolean {
  return error instanceof StoreError && error.corrupted !== undefined;
}

function corrupted(runId: string, seq: number, what: string, cause?: unknown): StoreError {
  return new StoreError(
    `Data corrupted: entry ${seq} of run "${runId}" is not what was written (${what}). ` +
      "Restore the database from a backup, or delete the run.",
    cause === undefined ? {} : { cause },
    { runId, seq },
  );
}
