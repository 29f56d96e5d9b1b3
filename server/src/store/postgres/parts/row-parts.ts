import type { Changes } from "../../changes.ts";
import {
  isWhole,
  type PerRowPart,
  ROW_CHANGES,
  ROW_PARTS,
  type RowChange,
  type RowPart,
} from "../../row-parts.ts";
import type { Shape } from "../input.ts";
import { added, gone, IGNORE, type Part, type Section, upsert } from "./part.ts";

/** The parts that are declared in `store/row-parts.ts`. */
export type RowParts = { readonly [C in RowChange]: Part<C> };

function rowPart<C extends RowChange>({ tables, addRows }: RowPart<Changes[C]>): Part<C> {
  const inputs: Record<string, Shape> = {};
  const sections: Section[] = [];
  for (const [name, { name: table, columns, key, replaced, removedBy }] of Object.entries(tables)) {
    const put: Shape = { ord: "int4", ...columns };
    inputs[`${name}_put`] = put;
    const conflict = replaced.length === 0 ? IGNORE : upsert(key.join(", "), replaced);
    sections.push(added(`${name}_put`, put, table, conflict));
    if (removedBy === undefined) continue;
    const more = Object.fromEntries(removedBy.map((column) => [column, "text"] as const));
    inputs[`${name}_gone`] = { ord: "int4", org_id: "text", run_id: "text", ...more };
    sections.push(gone(`${name}_gone`, table, removedBy));
  }
  return {
    tables: Object.values(tables).map(({ name }) => name),
    inputs,
    sections,
    addRows(add, key, change) {
      const { ord } = key;
      const rows = {
        put: (name: string, row: Readonly<Record<string, string | number>>) =>
          add(`${name}_put`, { ord, ...row }),
        remove: (name: string, row: Readonly<Record<string, string>>) =>
          add(`${name}_gone`, { ord, ...row }),
      };
      addRows(rows, key, change);
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
