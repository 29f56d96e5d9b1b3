/**
 * The tables of the PostgreSQL store, in a schema of their own. Only the migration generator and
 * the tests import this file: the server itself runs the committed migrations and hand-written
 * statements. What drizzle cannot declare (fillfactor, autovacuum) is in the migration.
 */
import { sql } from "drizzle-orm";
import {
  bigint,
  customType,
  index,
  integer,
  type PgColumnBuilderBase,
  pgSchema,
  primaryKey,
  uniqueIndex,
} from "drizzle-orm/pg-core";
import { type Column, pick, type Table, toColumn } from "../table.ts";
import { TABLES } from "../tables.ts";

const pawl = pgSchema("pawl");

/** Compared byte by byte: cheap, and the same order whatever the database's locale is. */
const text = customType<{ data: string }>({ dataType: () => 'text COLLATE "C"' });
const bytea = customType<{ data: Uint8Array }>({ dataType: () => "bytea" });
/** Milliseconds, sizes, checksums: always below 2^53. */
const int8 = (name: string) => bigint(name, { mode: "number" });

type Columns = Readonly<Record<string, PgColumnBuilderBase>>;

function column(name: string, { type, isNullable, default: value }: Column) {
  const typed = () => {
    if (type === "bytes") return bytea(name);
    if (type === "text") return typeof value === "string" ? text(name).default(value) : text(name);
    const number = type === "int4" ? integer(name) : int8(name);
    return typeof value === "number" ? number.default(value) : number;
  };
  return isNullable === true ? typed() : typed().notNull();
}

function declare({ name, columns, key, indexes = [] }: Table, more: Columns = {}) {
  const declared = Object.entries(columns).map(([name, of]) => [name, column(name, toColumn(of))]);
  return pawl.table(name, { ...Object.fromEntries(declared), ...more }, (t) => [
    primaryKey({ columns: pick(t, key) }),
    ...indexes.map(({ name, on, where, isUnique }) => {
      const made = (isUnique === true ? uniqueIndex : index)(name).on(...pick(t, on));
      return where === undefined ? made : made.where(sql.raw(where));
    }),
  ]);
}

export const run = declare(TABLES.run, {
  run_uid: text("run_uid").notNull().default(sql`pawl.new_uid()`),
});
export const runTag = declare(TABLES.runTag);
export const journal = declare(TABLES.journal);
export const ready = declare(TABLES.ready);
export const due = declare(TABLES.due);
export const lease = declare(TABLES.lease);
export const payload = declare(TABLES.payload);
export const payloadRef = declare(TABLES.payloadRef);
export const workflow = declare(TABLES.workflow);
export const workerProcess = declare(TABLES.workerProcess);
export const worker = declare(TABLES.worker);
export const nudge = declare(TABLES.nudge);
export const wait = declare(TABLES.wait);
export const waitAssignee = declare(TABLES.assignee);
export const secret = declare(TABLES.secret);
export const delta = declare(TABLES.delta);
export const gate = declare(TABLES.gate);
export const held = declare(TABLES.held);
export const permit = declare(TABLES.permit);
export const apiKey = declare(TABLES.apiKey);
export const authEpoch = declare(TABLES.authEpoch);
