import type { Tenant } from "../../model/caller.ts";
import type { Entry, EntryHead } from "../../model/entry.ts";
import { toEntry, toHead } from "../entry.ts";
import { headerSelect } from "../list-runs.ts";
import { int } from "../row.ts";
import { toHeader } from "../run-columns.ts";
import type { JournalPage, LoadedRun, LoadRef, PageLimit } from "../runs.ts";
import { comparableInt4, encodeArray } from "./arrays.ts";
import type { Connection } from "./connection.ts";
import { DIALECT } from "./runs.ts";

const HEAD_COLUMNS = "seq, at, attempt, type, step_key, meta";
const ENTRY_COLUMNS = `${HEAD_COLUMNS}, crc, encoding, payload_sha256, payload_size, payload`;
/** What a row costs besides its texts and bytes, roughly. */
const ENTRY_OVERHEAD_BYTES = 64;

/**
 * Whole entries in order, cut by number and by size, with `nth` from 1 and `available`, how many
 * there were before the cut by size. The sizes are known without reading the payloads.
 */
export function journalPage(
  org: string,
  runId: string,
  after: string,
  entries: string,
  bytes: string,
): string {
  return `SELECT ${ENTRY_COLUMNS}, nth, available FROM (
  SELECT ${ENTRY_COLUMNS}, row_number() OVER ordered AS nth, count(*) OVER () AS available,
    sum(bytes) OVER ordered AS total FROM (
      SELECT ${ENTRY_COLUMNS}, ${ENTRY_OVERHEAD_BYTES} + octet_length(step_key)
        + octet_length(meta) + coalesce(octet_length(payload), 0) AS bytes
      FROM pawl.journal AS j
      WHERE j.org_id = ${org} AND j.run_id = ${runId} AND j.seq > ${after}
      ORDER BY j.seq LIMIT ${entries}) AS first
  WINDOW ordered AS (ORDER BY seq)) AS numbered
WHERE nth = 1 OR total <= ${bytes}`;
}

export const READ_JOURNAL = `${journalPage("$1", "$2", "$3::int4", "$4::int4", "$5::int8")}
ORDER BY seq`;

export const LOAD_HEADERS = `SELECT ref.ord, run.*
FROM unnest($1::int4[], $2::text[], $3::text[]) AS ref(ord, org_id, run_id)
CROSS JOIN LATERAL (
  ${headerSelect(DIALECT, "pawl.run AS run")}
  WHERE run.org_id = ref.org_id AND run.run_id = ref.run_id) AS run`;

export const LOAD_HEADS = `SELECT ref.ord, j.*
FROM unnest($1::int4[], $2::text[], $3::text[], $4::int4[]) AS ref(ord, org_id, run_id, after)
CROSS JOIN LATERAL (
  SELECT ${HEAD_COLUMNS} FROM pawl.journal AS j
  WHERE j.org_id = ref.org_id AND j.run_id = ref.run_id AND j.seq > ref.after
  ORDER BY j.seq) AS j`;

export const READ_ENTRIES = `SELECT ref.ord, j.*
FROM unnest($1::int4[], $2::int4[]) AS ref(ord, seq)
CROSS JOIN LATERAL (
  SELECT ${ENTRY_COLUMNS} FROM pawl.journal AS j
  WHERE j.org_id = $3 AND j.run_id = $4 AND j.seq = ref.seq) AS j
WHERE $5 = '' OR EXISTS (
  SELECT 1 FROM pawl.run AS r WHERE r.org_id = $3 AND r.run_id = $4 AND r.run_uid = $5)`;

export async function loadRuns(
  db: Connection,
  refs: readonly LoadRef[],
): Promise<(LoadedRun | undefined)[]> {
  const keys = [
    encodeArray("int4", [...refs.keys()]),
    encodeArray(
      "text",
      refs.map(({ org }) => org),
    ),
    encodeArray(
      "text",
      refs.map(({ runId }) => runId),
    ),
  ];
  const after = encodeArray(
    "int4",
    refs.map(({ afterSeq }) => comparableInt4(afterSeq)),
  );
  // The heads are read later than the headers, and may be ahead of them: hence the cut by seq.
  const [headers = [], heads = []] = await db.run([
    { name: "load headers", text: LOAD_HEADERS, values: keys },
    { name: "load heads", text: LOAD_HEADS, values: [...keys, after] },
  ]);
  const runs = new Map(
    headers.map((row) => [int(row, "ord"), { header: toHeader(row), entries: [] as EntryHead[] }]),
  );
  for (const row of heads) {
    const run = runs.get(int(row, "ord"));
    if (run !== undefined && int(row, "seq") <= run.header.seq) {
      run.entries.push(toHead(run.header.runId, row));
    }
  }
  return refs.map((_, ord) => runs.get(ord));
}

export async function readJournal(
  db: Connection,
  { org }: Tenant,
  runId: string,
  after: number,
  limit: PageLimit,
): Promise<JournalPage> {
  const rows = await db.one({
    name: "read journal",
    text: READ_JOURNAL,
    values: [org, runId, comparableInt4(after), limit.entries + 1, limit.bytes],
  });
  const entries = rows.slice(0, limit.entries).map((row) => toEntry(runId, row));
  const [first] = rows;
  return { entries, more: first !== undefined && int(first, "available") > entries.length };
}

export async function readEntries(
  db: Connection,
  { org }: Tenant,
  runId: string,
  seqs: readonly number[],
  runUid = "",
): Promise<(Entry | undefined)[]> {
  const rows = await db.one({
    name: "read entries",
    text: READ_ENTRIES,
    values: [encodeArray("int4", [...seqs.keys()]), encodeArray("int4", seqs), org, runId, runUid],
  });
  const entries = new Map(rows.map((row) => [int(row, "ord"), toEntry(runId, row)]));
  return seqs.map((_, ord) => entries.get(ord));
}
