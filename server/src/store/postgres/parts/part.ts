import type { Change, Changes } from "../../changes.ts";
import type { RunWrite } from "../../runs.ts";
import type { Value } from "../arrays.ts";
import type { RowOf, Shape } from "../input.ts";

/**
 * How one kind of change is written: a part of the one statement that applies a batch of writes. It
 * reads input relations, and a statement is put together from the sections whose inputs have rows
 * (commit.ts). `ord` is the write's place in the batch.
 *
 * All sections see the database as it was before the statement, and none may touch a row that another
 * one touches: hence one write per run and batch, and removals that spare what is put anew.
 */
export interface Part<C extends Change> {
  /** The tables that it writes; what they hold of a run goes with it. */
  readonly tables: readonly string[];
  /** The same, for tables whose rows name the run as a subject. */
  readonly subjectTables?: readonly string[];
  readonly inputs: Readonly<Record<string, Shape>>;
  /** Before the rows of runs are written. */
  readonly first?: readonly Section[];
  readonly sections: readonly Section[];
  readonly addRows: (add: Add, key: Key, change: Changes[C], write: RunWrite, now: number) => void;
}

/** The inputs that call for a piece of the statement, and its text. */
export type Section = readonly [readonly string[], (context: Context) => string];

export type Add = (name: string, row: Readonly<Record<string, Value>>) => void;

/** The columns with which every row of a write begins. */
export interface Key {
  readonly ord: number;
  readonly org_id: string;
  readonly run_id: string;
}

/** A part whose rows have the columns of its inputs, each with a value of its type. */
export function part<C extends Change, I extends Readonly<Record<string, Shape>>>(
  definition: Omit<Part<C>, "addRows" | "inputs"> & {
    readonly inputs: I;
    readonly addRows: (
      add: <N extends keyof I & string>(name: N, row: RowOf<I[N]>) => void,
      key: Key,
      change: Changes[C],
      write: RunWrite,
      now: number,
    ) => void;
  },
): Part<C> {
  const { addRows } = definition;
  return {
    ...definition,
    addRows: (add, ...rest) => addRows((name, row) => add(name, row), ...rest),
  };
}

/** What a section may know of its statement. */
export interface Context {
  has(name: string): boolean;
  /** The input relation as an item of FROM. */
  from(name: string): string;
}

export const IS_CONFIRMED = "= ANY (ARRAY(SELECT ord FROM confirmed))";

/** A section that only adds rows of that shape. */
export function added(name: string, shape: Shape, table: string, conflict: string): Section {
  const columns = Object.keys(shape)
    .filter((column) => column !== "ord")
    .join(", ");
  const text = (context: Context): string => `${name}_done AS (
  INSERT INTO pawl.${table} (${columns})
  SELECT ${columns} FROM ${context.from(name)}
  WHERE ${name}.ord ${IS_CONFIRMED}${conflict})`;
  return [[name], text];
}

export const IGNORE = "\n  ON CONFLICT DO NOTHING";

export function upsert(key: string, columns: readonly string[]): string {
  const sets = columns.map((column) => `${column} = excluded.${column}`);
  return `\n  ON CONFLICT (${key}) DO UPDATE SET ${sets.join(", ")}`;
}

/** A section that deletes the rows of runs, or those of them that also have such columns. */
export function gone(name: string, table: string, columns: readonly string[]): Section {
  const also = columns.map((column) => `\n    AND t.${column} = ${name}.${column}`).join("");
  const text = (context: Context): string => `${name}_done AS (
  DELETE FROM pawl.${table} AS t USING ${context.from(name)}
  WHERE t.org_id = ${name}.org_id AND t.run_id = ${name}.run_id${also} AND ${name}.ord ${IS_CONFIRMED})`;
  return [[name], text];
}
