import type { DueRow } from "../due.ts";
import type { ColumnWrite } from "../entry.ts";
import { checksum } from "../entry.ts";
import type { Batch, BatchResult } from "../runs.ts";
import { ANY_TIME, isPlain } from "../write.ts";
import { claim } from "./claim.ts";
import type { Database } from "./database.ts";
import { putChunk } from "./deltas.ts";
import { writeFlow } from "./flow.ts";
import { storePayload } from "./payloads.ts";
import { changeWaits } from "./waits.ts";
import { writeRun } from "./write-run.ts";

export const INSERT_ENTRY = `INSERT INTO journal (org_id, run_id, seq, at, attempt, crc, type,
  step_key, meta, encoding, payload_sha256, payload_size, payload)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

const PUT_READY = `INSERT INTO ready (org_id, run_id, queue, lane, rank, ready_at)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET queue = excluded.queue, lane = excluded.lane, rank = excluded.rank,
  ready_at = excluded.ready_at`;
const REMOVE_READY = "DELETE FROM ready WHERE org_id = ? AND run_id = ?";

const PUT_DUE = `INSERT INTO due (org_id, run_id, kind, step_key, at, data)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET at = excluded.at, data = excluded.data`;
const REMOVE_DUE = `DELETE FROM due
WHERE org_id = ? AND run_id = ? AND kind = ? AND step_key = ? AND at <= ?`;
const CLEAR_DUE = "DELETE FROM due WHERE org_id = ? AND run_id = ?";

const PUT_LEASE = `INSERT INTO lease (org_id, run_id, session_id, worker_id, until)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET session_id = excluded.session_id, worker_id = excluded.worker_id,
  until = excluded.until`;
const REMOVE_LEASE = "DELETE FROM lease WHERE org_id = ? AND run_id = ?";

const PUT_REF = `INSERT INTO payload_ref (org_id, sha256, run_id)
VALUES (?, ?, ?)
ON CONFLICT DO NOTHING`;
const HAS_PAYLOAD = "SELECT 1 FROM payload WHERE org_id = ? AND sha256 = ?";
const PUT_NUDGE = `INSERT INTO nudge (org_id, run_id, replica_id)
VALUES (?, ?, ?)
ON CONFLICT DO NOTHING`;
const HAS_RUN = "SELECT 1 FROM run WHERE org_id = ? AND run_id = ?";

/** A batch whose entries are in the form in which they are stored. */
export type ColumnBatch = Omit<Batch, "writes"> & { readonly writes: readonly ColumnWrite[] };

/** Applies the writes, then the claims, in one transaction. */
export function commit(db: Database, batch: ColumnBatch): BatchResult {
  return db.transaction(() => {
    const confirmed = batch.writes.map((write) => apply(db, write, batch.now));
    for (const [i, write] of batch.writes.entries()) {
      if (confirmed[i] === true && write.dueElsewhere.length > 0) putDueElsewhere(db, write);
    }
    const claimed = batch.claims.map((request) => claim(db, request, batch.now));
    return { confirmed, claimed };
  });
}

/** Invariant 2: the run's row is compared first, and nothing else is written if it differs. */
function apply(db: Database, write: ColumnWrite, now: number): boolean {
  if (write.payloadRefs.length > 0 && !payloadsExist(db, write)) return false;
  if (!writeRun(db, write)) return false;
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
  if (!isPlain(write)) applyRest(db, write, now);
  return true;
}

function applyRest(db: Database, write: ColumnWrite, now: number): void {
  const { org, runId } = write;
  for (const blob of write.payloads) storePayload(db, org, blob, now);
  for (const ref of write.payloadRefs) db.prepare(PUT_REF).run(org, ref.sha256, runId);
  if (write.ready === "remove") db.prepare(REMOVE_READY).run(org, runId);
  else if (write.ready !== undefined) {
    const { queue, lane, rank, readyAt } = write.ready;
    db.prepare(PUT_READY).run(org, runId, queue, lane, rank, readyAt);
  }
  if (write.lease === "remove") db.prepare(REMOVE_LEASE).run(org, runId);
  else if (write.lease !== undefined) {
    const { connectionId, workerId, until } = write.lease;
    db.prepare(PUT_LEASE).run(org, runId, connectionId, workerId, until);
  }
  if (write.dueClear) db.prepare(CLEAR_DUE).run(org, runId);
  for (const { kind, key, upTo } of write.dueRemove) {
    db.prepare(REMOVE_DUE).run(org, runId, kind, key, upTo ?? ANY_TIME);
  }
  for (const row of write.duePut) putDue(db, org, runId, row);
  if (write.waits !== undefined) changeWaits(db, org, runId, write.waits);
  if (write.flow !== undefined) writeFlow(db, org, runId, write.flow, now);
  if (write.nudge !== undefined) db.prepare(PUT_NUDGE).run(org, runId, write.nudge);
  for (const chunk of write.deltas ?? []) putChunk(db, org, runId, write.expect?.seq ?? 0, chunk);
}

/**
 * After all writes of the batch, so that none of them clears it away. The other run may have been
 * deleted: due work without a run would never go away.
 */
function putDueElsewhere(db: Database, { org, dueElsewhere }: ColumnWrite): void {
  for (const { runId, row } of dueElsewhere) {
    if (db.prepare(HAS_RUN).get(org, runId) !== undefined) putDue(db, org, runId, row);
  }
}

function putDue(db: Database, org: string, runId: string, row: DueRow): void {
  db.prepare(PUT_DUE).run(org, runId, row.kind, row.key, row.at, row.data);
}

/** A reference to a payload that was swept away meanwhile must not be recorded. */
function payloadsExist(db: Database, write: ColumnWrite): boolean {
  return write.payloadRefs.every(
    ({ sha256 }) =>
      write.payloads.some((blob) => blob.sha256 === sha256) ||
      db.prepare(HAS_PAYLOAD).get(write.org, sha256) !== undefined,
  );
}
