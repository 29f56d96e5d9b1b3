import { formatSubject } from "../../model/ids.ts";
import type { Row } from "../row.ts";
import { int, text } from "../row.ts";
import type { ClaimedRun, ClaimRequest } from "../runs.ts";
import type { Database } from "./database.ts";
import { readFirst } from "./journal.ts";
import { getHeader } from "./runs.ts";

/** One lane's best rows after the last one that was seen. */
export const READY_ROWS = `SELECT run_id, rank, ready_at FROM ready
WHERE org_id = ? AND queue = ? AND lane = ? AND (rank, ready_at, run_id) > (?, ?, ?)
ORDER BY rank, ready_at, run_id LIMIT ?`;

export const CLAIM_RUN = `UPDATE run SET
  status = CASE status WHEN 'CANCELLING' THEN status ELSE 'RUNNING' END, fence = fence + 1,
  attempt = attempt + 1, updated_at = ?1,
  started_at = CASE started_at WHEN 0 THEN ?1 ELSE started_at END
WHERE org_id = ?2 AND run_id = ?3`;
export const CLAIM_READY = "DELETE FROM ready WHERE org_id = ? AND run_id = ?";
export const CLAIM_DUE = "DELETE FROM due WHERE org_id = ? AND subject = ? AND kind = 'queue'";
export const CLAIM_LEASE = `INSERT INTO lease (org_id, run_id, connection_id, worker_id, until)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET connection_id = excluded.connection_id, worker_id = excluded.worker_id,
  until = excluded.until`;

/** Rows of one lane that are read at a time, at most. */
const LANE_ROWS = 32;

/** Claims the best runs over all (queue, lane) pairs; invariant 3 holds as there is one writer. */
export function claim(db: Database, request: ClaimRequest, now: number): ClaimedRun[] {
  const claimed: ClaimedRun[] = [];
  const runIds = best(db, request);
  for (const [i, runId] of runIds.entries()) {
    const slot = request.slots[i];
    if (slot === undefined) break;
    const { org, until } = request;
    db.prepare(CLAIM_READY).run(org, runId);
    if (db.prepare(CLAIM_RUN).run(now, org, runId).changes !== 1) continue;
    db.prepare(CLAIM_DUE).run(org, formatSubject("run", runId));
    db.prepare(CLAIM_LEASE).run(org, runId, slot.connectionId, slot.workerId, until);
    claimed.push(read(db, org, runId, request.journalBytes));
  }
  return claimed;
}

function read(db: Database, org: string, runId: string, bytes: number): ClaimedRun {
  const header = getHeader(db, org, runId);
  if (header === undefined) throw new TypeError("A run that was just updated must be there.");
  const limit = { entries: Number.MAX_SAFE_INTEGER, bytes };
  return { header, entries: readFirst(db, org, runId, limit) };
}

interface Candidate {
  readonly runId: string;
  readonly rank: number;
  readonly readyAt: number;
}

/** Merges the ordered lanes, reading each only as far as it is used: flat in the queued runs. */
function best(db: Database, request: ClaimRequest): string[] {
  const wanted = request.slots.length;
  const lanes = request.queues.flatMap((queue) =>
    request.lanes.map(
      (lane) => new Lane(db, request.org, queue, lane, Math.min(wanted, LANE_ROWS)),
    ),
  );
  const runIds: string[] = [];
  while (runIds.length < wanted) {
    let first: Lane | undefined;
    for (const lane of lanes) {
      if (
        lane.head !== undefined &&
        (first?.head === undefined || precedes(lane.head, first.head))
      ) {
        first = lane;
      }
    }
    if (first?.head === undefined) break;
    runIds.push(first.head.runId);
    first.advance();
  }
  return runIds;
}

function precedes(a: Candidate, b: Candidate): boolean {
  if (a.rank !== b.rank) return a.rank < b.rank;
  if (a.readyAt !== b.readyAt) return a.readyAt < b.readyAt;
  return a.runId < b.runId;
}

class Lane {
  head: Candidate | undefined;
  readonly #db: Database;
  readonly #key: readonly [string, string, string];
  readonly #size: number;
  #rows: Candidate[] = [];
  #next = 0;

  constructor(db: Database, org: string, queue: string, lane: string, size: number) {
    this.#db = db;
    this.#key = [org, queue, lane];
    this.#size = size;
    this.#read({ runId: "", rank: -1, readyAt: 0 });
  }

  advance(): void {
    const last = this.head;
    this.#next += 1;
    this.head = this.#rows[this.#next];
    if (this.head === undefined && last !== undefined && this.#rows.length === this.#size) {
      this.#read(last);
    }
  }

  #read(after: Candidate): void {
    this.#rows = this.#db
      .prepare(READY_ROWS)
      .all(...this.#key, after.rank, after.readyAt, after.runId, this.#size)
      .map(toCandidate);
    this.#next = 0;
    this.head = this.#rows[0];
  }
}

function toCandidate(row: Row): Candidate {
  return { runId: text(row, "run_id"), rank: int(row, "rank"), readyAt: int(row, "ready_at") };
}
