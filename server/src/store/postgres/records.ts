import {
  loadStatement,
  type RecordRef,
  type RecordStatement,
  type RecordWrite,
  recordStatement,
  type StoredRecord,
  toRecord,
} from "../records.ts";
import type { Connection, Statement } from "./connection.ts";
import { numbered } from "./runs.ts";

export async function loadRecords(
  db: Connection,
  refs: readonly RecordRef[],
): Promise<(StoredRecord | undefined)[]> {
  const pages = await db.run(refs.map((ref) => statementOf(loadStatement("pawl.", ref))));
  return pages.map(([row]) => (row === undefined ? undefined : toRecord(row)));
}

/** Returns a row where the record was as expected. */
export function writeRecord(write: RecordWrite): Statement {
  const { sql, values } = recordStatement("pawl.", write);
  return statementOf({ sql: `${sql} RETURNING true AS confirmed`, values });
}

function statementOf({ sql, values }: RecordStatement): Statement {
  return { text: numbered(sql), values };
}

/** Replicas that write the same records in one order never wait for each other in a circle. */
export function inLockOrder(writes: readonly RecordWrite[]): [number, RecordWrite][] {
  const keyOf = ({ kind, org, id }: RecordWrite): string => `${org}\0${kind}\0${id}`;
  return [...writes.entries()].sort(([, a], [, b]) => (keyOf(a) < keyOf(b) ? -1 : 1));
}
