/** Tables of texts, as CSV. */
import { readFile, writeFile } from "node:fs/promises";

export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Cells with commas, quotes or line breaks are in quotes. */
export function parseCsv(text: string): Table {
  const lines: string[][] = [];
  let line: string[] = [];
  for (const [, quoted, plain = "", end] of text.matchAll(
    /(?:"((?:[^"]|"")*)"|([^,\r\n]*))(,|\r?\n|$)/g,
  )) {
    line.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ",") continue;
    if (line.length > 1 || line[0] !== "") lines.push(line);
    line = [];
  }
  const [columns = [], ...rows] = lines;
  return { columns, rows: rows.map((row) => columns.map((_, i) => row[i] ?? "")) };
}

export function formatCsv({ columns, rows }: Table): string {
  const cell = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return [columns, ...rows].map((row) => `${row.map(cell).join(",")}\n`).join("");
}

export async function readTable(file: string): Promise<Table> {
  return parseCsv(await readFile(file, "utf8"));
}

export async function writeTable(file: string, table: Table): Promise<void> {
  await writeFile(file, formatCsv(table));
}
