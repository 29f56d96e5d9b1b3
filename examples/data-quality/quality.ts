/** Finds what is wrong with a table, and repairs it. */
import type { Table } from "./table.ts";

/** Something that is wrong, and what would be done about it. */
export interface Finding {
  /** `duplicates`, `spaces`, `outliers:age` or `gaps:city`. */
  readonly id: string;
  /** For people. */
  readonly says: string;
}

function numbersOf(cells: readonly string[]): number[] | undefined {
  const filled = cells.filter((cell) => cell.trim() !== "");
  const numbers = filled.map(Number);
  return filled.length > 0 && numbers.every(Number.isFinite) ? numbers : undefined;
}

function quantile(sorted: readonly number[], part: number): number {
  const at = (sorted.length - 1) * part;
  const low = sorted[Math.floor(at)] ?? 0;
  const high = sorted[Math.ceil(at)] ?? 0;
  return low + (high - low) * (at - Math.floor(at));
}

/** Beyond three times the distance of the quartiles from the nearer of them. */
function boundsOf(numbers: readonly number[]): readonly [number, number] {
  const sorted = [...numbers].sort((a, b) => a - b);
  const [low, high] = [quantile(sorted, 0.25), quantile(sorted, 0.75)];
  return [low - 3 * (high - low), high + 3 * (high - low)];
}

function outliersOf(cells: readonly string[]): Set<string> {
  const numbers = numbersOf(cells);
  if (numbers === undefined || numbers.length < 5) return new Set();
  const [low, high] = boundsOf(numbers);
  return new Set(cells.filter((cell) => cell !== "" && !(+cell >= low && +cell <= high)));
}

/** The median of numbers, else what is there most often. */
function usualOf(cells: readonly string[]): string {
  const filled = cells.filter((cell) => cell !== "");
  const numbers = numbersOf(filled);
  if (numbers !== undefined)
    return String(
      quantile(
        [...numbers].sort((a, b) => a - b),
        0.5,
      ),
    );
  const counts = new Map<string, number>();
  for (const cell of filled) counts.set(cell, (counts.get(cell) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))[0]?.[0] ?? "";
}

function cellsOf({ columns, rows }: Table, column: string): string[] {
  const at = columns.indexOf(column);
  return rows.map((row) => row[at] ?? "");
}

function countDuplicates({ rows }: Table): number {
  return rows.length - new Set(rows.map((row) => JSON.stringify(row))).size;
}

/** What is wrong with the table. */
export function profile(table: Table): Finding[] {
  const findings: Finding[] = [];
  const add = (id: string, count: number, what: string, cure: string) => {
    if (count > 0) findings.push({ id, says: `${what} (${count}): ${cure}` });
  };
  const all = table.rows.flat();
  add("spaces", all.filter((cell) => cell !== cell.trim()).length, "spaces around cells", "trim");
  add("duplicates", countDuplicates(table), "rows that are there before", "drop");
  for (const column of table.columns) {
    const cells = cellsOf(table, column);
    const outliers = outliersOf(cells);
    const shown = [...outliers].slice(0, 3).join(", ");
    add(
      `outliers:${column}`,
      outliers.size,
      `values of ${column} that are far off, such as ${shown}`,
      "clear",
    );
    const gaps = cells.filter((cell) => cell === "").length;
    if (gaps < cells.length)
      add(`gaps:${column}`, gaps, `gaps in ${column}`, `fill with ${usualOf(cells)}`);
  }
  return findings;
}

/** The table with these findings repaired. */
export function repair(table: Table, ids: readonly string[]): Table {
  return ids.reduce(repairOne, table);
}

function repairOne(table: Table, id: string): Table {
  const [kind = "", column = ""] = id.split(/:(.*)/s);
  const at = table.columns.indexOf(column);
  const inColumn = (change: (cell: string) => string): Table => ({
    columns: table.columns,
    rows: table.rows.map((row) => row.map((cell, i) => (i === at ? change(cell) : cell))),
  });
  switch (kind) {
    case "spaces":
      return {
        columns: table.columns,
        rows: table.rows.map((row) => row.map((cell) => cell.trim())),
      };
    case "duplicates": {
      const seen = new Map(table.rows.map((row) => [JSON.stringify(row), row]));
      return { columns: table.columns, rows: [...seen.values()] };
    }
    case "outliers": {
      const outliers = outliersOf(cellsOf(table, column));
      return inColumn((cell) => (outliers.has(cell) ? "" : cell));
    }
    case "gaps": {
      const usual = usualOf(cellsOf(table, column));
      return inColumn((cell) => cell || usual);
    }
    default:
      return table;
  }
}
