import type { ColumnType, Value } from "./arrays.ts";
import { encodeArray } from "./arrays.ts";

/** The columns of an input relation, in order. */
export type Shape = Readonly<Record<string, ColumnType>>;

/** `unnest($1::text[], …) AS name(column, …)`, with parameters from `first` on. */
export function source(name: string, shape: Shape, first: number): string {
  const arrays = Object.values(shape).map((type, i) => `$${first + i}::${type}[]`);
  return `unnest(${arrays.join(", ")}) AS ${name}(${Object.keys(shape).join(", ")})`;
}

/** Rows on their way into a statement, as one array per column. */
export class Input {
  readonly #types: readonly ColumnType[];
  readonly #columns: Value[][];

  constructor(shape: Shape) {
    this.#types = Object.values(shape);
    this.#columns = this.#types.map(() => []);
  }

  /** Values in the order of the shape. */
  add(row: readonly Value[]): void {
    if (row.length !== this.#columns.length) throw new TypeError("A row has too few values.");
    for (const [i, column] of this.#columns.entries()) column.push(row[i] ?? null);
  }

  get parameters(): Buffer[] {
    return this.#types.map((type, i) => encodeArray(type, this.#columns[i] ?? []));
  }
}
