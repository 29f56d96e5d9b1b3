import type { Changes } from "../../changes.ts";
import {
  isWhole,
  type PerRowPart,
  ROW_CHANGES,
  ROW_PARTS,
  type RowChange,
  type RowPart,
  type RowTables,
  type TableRows,
} from "../../row-parts.ts";
import type { Part } from "./part.ts";

/** The parts that are declared in `store/row-parts.ts`. */
export type RowParts = { readonly [C in RowChange]: Part<C> };

interface TableStatements {
  readonly columns: readonly string[];
  readonly put: string;
  readonly removedBy: readonly string[];
  readonly remove: string;
}

function statementsOf({
  name: table,
  columns,
  replaced,
  removedBy = [],
}: TableRows): TableStatements {
  const names = Object.keys(columns);
  const sets = replaced.map((name) => `${name} = excluded.${name}`).join(", ");
  const keys = ["org_id", "run_id", ...removedBy];
  return {
    columns: names,
    put: `INSERT INTO ${table} (${names.join(", ")})
VALUES (${names.map(() => "?").join(", ")})
ON CONFLICT DO ${sets === "" ? "NOTHING" : `UPDATE SET ${sets}`}`,
    removedBy: keys,
    remove: `DELETE FROM ${table} WHERE ${keys.map((name) => `${name} = ?`).join(" AND ")}`,
  };
}

function rowPart<C extends RowChange>({ tables, addRows }: RowPart<Changes[C]>): Part<C> {
  const all = new Map(Object.entries(tables).map(([name, rows]) => [name, statementsOf(rows)]));
  const of = (name: string): TableStatements => {
    const statements = all.get(name);
    if (statements === undefined) throw new TypeError(`No part has rows of ${name}.`);
    return statements;
  };
  return {
    tables: Object.values(tables).map(({ name }) => name),
    apply(db, { org, runId }, change) {
      const rows = {
        put(name: string, row: Readonly<Record<string, string | number>>) {
          const { columns, put } = of(name);
          db.prepare(put).run(...columns.map((column) => row[column] ?? null));
        },
        remove(name: string, row: Readonly<Record<string, string>>) {
          const { removedBy, remove } = of(name);
          db.prepare(remove).run(...removedBy.map((column) => row[column] ?? null));
        },
      };
      addRows(rows, { org_id: org, run_id: runId }, change);
    },
  };
}

function addPart<C extends RowChange>(parts: { [N in C]?: Part<N> }, name: C): void {
  const part: RowPart<Changes[C]> = ROW_PARTS[name];
  parts[name] = rowPart(part);
}

export function makeRowParts(): RowParts {
  const parts: PerRowPart<RowParts> = {};
  for (const name of ROW_CHANGES) addPart(parts, name);
  if (!isWhole<RowParts>(parts)) throw new TypeError("A part lacks its statements.");
  return parts;
}

/** For the test that keeps the texts under snapshot. */
export function rowStatements(): Record<string, string> {
  const tables: RowTables = Object.assign({}, ...ROW_CHANGES.map((name) => ROW_PARTS[name].tables));
  return Object.fromEntries(
    Object.entries(tables).flatMap(([name, rows]) => {
      const { put, remove } = statementsOf(rows);
      return [
        [`put ${name}`, put],
        ...(rows.removedBy === undefined ? [] : [[`remove ${name}`, remove]]),
      ];
    }),
  );
}
