import type pg from "pg";
import type { Row } from "../row.ts";
import { int, text } from "../row.ts";
import { StoreError } from "../store.ts";
import type { ColumnType, Value } from "./arrays.ts";
import { encodeRows } from "./arrays.ts";

/** The columns of an input relation, in order. */
export type Shape = Readonly<Record<string, ColumnType>>;

/** The object ids of the types of input rows by the name of their relation; no two databases agree. */
export type InputTypes = ReadonlyMap<string, number>;

/**
 * An input relation as an item of FROM. Its rows come as one array of a composite type. Measured
 * with 26 rows of 14 columns: 91 µs of the database's time, against 191 µs for an array per column,
 * each of which is a function to call and a result to store.
 */
export function source(name: string, parameter: number): string {
  return `unnest($${parameter}::pawl.${name}_input[]) AS ${name}`;
}

const READ_TYPES = `SELECT t.typname AS name, t.oid::int8 AS oid FROM pg_catalog.pg_type AS t
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
WHERE n.nspname = 'pawl' AND t.typname LIKE '%\\_input'`;

export async function readInputTypes(client: pg.Client): Promise<InputTypes> {
  const { rows } = await client.query<Row>(READ_TYPES);
  return new Map(
    rows.map((row) => [text(row, "name").slice(0, -"_input".length), int(row, "oid")]),
  );
}

/** Rows on their way into a statement. */
export class Input {
  readonly #name: string;
  readonly #columns: readonly ColumnType[];
  readonly #rows: (readonly Value[])[] = [];

  constructor(name: string, shape: Shape) {
    this.#name = name;
    this.#columns = Object.values(shape);
  }

  /** Values in the order of the shape. */
  add(row: readonly Value[]): void {
    if (row.length !== this.#columns.length) throw new TypeError("A row has too few values.");
    this.#rows.push(row);
  }

  /** As a parameter. */
  encode(types: InputTypes): Buffer {
    const oid = types.get(this.#name);
    if (oid === undefined) throw new StoreError(`The type pawl.${this.#name}_input is missing.`);
    return encodeRows(oid, this.#columns, this.#rows);
  }
}
