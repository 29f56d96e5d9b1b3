import type { Entry } from "../../model/entry.ts";
import { isCorruption, toEntry } from "../entry.ts";
import type { Row } from "../row.ts";
import { text } from "../row.ts";
import { RUN_COLUMNS, toHeader } from "../run-columns.ts";
import type { ClaimedRun, ClaimRequest } from "../runs.ts";
import { encodeArray } from "./arrays.ts";
import type { Statement } from "./connection.ts";
import { journalPage } from "./journal.ts";

/** Entries sent along with a claim at most, whatever their size. */
const ENTRIES = 4_000;

const PAGE = journalPage("claimed.org_id", "claimed.run_id", "0", "$9::int4", "$10::int8");

/**
 * Claims the best runs over all (queue, lane) pairs. The lanes are merged without locks first, to
 * see how many each may give; then that many of each lane are locked, in order, passing over runs
 * that another transaction holds (invariant 3). The lock is the run's, under which alone its ready
 * row changes; a run whose ready row was changed meanwhile is left out. Rows are deleted by their
 * place: a join by key may be planned, while a table is small, to read all of it for each run.
 */
export const CLAIM = `WITH lane AS (
  SELECT q.queue, l.lane FROM unnest($2::text[]) AS q(queue) CROSS JOIN unnest($3::text[]) AS l(lane)),
share AS MATERIALIZED (
  SELECT queue, lane, count(*) AS n FROM (
    SELECT lane.queue, lane.lane FROM lane CROSS JOIN LATERAL (
      SELECT r.rank, r.ready_at, r.run_id FROM pawl.ready AS r
      WHERE r.org_id = $1 AND r.queue = lane.queue AND r.lane = lane.lane
      ORDER BY r.rank, r.ready_at, r.run_id LIMIT $4::int4) AS head
    ORDER BY head.rank, head.ready_at, head.run_id LIMIT $4::int4) AS best
  GROUP BY queue, lane),
locked AS MATERIALIZED (
  SELECT free.* FROM share CROSS JOIN LATERAL (
    SELECT q.ctid AS place, q.org_id, q.run_id, q.rank, q.ready_at FROM pawl.ready AS q CROSS JOIN LATERAL (
      SELECT true FROM pawl.run AS r WHERE r.org_id = q.org_id AND r.run_id = q.run_id
      FOR NO KEY UPDATE SKIP LOCKED) AS mine
    WHERE q.org_id = $1 AND q.queue = share.queue AND q.lane = share.lane
    ORDER BY q.rank, q.ready_at, q.run_id LIMIT share.n) AS free),
taken AS (
  DELETE FROM pawl.ready AS q USING locked WHERE q.ctid = locked.place
  RETURNING locked.org_id, locked.run_id, locked.rank, locked.ready_at),
slotted AS MATERIALIZED (
  SELECT org_id, run_id, row_number() OVER (ORDER BY rank, ready_at, run_id) AS place FROM taken),
claimed AS (
  UPDATE pawl.run AS r SET status = CASE status WHEN 'CANCELLING' THEN status ELSE 'RUNNING' END,
    fence = fence + 1, attempt = attempt + 1, updated_at = $8::int8, started_at = CASE started_at WHEN 0 THEN $8::int8 ELSE started_at END
  FROM slotted WHERE r.org_id = slotted.org_id AND r.run_id = slotted.run_id
  RETURNING slotted.place, ${RUN_COLUMNS.map((column) => `r.${column}`).join(", ")}),
leased AS (
  INSERT INTO pawl.lease (org_id, run_id, connection_id, worker_id, until)
  SELECT org_id, run_id, ($5::text[])[place], ($6::text[])[place], $7::int8 FROM slotted
  ON CONFLICT (org_id, run_id) DO UPDATE SET connection_id = excluded.connection_id,
    worker_id = excluded.worker_id, until = excluded.until),
undue AS (
  DELETE FROM pawl.due AS d USING slotted CROSS JOIN LATERAL (
    SELECT q.ctid AS place FROM pawl.due AS q
    WHERE q.org_id = slotted.org_id AND q.subject = 'run/' || slotted.run_id AND q.kind = 'queue' AND q.step_key = ''
    LIMIT 1) AS timer
  WHERE d.ctid = timer.place)
SELECT CASE WHEN coalesce(page.nth, 1) = 1 THEN row_to_json(header)::text END AS header, claimed.run_id AS owner,
  page.*
FROM claimed CROSS JOIN LATERAL (SELECT claimed.*, ($5::text[])[claimed.place] AS connection_id,
  ($6::text[])[claimed.place] AS worker_id, $7::int8 AS until) AS header
LEFT JOIN LATERAL (${PAGE}) AS page ON true
ORDER BY claimed.place, page.seq`;

export function claimStatement(request: ClaimRequest, now: number): Statement {
  const { org, queues, lanes, slots, until, journalBytes } = request;
  return {
    name: "claim",
    text: CLAIM,
    values: [
      org,
      encodeArray("text", queues),
      encodeArray("text", lanes),
      slots.length,
      encodeArray(
        "text",
        slots.map(({ connectionId }) => connectionId),
      ),
      encodeArray(
        "text",
        slots.map(({ workerId }) => workerId),
      ),
      until,
      now,
      ENTRIES,
      journalBytes,
    ],
  };
}

/**
 * One row per entry, ordered; the first of each run carries the header as JSON. A run's entries end
 * before one that is damaged: the claim has happened, and the others have nothing to do with it.
 */
export function toClaimedRuns(rows: readonly Row[]): ClaimedRun[] {
  const claimed: { header: ClaimedRun["header"]; entries: Entry[] }[] = [];
  let isDamaged = false;
  for (const row of rows) {
    if (typeof row.header === "string") {
      claimed.push({ header: toHeader(JSON.parse(row.header) as Row), entries: [] });
      isDamaged = false;
    }
    if (typeof row.seq !== "number" || isDamaged) continue;
    try {
      claimed.at(-1)?.entries.push(toEntry(text(row, "owner"), row));
    } catch (cause) {
      if (!isCorruption(cause)) throw cause;
      isDamaged = true;
    }
  }
  return claimed;
}
