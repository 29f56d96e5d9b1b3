import type { Tenant } from "../../model/caller.ts";
import type { RunHeader } from "../../model/run.ts";
import { toChunk, toDeltaHead, toRunMark } from "../delta-row.ts";
import type * as d from "../deltas.ts";
import { text } from "../row.ts";
import { RUN_COLUMNS, toHeader } from "../run-columns.ts";
import type { PageLimit } from "../runs.ts";
import type { Database } from "./database.ts";

export const PUT_DELTA = `INSERT INTO delta (org_id, run_id, fence, first, last, after_seq, at, keep,
  steps, data)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET last = excluded.last, after_seq = excluded.after_seq, at = excluded.at,
  keep = excluded.keep, steps = excluded.steps, data = excluded.data
WHERE excluded.last > delta.last`;
/** What was sent again comes in other pieces: what the new one holds whole goes. */
export const DROP_WITHIN = `DELETE FROM delta
WHERE org_id = ? AND run_id = ? AND fence = ? AND first > ? AND last <= ? AND first <= ?`;
export const HOLDER_SEQ = `SELECT seq FROM run
WHERE org_id = ? AND run_id = ? AND fence = ? AND status IN ('QUEUED', 'RUNNING', 'CANCELLING')`;
const HEAD_COLUMNS = "fence, first, last, after_seq, at, keep, steps";
export const READ_DELTAS = `SELECT ${HEAD_COLUMNS}, data FROM delta
WHERE org_id = ?1 AND run_id = ?2 AND (fence, first) >= (?3, (
  SELECT coalesce(max(first), 0) FROM delta
  WHERE org_id = ?1 AND run_id = ?2 AND fence = ?3 AND first <= ?4)) AND (fence, last) > (?3, ?4)
ORDER BY fence, first LIMIT ?5`;
export const DELTA_HEADS = `SELECT ${HEAD_COLUMNS} FROM delta
WHERE org_id = ? AND run_id = ? ORDER BY fence, first`;
export const DELTA_RUNS = `SELECT DISTINCT org_id, run_id FROM delta
WHERE keep = 0 AND (org_id, run_id) > (?, ?) ORDER BY org_id, run_id LIMIT ?`;
export const DELETE_DELTA = `DELETE FROM delta
WHERE org_id = ? AND run_id = ? AND fence = ? AND first = ?`;
export const RUN_MARK = "SELECT seq, fence, status FROM run WHERE org_id = ? AND run_id = ?";
export const LAST_DELTA = `SELECT fence AS delta_fence, last AS delta_last FROM delta
WHERE org_id = ? AND run_id = ? ORDER BY fence DESC, first DESC LIMIT 1`;
export const ENDED_SINCE = `SELECT ${RUN_COLUMNS.join(", ")} FROM run
WHERE org_id = ? AND ended_at > 0 AND (ended_at, run_id) > (?, ?)
ORDER BY ended_at, run_id LIMIT ?`;

export function putChunk(
  db: Database,
  org: string,
  runId: string,
  afterSeq: number,
  chunk: d.NewChunk,
): boolean {
  const { fence, first, last, at, keep, steps, data } = chunk;
  const values = [fence, first, last, afterSeq, at, keep ? 1 : 0, steps, data] as const;
  if (db.prepare(PUT_DELTA).run(org, runId, ...values).changes !== 1) return false;
  db.prepare(DROP_WITHIN).run(org, runId, fence, first, last, last);
  return true;
}

/** Writes without an fsync: the next commit brings it to the disk. */
export function putDeltas(db: Database, chunks: readonly d.PutDeltas[]): d.PutDeltasResult[] {
  db.exec("PRAGMA synchronous = NORMAL");
  try {
    return db.transaction(() =>
      chunks.map(({ org, runId, chunk }) => {
        const run = db.prepare(HOLDER_SEQ).get(org, runId, chunk.fence);
        if (run === undefined) return "stale";
        return putChunk(db, org, runId, Number(run.seq), chunk) ? "kept" : "known";
      }),
    );
  } finally {
    db.exec("PRAGMA synchronous = FULL");
  }
}

export function readDeltas(
  db: Database,
  { org }: Tenant,
  runId: string,
  after: d.DeltaPlace,
  limit: PageLimit,
): { chunks: d.DeltaChunk[]; more: boolean } {
  const chunks: d.DeltaChunk[] = [];
  let bytes = 0;
  const rows = db
    .prepare(READ_DELTAS)
    .iterate(org, runId, after.fence, after.number, limit.entries + 1);
  for (const row of rows) {
    const chunk = toChunk(row);
    bytes += chunk.data.byteLength;
    if (chunks.length > 0 && (chunks.length >= limit.entries || bytes > limit.bytes))
      return { chunks, more: true };
    chunks.push(chunk);
  }
  return { chunks, more: false };
}

export function deltaHeads(db: Database, { org }: Tenant, runId: string): d.DeltaHead[] {
  return db.prepare(DELTA_HEADS).all(org, runId).map(toDeltaHead);
}

export function deltaRuns(
  db: Database,
  after: { org: string; runId: string } | undefined,
  limit: number,
): { org: string; runId: string }[] {
  const rows = db.prepare(DELTA_RUNS).all(after?.org ?? "", after?.runId ?? "", limit);
  return rows.map((row) => ({ org: text(row, "org_id"), runId: text(row, "run_id") }));
}

export function deleteDeltas(
  db: Database,
  { org }: Tenant,
  runId: string,
  chunks: readonly d.ChunkName[],
): void {
  db.transaction(() => {
    for (const { fence, first } of chunks) db.prepare(DELETE_DELTA).run(org, runId, fence, first);
  });
}

export function runMarks(
  db: Database,
  refs: readonly { org: string; runId: string }[],
): (d.RunMark | undefined)[] {
  return refs.map(({ org, runId }) => {
    const run = db.prepare(RUN_MARK).get(org, runId);
    if (run === undefined) return undefined;
    return toRunMark({ ...run, ...db.prepare(LAST_DELTA).get(org, runId) });
  });
}

export function endedSince(
  db: Database,
  { org }: Tenant,
  after: { endedAt: number; runId: string },
  limit: number,
): RunHeader[] {
  return db.prepare(ENDED_SINCE).all(org, after.endedAt, after.runId, limit).map(toHeader);
}
