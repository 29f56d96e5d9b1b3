import type { Change, Changes } from "../../changes.ts";
import type { RunWrite } from "../../runs.ts";
import { admission } from "./admission-part.ts";
import { deltas } from "./deltas-part.ts";
import { due } from "./due-part.ts";
import type { Add, Key, Part } from "./part.ts";
import { payloads } from "./payloads-part.ts";
import { makeRowParts } from "./row-parts.ts";
import { vacancy } from "./vacancy-part.ts";

/** The parts in the order of their sections. */
const PARTS: { readonly [C in Change]: Part<C> } = {
  ...makeRowParts(),
  vacancy,
  due,
  payloads,
  deltas,
  admission,
};

export const ALL_PARTS = Object.values(PARTS);

/** The tables of what belongs to a run, apart from its row; they go with it. */
export const RUN_PARTS = ["journal", "run_tag", ...ALL_PARTS.flatMap(({ tables }) => tables)];
export const SUBJECT_PARTS = ALL_PARTS.flatMap(({ subjectTables = [] }) => subjectTables);

function isChange(name: string): name is Change {
  return name in PARTS;
}

export function addChanges(add: Add, key: Key, write: RunWrite, now: number): void {
  for (const name in write.changes) if (isChange(name)) addOne(add, key, write, name, now);
}

function addOne<C extends Change>(add: Add, key: Key, write: RunWrite, name: C, now: number): void {
  const change: Changes[C] | undefined = write.changes[name];
  if (change !== undefined) PARTS[name].addRows(add, key, change, write, now);
}
