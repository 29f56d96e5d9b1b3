/**
 * The columns of a run's row, each once. The statements of both stores, the values that they write,
 * the header that they read and the tables that they declare follow from this list. Its order is
 * that of the columns in statements and input rows; a new column goes to the end.
 */
import type { RunHeader, RunNotes, Waiting } from "../model/run.ts";
import { INTENTS, RUN_REASONS, RUN_STATUSES } from "../model/run.ts";
import type { Row } from "./row.ts";
import { int, text, toLease } from "./row.ts";
import { StoreError } from "./store-error.ts";
import type { Column as TableColumn } from "./table.ts";

/** The fields of a header that have a column. `notes` is in that of `waiting`. */
type Field = Exclude<keyof RunHeader, "lease" | "notes">;
type FieldsOf<T> = { [F in Field]: RunHeader[F] extends T ? F : never }[Field];
type Value = string | number | null;

interface Column<F extends Field, T, M extends boolean> {
  readonly name: string;
  readonly type: "int4" | "int8" | "text";
  readonly isNullable?: true;
  /** Whether it changes after the run was made: such columns are written whole by a patch. */
  readonly isMutable: M;
  readonly write: (run: Pick<RunHeader, F | "notes">) => Value;
  readonly read: (row: Row) => T;
}

function number<F extends FieldsOf<number>, const M extends boolean>(
  field: F,
  name: string,
  type: "int4" | "int8",
  isMutable: M,
): Column<F, number, M> {
  return { name, type, isMutable, write: (run) => run[field], read: (row) => int(row, name) };
}

function string<F extends FieldsOf<string>>(field: F, name: string): Column<F, string, false> {
  const read = (row: Row): string => text(row, name);
  return { name, type: "text", isMutable: false, write: (run) => run[field], read };
}

/** A text that is one of a closed set. */
function word<F extends FieldsOf<string>, T extends string>(
  field: F,
  name: string,
  words: readonly T[],
): Column<F, T, true> {
  const read = (row: Row): T => {
    const value = text(row, name);
    const word = words.find((one) => one === value);
    if (word === undefined) throw new StoreError(`Column ${name} holds the unknown "${value}".`);
    return word;
  };
  return { name, type: "text", isMutable: true, write: (run) => run[field], read };
}

function json<F extends Field, const M extends boolean>(
  field: F,
  name: string,
  isMutable: M,
): Column<F, RunHeader[F], M> {
  const read = (row: Row): RunHeader[F] => JSON.parse(text(row, name)) as RunHeader[F];
  return { name, type: "text", isMutable, write: (run) => JSON.stringify(run[field]), read };
}

const waiting: Column<"waiting", RunHeader["waiting"], true> = {
  name: "waiting",
  type: "text",
  isNullable: true,
  isMutable: true,
  write: ({ waiting, notes }) => {
    if (Object.keys(notes).length > 0) return JSON.stringify({ ...waiting, notes });
    return waiting === null ? null : JSON.stringify(waiting);
  },
  read: (row) => {
    const { tree, waits } = readWaiting(row);
    return tree === undefined || waits === undefined ? null : { tree, waits };
  },
};

function readWaiting({ waiting }: Row): Partial<Waiting> & { readonly notes?: RunNotes } {
  return typeof waiting === "string" ? (JSON.parse(waiting) as Partial<Waiting>) : {};
}

const FIXED = false;
const MUTABLE = true;

export const RUN = {
  org: string("org", "org_id"),
  runId: string("runId", "run_id"),
  seq: number("seq", "seq", "int4", FIXED),
  updatedAt: number("updatedAt", "updated_at", "int8", FIXED),
  fence: number("fence", "fence", "int4", MUTABLE),
  status: word("status", "status", RUN_STATUSES),
  reason: word("reason", "reason", RUN_REASONS),
  intent: word("intent", "intent", INTENTS),
  attempt: number("attempt", "attempt", "int4", MUTABLE),
  crashes: number("crashes", "crashes", "int4", MUTABLE),
  priority: number("priority", "priority", "int4", FIXED),
  createdAt: number("createdAt", "created_at", "int8", FIXED),
  startAt: number("startAt", "start_at", "int8", FIXED),
  startedAt: number("startedAt", "started_at", "int8", MUTABLE),
  endedAt: number("endedAt", "ended_at", "int8", MUTABLE),
  workflow: string("workflow", "workflow"),
  version: string("version", "version"),
  queue: string("queue", "queue"),
  inputDigest: string("inputDigest", "input_digest"),
  parentRunId: string("parentRunId", "parent_run_id"),
  parentKey: string("parentKey", "parent_key"),
  options: json("options", "options", FIXED),
  tags: json("tags", "tags", MUTABLE),
  waiting,
  runUid: string("runUid", "run_uid"),
} satisfies { readonly [F in Field]: Column<F, RunHeader[F], boolean> };

type MutableField = { [F in Field]: (typeof RUN)[F]["isMutable"] extends true ? F : never }[Field];

/** The mutable columns, whole: writing all of them keeps the statement one and the same. */
export type HeaderPatch = Pick<RunHeader, MutableField | "notes">;

const FIELDS = Object.keys(RUN).filter((field): field is Field => field in RUN);
const PATCHED = FIELDS.filter((field): field is MutableField => RUN[field].isMutable);

const COLUMNS: { readonly [F in Field]: Column<F, RunHeader[F], boolean> } = RUN;

export const RUN_COLUMNS = FIELDS.map((field) => RUN[field].name);
export const PATCH_COLUMNS = PATCHED.map((field) => RUN[field].name);
export const RUN_TYPES = FIELDS.map((field) => RUN[field].type);
export const PATCH_TYPES = PATCHED.map((field) => RUN[field].type);

/** The columns that `tables.ts` declares. */
export const RUN_TABLE_COLUMNS = Object.fromEntries(
  FIELDS.map((field): [string, TableColumn] => [RUN[field].name, COLUMNS[field]]),
);

/** The values of {@link RUN_COLUMNS}. */
export function runValues(run: RunHeader): Value[] {
  return FIELDS.map((field) => RUN[field].write(run));
}

/** The values of {@link PATCH_COLUMNS}. */
export function patchValues(patch: HeaderPatch): Value[] {
  return PATCHED.map((field) => RUN[field].write(patch));
}

const NO_NOTES: RunNotes = Object.freeze({});

/** Reads the run's columns and, where there is a lease, `connection_id`, `worker_id`, `until`. */
export function toHeader(row: Row): RunHeader {
  const run: PartOfRun = {};
  for (const field of FIELDS) readField(run, field, row);
  if (!isWhole(run, FIELDS)) throw new StoreError("A run was read without some of its columns.");
  const lease = typeof row.connection_id === "string" ? toLease(row) : null;
  return { ...run, notes: readWaiting(row).notes ?? NO_NOTES, lease };
}

/** What a patch writes of a header. */
export function patchOf(header: RunHeader): HeaderPatch {
  const patch: PartOfRun = {};
  for (const field of PATCHED) copyField(patch, field, header);
  if (!isWhole(patch, PATCHED)) throw new TypeError("A header lacks a mutable field.");
  return { ...patch, notes: header.notes };
}

type PartOfRun = { -readonly [F in Field]?: RunHeader[F] };

function readField<F extends Field>(run: PartOfRun, field: F, row: Row): void {
  run[field] = COLUMNS[field].read(row);
}

function copyField<F extends Field>(run: PartOfRun, field: F, header: RunHeader): void {
  run[field] = header[field];
}

function isWhole<F extends Field>(run: PartOfRun, fields: readonly F[]): run is Pick<RunHeader, F> {
  return fields.every((field) => run[field] !== undefined);
}
