import {
  loadStatement,
  type RecordRef,
  type RecordWrite,
  recordStatement,
  type StoredRecord,
  toRecord,
} from "../records.ts";
import type { Database } from "./database.ts";

export function loadRecords(
  db: Database,
  refs: readonly RecordRef[],
): (StoredRecord | undefined)[] {
  return refs.map((ref) => {
    const { sql, values } = loadStatement("", ref);
    const row = db.prepare(sql).get(...values);
    return row === undefined ? undefined : toRecord(row);
  });
}

/** @returns whether the record was as expected; if not, nothing was written */
export function writeRecord(db: Database, write: RecordWrite): boolean {
  const { sql, values } = recordStatement("", write);
  return db.prepare(sql).run(...values).changes === 1;
}
