import type { Change, Changes } from "../../changes.ts";
import type { ColumnWrite } from "../../entry.ts";
import type { Database } from "../database.ts";
import { admission } from "./admission-part.ts";
import { deltas } from "./deltas-part.ts";
import { due } from "./due-part.ts";
import type { Part } from "./part.ts";
import { payloads } from "./payloads-part.ts";
import { makeRowParts } from "./row-parts.ts";
import { vacancy } from "./vacancy-part.ts";

type Parts = { readonly [C in Change]: Part<C> };

const PARTS: Parts = { ...makeRowParts(), vacancy, due, payloads, deltas, admission };

function isChange(name: string): name is Change {
  return name in PARTS;
}

/** The tables of what belongs to a run, apart from its row; they go with it. */
export const RUN_PARTS = ["journal", "run_tag", ...Object.values(PARTS).flatMap((p) => p.tables)];
export const SUBJECT_PARTS = Object.values(PARTS).flatMap(
  ({ subjectTables = [] }: Pick<Part<Change>, "subjectTables">) => subjectTables,
);

/** Whether what the write refers to is there; if not, nothing of it may be written. */
export function mayApply(db: Database, write: ColumnWrite): boolean {
  for (const name in write.changes) if (isChange(name) && !checkOne(db, write, name)) return false;
  return true;
}

function checkOne<C extends Change>(db: Database, write: ColumnWrite, name: C): boolean {
  const { check } = PARTS[name];
  const change: Changes[C] | undefined = write.changes[name];
  return check === undefined || change === undefined || check(db, write, change);
}

export function applyChanges(db: Database, write: ColumnWrite, now: number): void {
  for (const name in write.changes) if (isChange(name)) applyOne(db, write, name, now);
}

function applyOne<C extends Change>(db: Database, write: ColumnWrite, name: C, now: number): void {
  const change: Changes[C] | undefined = write.changes[name];
  if (change !== undefined) PARTS[name].apply(db, write, change, now);
}

/** After all writes of the batch. */
export function finishChanges(db: Database, write: ColumnWrite): void {
  for (const name in write.changes) if (isChange(name)) finishOne(db, write, name);
}

function finishOne<C extends Change>(db: Database, write: ColumnWrite, name: C): void {
  const change: Changes[C] | undefined = write.changes[name];
  if (change !== undefined) PARTS[name].finish?.(db, write, change);
}
