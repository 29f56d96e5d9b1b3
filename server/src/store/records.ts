/**
 * Records: aggregates besides runs, each one row that is written whole under a revision of its own. A
 * kind is declared once, in {@link RECORDS}; the statements of both stores, what is written and what is
 * read follow from it. A batch writes them in the transaction of its runs.
 */
import type { WorkflowRow } from "./registry.ts";
import type { Row } from "./row.ts";
import { int, text } from "./row.ts";
import { StoreError } from "./store-error.ts";
import type { Table, Column as TableColumn } from "./table.ts";

export interface RecordStore {
  /** Returns the records in the order asked; `undefined` where there is none. */
  loadRecords(refs: readonly RecordRef[]): Promise<(StoredRecord | undefined)[]>;
}

export interface RecordRef {
  readonly kind: RecordKind;
  readonly org: string;
  readonly id: string;
}

/** The values of a record by the names of their columns. */
export type RecordRow = Readonly<Record<string, string | number>>;

export interface StoredRecord {
  /** Counts its writes from 1. */
  readonly revision: number;
  readonly row: RecordRow;
}

export interface RecordWrite extends RecordRef {
  /** The revision that must be there; 0: the record must not exist. */
  readonly expect: number;
  readonly row: RecordRow;
}

export interface RecordTable<T> {
  readonly kind: RecordKind;
  /** The column of the id. */
  readonly key: string;
  /** The columns without `org_id` and `revision`. */
  readonly columns: readonly string[];
  readonly declared: Table;
  write(value: T): RecordRow;
  read(row: Row): T;
}

interface Column<V> extends TableColumn {
  readonly name: string;
  readonly write: (value: V) => string | number;
  readonly read: (row: Row) => V;
}

function texts(name: string, more: Pick<TableColumn, "default"> = {}): Column<string> {
  return { ...more, name, type: "text", write: (value) => value, read: (row) => text(row, name) };
}

function integer(name: string): Column<number> {
  return { name, type: "int8", write: (value) => value, read: (row) => int(row, name) };
}

function json<V>(name: string): Column<V> {
  return {
    name,
    type: "text",
    write: (value) => JSON.stringify(value),
    read: (row) => JSON.parse(text(row, name)) as V,
  };
}

function table<T extends object>(
  kind: RecordKind,
  key: string,
  columns: { readonly [F in keyof T]-?: Column<T[F]> },
): RecordTable<T> {
  const fields = Object.keys(columns).filter(
    (field): field is keyof T & string => field in columns,
  );
  const isWhole = (value: Partial<T>): value is T => fields.every((field) => field in value);
  return {
    kind,
    key,
    columns: fields.map((field) => columns[field].name),
    declared: {
      name: kind,
      columns: {
        org_id: "text",
        ...Object.fromEntries(fields.map((field) => [columns[field].name, columns[field]])),
        revision: { type: "int4", default: 1 },
      },
      key: ["org_id", key],
    },
    write: (value) =>
      Object.fromEntries(
        fields.map((field) => [columns[field].name, columns[field].write(value[field])]),
      ),
    read(row) {
      const value: Partial<T> = {};
      for (const field of fields) value[field] = columns[field].read(row);
      if (!isWhole(value)) throw new StoreError(`A ${kind} was read without some of its columns.`);
      return value;
    },
  };
}

export type RecordKind = "workflow";

/** Workflows as workers registered them. `flow` and `timeouts` are JSON; empty: none. */
export const WORKFLOWS = table<WorkflowRow>("workflow", "name", {
  name: texts("name"),
  version: texts("version"),
  description: texts("description"),
  inputSchema: texts("input_schema"),
  outputSchema: texts("output_schema"),
  metadata: texts("metadata"),
  flow: texts("flow", { default: "" }),
  timeouts: texts("timeouts", { default: "" }),
  versions: json("versions"),
  registeredAt: integer("registered_at"),
});

const RECORDS: { readonly [K in RecordKind]: Pick<RecordTable<never>, "key" | "columns"> } = {
  workflow: WORKFLOWS,
};

export const RECORD_TABLES = { workflow: WORKFLOWS.declared };

/** A statement, with `?` for each of its values. */
export interface RecordStatement {
  readonly sql: string;
  readonly values: readonly (string | number)[];
}

/** @param schema what the names of tables begin with */
export function loadStatement(schema: string, { kind, org, id }: RecordRef): RecordStatement {
  const { key, columns } = RECORDS[kind];
  const sql = `SELECT ${columns.join(", ")}, revision FROM ${schema}${kind} WHERE org_id = ? AND ${key} = ?`;
  return { sql, values: [org, id] };
}

/** Changes one row if the record is as expected, and none otherwise. */
export function recordStatement(schema: string, write: RecordWrite): RecordStatement {
  const { kind, org, id, expect, row } = write;
  const { key, columns } = RECORDS[kind];
  const values = columns.map((column) => row[column] ?? "");
  if (expect === 0) {
    const sql = `INSERT INTO ${schema}${kind} (org_id, ${columns.join(", ")})
VALUES (?${", ?".repeat(columns.length)}) ON CONFLICT DO NOTHING`;
    return { sql, values: [org, ...values] };
  }
  const sql = `UPDATE ${schema}${kind} SET revision = revision + 1, ${columns.map((column) => `${column} = ?`).join(", ")}
WHERE org_id = ? AND ${key} = ? AND revision = ?`;
  return { sql, values: [...values, org, id, expect] };
}

export function toRecord(row: Row): StoredRecord {
  const values: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(row)) {
    if (typeof value !== "string" && typeof value !== "number")
      throw new StoreError(`Column ${name} holds ${typeof value}.`);
    values[name] = value;
  }
  return { revision: int(row, "revision"), row: values };
}
