import { formatSubject } from "../../model/ids.ts";
import type { ColumnWrite } from "../entry.ts";
import type { HeaderPatch } from "../run-columns.ts";
import { PATCH_COLUMNS, patchValues, RUN, RUN_COLUMNS, runValues } from "../run-columns.ts";
import type { Database } from "./database.ts";
import { RUN_PARTS, SUBJECT_PARTS } from "./parts/index.ts";

/** The hot path: a step of a running run. */
export const ADVANCE_RUN = `UPDATE run SET seq = ?, updated_at = ?
WHERE org_id = ? AND run_id = ? AND fence = ? AND seq = ?`;

export const PATCH_RUN = `UPDATE run SET seq = ?, updated_at = ?,
  ${PATCH_COLUMNS.map((name) => `${name} = ?`).join(", ")}
WHERE org_id = ? AND run_id = ? AND fence = ? AND seq = ? AND intent = coalesce(?, intent)`;

export const INSERT_RUN = `INSERT INTO run (${RUN_COLUMNS.join(", ")})
VALUES (${RUN_COLUMNS.map(() => "?").join(", ")})
ON CONFLICT DO NOTHING`;

export const DELETE_RUN = `DELETE FROM run
WHERE org_id = ? AND run_id = ? AND fence = ? AND seq = ?`;

const TAGS_OF_RUN = "SELECT tags, created_at FROM run WHERE org_id = ? AND run_id = ?";
const INSERT_TAG = `INSERT INTO run_tag (org_id, key, value, created_at, run_id)
VALUES (?, ?, ?, ?, ?)`;
const DELETE_TAGS = "DELETE FROM run_tag WHERE org_id = ? AND run_id = ?";

/**
 * Compares the run's version and writes its row, both in one statement.
 *
 * @returns whether the run was as expected; if not, nothing was written.
 */
export function writeRun(db: Database, write: ColumnWrite): boolean {
  const { org, runId, expect, seq, updatedAt } = write;
  if (expect === null) return insertRun(db, write);
  const key = [org, runId, expect.fence, expect.seq] as const;
  if (write.deleteRun === true) return deleteRun(db, write, key);
  if (write.patch !== undefined) return patchRun(db, write, write.patch, key);
  return db.prepare(ADVANCE_RUN).run(seq, updatedAt, ...key).changes === 1;
}

function insertRun(db: Database, write: ColumnWrite): boolean {
  const header = write.insert;
  if (header === undefined) throw new TypeError("A write that expects no run must insert one.");
  if (db.prepare(INSERT_RUN).run(...runValues(header)).changes !== 1) return false;
  insertTags(db, header.org, header.runId, header.createdAt, header.tags);
  return true;
}

function patchRun(
  db: Database,
  write: ColumnWrite,
  patch: HeaderPatch,
  key: readonly [string, string, number, number],
): boolean {
  const before = db.prepare(TAGS_OF_RUN).get(write.org, write.runId);
  const { changes } = db
    .prepare(PATCH_RUN)
    .run(write.seq, write.updatedAt, ...patchValues(patch), ...key, write.expect?.intent ?? null);
  if (changes !== 1) return false;
  if (before !== undefined && before.tags !== RUN.tags.write(patch)) {
    db.prepare(DELETE_TAGS).run(write.org, write.runId);
    insertTags(db, write.org, write.runId, Number(before.created_at), patch.tags);
  }
  return true;
}

function deleteRun(
  db: Database,
  write: ColumnWrite,
  key: readonly [string, string, number, number],
): boolean {
  if (db.prepare(DELETE_RUN).run(...key).changes !== 1) return false;
  for (const table of RUN_PARTS) {
    db.prepare(`DELETE FROM ${table} WHERE org_id = ? AND run_id = ?`).run(write.org, write.runId);
  }
  const subject = formatSubject("run", write.runId);
  for (const table of SUBJECT_PARTS) {
    db.prepare(`DELETE FROM ${table} WHERE org_id = ? AND subject = ?`).run(write.org, subject);
  }
  return true;
}

function insertTags(
  db: Database,
  org: string,
  runId: string,
  createdAt: number,
  tags: Readonly<Record<string, string>>,
): void {
  for (const key in tags) {
    const value = tags[key];
    if (value !== undefined) db.prepare(INSERT_TAG).run(org, key, value, createdAt, runId);
  }
}
