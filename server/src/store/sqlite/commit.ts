import type { ColumnWrite } from "../entry.ts";
import { checksum } from "../entry.ts";
import type { Batch, BatchResult } from "../runs.ts";
import { claim } from "./claim.ts";
import type { Database } from "./database.ts";
import { applyChanges, finishChanges, mayApply } from "./parts/index.ts";
import { writeRecord } from "./records.ts";
import { writeRun } from "./write-run.ts";

export const INSERT_ENTRY = `INSERT INTO journal (org_id, run_id, seq, at, attempt, crc, type,
  step_key, meta, encoding, payload_sha256, payload_size, payload)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

/** A batch whose entries are in the form in which they are stored. */
export type ColumnBatch = Omit<Batch, "writes"> & { readonly writes: readonly ColumnWrite[] };

/** Applies the writes, the records and then the claims, in one transaction. */
export function commit(db: Database, batch: ColumnBatch): BatchResult {
  return db.transaction(() => {
    const confirmed = batch.writes.map((write) => apply(db, write, batch.now));
    for (const [i, write] of batch.writes.entries()) {
      if (confirmed[i] === true) finishChanges(db, write);
    }
    const recorded = (batch.records ?? []).map((write) => writeRecord(db, write));
    const claimed = batch.claims.map((request) => claim(db, request, batch.now));
    return { confirmed, recorded, claimed };
  });
}

/** Invariant 2: the run's row is compared first, and nothing else is written if it differs. */
function apply(db: Database, write: ColumnWrite, now: number): boolean {
  if (!mayApply(db, write) || !writeRun(db, write)) return false;
  const { org, runId } = write;
  for (const e of write.entries) {
    db.prepare(INSERT_ENTRY).run(
      org,
      runId,
      e.seq,
      e.at,
      e.attempt,
      checksum(e),
      e.type,
      e.key,
      e.meta,
      e.encoding,
      e.sha256,
      e.size,
      e.data,
    );
  }
  applyChanges(db, write, now);
  return true;
}
