import type pg from "pg";
import type { Row } from "../row.ts";
import { int, text } from "../row.ts";
import { StoreError } from "../store-error.ts";
import type { ColumnType, Value } from "./arrays.ts";
import { encodeRows } from "./arrays.ts";

/** The columns of an input relation, in order; `?` marks those that may be null. */
export type Shape = Readonly<Record<string, ColumnType | `${ColumnType}?`>>;

/** A row of a relation by the names of its columns. */
export type RowOf<S extends Shape> = { readonly [C in keyof S]: ValueOf<S[C]> };

type ValueOf<T> = T extends `${infer U}?`
  ? ValueOf<U> | null
  : T extends "text"
    ? string
    : T extends "bytea"
      ? Uint8Array
      : number;

/** The object ids of the types of input rows by the name of their relation; no two databases agree. */
export type InputTypes = ReadonlyMap<string, number>;

/**
 * An input relation as an item of FROM. Its rows come as one array of a composite type. Measured
 * with 26 rows of 14 columns: 91 µs of the database's time, against 191 µs for an array per column,
 * each of which is a function to call and a result to store.
 */
export function source(name: string, parameter: number, type = name): string {
  return `unnest($${parameter}::pawl.${type}_input[]) AS ${name}`;
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
export class Input<S extends Shape = Shape> {
  readonly #type: string;
  readonly #names: readonly string[];
  readonly #types: readonly ColumnType[];
  readonly #rows: (readonly Value[])[] = [];

  /** @param more types of columns that follow those of the shape */
  constructor(type: string, shape: S, more: readonly ColumnType[] = []) {
    this.#type = type;
    this.#names = Object.keys(shape);
    this.#types = [...Object.values(shape).map(bareType), ...more];
  }

  add(row: RowOf<S>, more?: readonly Value[]): void {
    const values = this.#names.map((name): Value => row[name] ?? null);
    this.#rows.push(more === undefined ? values : [...values, ...more]);
  }

  /** Values in the order of the shape: for rows so frequent that looking names up costs something. */
  addValues(values: readonly Value[]): void {
    if (values.length !== this.#names.length) throw new TypeError("A row has too few values.");
    this.#rows.push(values);
  }

  /** Encodes the rows as a parameter of the statement. */
  encode(types: InputTypes): Buffer {
    const oid = types.get(this.#type);
    if (oid === undefined) throw new StoreError(`The type pawl.${this.#type}_input is missing.`);
    return encodeRows(oid, this.#types, this.#rows);
  }
}

function bareType(type: Shape[string]): ColumnType {
  switch (type) {
    case "int4?":
      return "int4";
    case "int8?":
      return "int8";
    case "text?":
      return "text";
    case "bytea?":
      return "bytea";
    default:
      return type;
  }
}
