import type { Tenant } from "../../model/caller.ts";
import type { RunHeader } from "../../model/run.ts";
import { toChunk, toDeltaHead, toRunMark } from "../delta-row.ts";
import type * as d from "../deltas.ts";
import { headerSelect } from "../list-runs.ts";
import { int, text } from "../row.ts";
import { toHeader } from "../run-columns.ts";
import type { PageLimit } from "../runs.ts";
import { comparableInt4, encodeArray } from "./arrays.ts";
import type { Connection } from "./connection.ts";
import { REPLACE, within } from "./delta-parts.ts";
import { Input, type InputTypes, type Shape, source } from "./input.ts";
import { DIALECT } from "./runs.ts";

/** The rows of `putDeltas`. */
export const CHUNK = {
  ord: "int4",
  org_id: "text",
  run_id: "text",
  fence: "int4",
  first: "int4",
  last: "int4",
  at: "int8",
  keep: "int4",
  steps: "text",
  data: "bytea",
} as const satisfies Shape;

/** The run's row is read and not locked: a step of it must not wait. Readers skip what came too late. */
export const PUT_DELTAS = `WITH chunk AS MATERIALIZED (SELECT * FROM ${source("chunk", 1)}),
held AS MATERIALIZED (
  SELECT chunk.ord, r.seq FROM chunk JOIN pawl.run AS r
    ON r.org_id = chunk.org_id AND r.run_id = chunk.run_id AND r.fence = chunk.fence
  WHERE r.status IN ('QUEUED', 'RUNNING', 'CANCELLING')),
put AS (
  INSERT INTO pawl.delta AS d (org_id, run_id, fence, first, last, after_seq, at, keep, steps, data)
  SELECT org_id, run_id, fence, first, last, held.seq, at, keep, steps, data
  FROM chunk JOIN held USING (ord)
  ${REPLACE}
  RETURNING org_id, run_id, first),
${within("chunk")}
SELECT chunk.ord, CASE WHEN put.first IS NOT NULL THEN 'kept' WHEN held.seq IS NOT NULL THEN 'known'
  ELSE 'stale' END AS result
FROM chunk LEFT JOIN held USING (ord) LEFT JOIN put
  ON put.org_id = chunk.org_id AND put.run_id = chunk.run_id AND put.first = chunk.first`;

const HEAD_COLUMNS = "fence, first, last, after_seq, at, keep, steps";
/** Begins with the chunk that a place is in, or with the next one. */
export const READ_DELTAS = `SELECT ${HEAD_COLUMNS}, data, available FROM (
  SELECT ${HEAD_COLUMNS}, data, row_number() OVER ordered AS nth, count(*) OVER () AS available,
    sum(octet_length(data)) OVER ordered AS total
  FROM (
    SELECT ${HEAD_COLUMNS}, data FROM pawl.delta AS d
    WHERE d.org_id = $1 AND d.run_id = $2 AND (d.fence, d.first) >= ($3::int4, (
      SELECT coalesce(max(f.first), 0) FROM pawl.delta AS f
      WHERE f.org_id = $1 AND f.run_id = $2 AND f.fence = $3::int4 AND f.first <= $4::int4))
      AND (d.fence, d.last) > ($3::int4, $4::int4)
    ORDER BY d.fence, d.first LIMIT $5::int4) AS page
  WINDOW ordered AS (ORDER BY fence, first)) AS numbered
WHERE nth = 1 OR total <= $6::int8
ORDER BY fence, first`;
export const DELTA_HEADS = `SELECT ${HEAD_COLUMNS} FROM pawl.delta
WHERE org_id = $1 AND run_id = $2 ORDER BY fence, first`;
export const DELTA_RUNS = `SELECT DISTINCT org_id, run_id FROM pawl.delta
WHERE keep = 0 AND (org_id, run_id) > ($1, $2) ORDER BY org_id, run_id LIMIT $3::int4`;
export const DELETE_DELTAS = `DELETE FROM pawl.delta AS d
USING unnest($3::int4[], $4::int4[]) AS gone(fence, first)
WHERE d.org_id = $1 AND d.run_id = $2 AND d.fence = gone.fence AND d.first = gone.first`;
export const RUN_MARKS = `SELECT ref.ord, run.seq, run.fence, run.status,
  last.fence AS delta_fence, last.last AS delta_last
FROM unnest($1::int4[], $2::text[], $3::text[]) AS ref(ord, org_id, run_id)
JOIN pawl.run AS run ON run.org_id = ref.org_id AND run.run_id = ref.run_id
LEFT JOIN LATERAL (
  SELECT d.fence, d.last FROM pawl.delta AS d
  WHERE d.org_id = ref.org_id AND d.run_id = ref.run_id
  ORDER BY d.fence DESC, d.first DESC LIMIT 1) AS last ON true`;
export const ENDED_SINCE = `${headerSelect(DIALECT, "pawl.run AS run")}
WHERE run.org_id = $1 AND run.ended_at > 0 AND (run.ended_at, run.run_id) > ($2::int8, $3)
ORDER BY run.ended_at, run.run_id LIMIT $4::int4`;

/**
 * On the connection of the commits, so that a commit which is sent later is there later; committed
 * without waiting for the disk.
 */
export async function putDeltas(
  db: Connection,
  types: InputTypes,
  chunks: readonly d.PutDeltas[],
): Promise<d.PutDeltasResult[]> {
  db.mustBeUp(); // The types of its input are known then.
  const input = new Input("chunk", CHUNK);
  for (const [ord, { org, runId, chunk }] of chunks.entries()) {
    input.add({ ord, org_id: org, run_id: runId, ...chunk, keep: chunk.keep ? 1 : 0 });
  }
  const [, , rows = []] = await db.run([
    { text: "BEGIN" },
    { text: "SET LOCAL synchronous_commit = off" },
    { name: "put deltas", text: PUT_DELTAS, values: [input.encode(types)] },
    { text: "COMMIT" },
  ]);
  const results = chunks.map((): d.PutDeltasResult => "stale");
  for (const row of rows) {
    const result = text(row, "result");
    if (result === "kept" || result === "known") results[int(row, "ord")] = result;
  }
  return results;
}

export async function readDeltas(
  db: Connection,
  { org }: Tenant,
  runId: string,
  after: d.DeltaPlace,
  limit: PageLimit,
): Promise<{ chunks: d.DeltaChunk[]; more: boolean }> {
  const place = [comparableInt4(after.fence), comparableInt4(after.number)];
  const rows = await db.one({
    name: "read deltas",
    text: READ_DELTAS,
    values: [org, runId, ...place, limit.entries + 1, limit.bytes],
  });
  const chunks = rows.slice(0, limit.entries).map(toChunk);
  const [first] = rows;
  return { chunks, more: first !== undefined && int(first, "available") > chunks.length };
}

export async function deltaHeads(
  db: Connection,
  { org }: Tenant,
  runId: string,
): Promise<d.DeltaHead[]> {
  const rows = await db.one({ name: "delta heads", text: DELTA_HEADS, values: [org, runId] });
  return rows.map(toDeltaHead);
}

export async function deltaRuns(
  db: Connection,
  after: { org: string; runId: string } | undefined,
  limit: number,
): Promise<{ org: string; runId: string }[]> {
  const values = [after?.org ?? "", after?.runId ?? "", limit];
  const rows = await db.one({ name: "delta runs", text: DELTA_RUNS, values });
  return rows.map((row) => ({ org: text(row, "org_id"), runId: text(row, "run_id") }));
}

export async function deleteDeltas(
  db: Connection,
  { org }: Tenant,
  runId: string,
  chunks: readonly d.ChunkName[],
): Promise<void> {
  const fences = chunks.map(({ fence }) => fence);
  const firsts = chunks.map(({ first }) => first);
  await db.one({
    name: "delete deltas",
    text: DELETE_DELTAS,
    values: [org, runId, encodeArray("int4", fences), encodeArray("int4", firsts)],
  });
}

export async function runMarks(
  db: Connection,
  refs: readonly { org: string; runId: string }[],
): Promise<(d.RunMark | undefined)[]> {
  const orgs = refs.map(({ org }) => org);
  const runIds = refs.map(({ runId }) => runId);
  const rows = await db.one({
    name: "run marks",
    text: RUN_MARKS,
    values: [
      encodeArray("int4", [...refs.keys()]),
      encodeArray("text", orgs),
      encodeArray("text", runIds),
    ],
  });
  const marks = new Map(rows.map((row) => [int(row, "ord"), toRunMark(row)]));
  return refs.map((_, ord) => marks.get(ord));
}

export async function endedSince(
  db: Connection,
  { org }: Tenant,
  after: { endedAt: number; runId: string },
  limit: number,
): Promise<RunHeader[]> {
  const values = [org, after.endedAt, after.runId, limit];
  return (await db.one({ name: "ended since", text: ENDED_SINCE, values })).map(toHeader);
}
