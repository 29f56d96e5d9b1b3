/**
 * Migrations. Goal: what they make is what the code declares, and no server ever works on a schema
 * that is not its own. Method: migrated databases are read back and compared with what tables.ts declares.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import pg from "pg";
import { describe, expect, test } from "vitest";
import type { TableShape } from "../../server/src/store/declared.ts";
import { declaredTables } from "../../server/src/store/declared.ts";
import { pendingMigrations, refuseToMigrate } from "../../server/src/store/migrations.ts";
import { migrate, needsMigration, openStore } from "../../server/src/store/open.ts";
import { INPUT_NAMES, SHAPES } from "../../server/src/store/postgres/commit.ts";
import { CHUNK } from "../../server/src/store/postgres/deltas.ts";
import * as postgresParts from "../../server/src/store/postgres/parts/index.ts";
import { runTypesOf, typeOf } from "../../server/src/store/postgres/parts/run-part.ts";
import { PATCH_COLUMNS, RUN_COLUMNS } from "../../server/src/store/run-columns.ts";
import * as sqliteParts from "../../server/src/store/sqlite/parts/index.ts";
import { createDatabase } from "../harness/database.ts";

describe("which migrations are pending", () => {
  const migration = (id: string, hash = `hash of ${id}`) => ({ id, hash, sql: "" });
  const known = [migration("0000_a"), migration("0001_b")];

  test("those that were not applied yet, in order", () => {
    expect(pendingMigrations(known, [])).toEqual(known);
    expect(pendingMigrations(known, known.slice(0, 1))).toEqual(known.slice(1));
    expect(pendingMigrations(known, known)).toEqual([]);
  });

  test("a newer or another schema is refused", () => {
    const newer = () => pendingMigrations(known, [...known, migration("0002_c")]);
    expect(newer).toThrow(/newer Pawl.*0002_c/);
    const other = () => pendingMigrations(known, [migration("0000_a", "other")]);
    expect(other).toThrow(/another version of migration 0000_a/);
  });

  test("a server that must not migrate says what to do", () => {
    expect(refuseToMigrate(known)).toMatchObject({ code: "SCHEMA_OLDER" });
    expect(refuseToMigrate(known).message).toMatch(/0000_a, 0001_b.*pawl migrate/);
  });
});

describe("what is deleted with a run", () => {
  const dialects = [
    ["sqlite", sqliteParts],
    ["postgres", postgresParts],
  ] as const;
  test.each(dialects)("%s: every table that has a run_id, but for the gates", (kind, parts) => {
    const tablesWith = (name: string) =>
      [...declaredTables(kind)].filter(([, { columns }]) =>
        columns.some((column) => column.startsWith(`${name} `)),
      );
    const tables = tablesWith("run_id");
    // A run that is deleted has ended: it stands before no gate, and its permits end by themselves.
    const others = ["run", "held", "permit"];
    const expected = tables.map(([name]) => name).filter((name) => !others.includes(name));
    expect([...parts.RUN_PARTS].sort()).toEqual(expected.sort());
    expect(parts.SUBJECT_PARTS).toEqual(tablesWith("subject").map(([name]) => name));
  });
});

/** Tables that belong to no organization; ARCHITECTURE.md names them. */
const WITHOUT_ORGANIZATION = ["auth_epoch"];

function withoutOrganization(tables: ReadonlyMap<string, TableShape>): string[] {
  const others = [...tables].filter(([, { primaryKey }]) => primaryKey[0] !== "org_id");
  return others.map(([name]) => name);
}

function shape(columns: string[], primaryKey: string[], indexes: string[]): TableShape {
  return { columns: columns.toSorted(), primaryKey, indexes: indexes.toSorted() };
}

const nullness = (notNull: boolean) => (notNull ? " not null" : "");

describe("SQLite", () => {
  function actual(db: DatabaseSync): Map<string, TableShape> {
    const list = (sql: string) => db.prepare(sql).all();
    const tables = list("SELECT name FROM sqlite_schema WHERE type = 'table'")
      .map(({ name }) => String(name))
      .filter((name) => name !== "migration");
    return new Map(
      tables.map((name) => {
        const columns = list(`PRAGMA table_info(${name})`);
        const indexes = list(`PRAGMA index_list(${name})`).filter(({ origin }) => origin === "c");
        return [
          name,
          shape(
            columns.map(
              (c) => `${c.name} ${String(c.type).toLowerCase()}${nullness(c.notnull === 1)}`,
            ),
            columns
              .filter(({ pk }) => pk !== 0)
              .sort((a, b) => Number(a.pk) - Number(b.pk))
              .map((c) => String(c.name)),
            indexes.map((index) => {
              const keys = list(`PRAGMA index_info(${index.name})`).map((c) => c.name);
              return `${index.name}: ${keys.join(", ")}`;
            }),
          ),
        ];
      }),
    );
  }

  test("migrated is declared, every key starts with the organization, all tables are strict", async () => {
    const folder = await mkdtemp(join(tmpdir(), "pawl-migrate-"));
    const path = join(folder, "pawl.db");
    try {
      expect(await needsMigration(path)).not.toEqual([]);
      const applied = await migrate(path);
      expect(applied[0]).toBe("0000_first");
      expect(await needsMigration(path)).toEqual([]);
      expect(await migrate(path)).toEqual([]);
      await (await openStore(path, { migrate: false })).close();
      const db = new DatabaseSync(path);
      const tables = actual(db);
      expect(tables).toEqual(declaredTables("sqlite"));
      expect(withoutOrganization(tables)).toEqual(WITHOUT_ORGANIZATION);
      const lax = db.prepare(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND strict = 0",
      );
      expect(lax.all().map(({ name }) => name)).toEqual(["sqlite_schema"]);
      db.close();
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe("PostgreSQL", () => {
  async function actual(client: pg.Client): Promise<Map<string, TableShape>> {
    const { rows } = await client.query<{
      name: string;
      columns: string[];
      key: string[];
      indexes: string[] | null;
    }>(`
      SELECT c.relname AS name,
        (SELECT array_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
          || CASE WHEN l.collname = 'C' THEN ' COLLATE "C"' ELSE '' END
          || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END)
          FROM pg_attribute a LEFT JOIN pg_collation l ON l.oid = a.attcollation
          WHERE a.attrelid = c.oid AND a.attnum > 0) AS columns,
        (SELECT array_agg(a.attname::text ORDER BY array_position(i.indkey::int2[], a.attnum))
          FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey)
          WHERE i.indrelid = c.oid AND i.indisprimary) AS key,
        (SELECT array_agg(x.relname || ': ' || (
            SELECT string_agg(a.attname, ', ' ORDER BY array_position(i.indkey::int2[], a.attnum))
            FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY(i.indkey)))
          FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
          WHERE i.indrelid = c.oid AND NOT i.indisprimary) AS indexes
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = 'pawl' AND c.relkind = 'r' AND c.relname <> 'migration'`);
    return new Map(rows.map((r) => [r.name, shape(r.columns, r.key, r.indexes ?? [])]));
  }

  test("migrated is declared, and every key starts with the organization", async () => {
    const url = await createDatabase("migrations");
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      expect(await needsMigration(url)).not.toEqual([]);
      expect((await migrate(url))[0]).toBe("0000_first");
      expect(await needsMigration(url)).toEqual([]);
      await (await openStore(url, { migrate: false })).close();
      const tables = await actual(client);
      expect(tables).toEqual(declaredTables("postgres"));
      expect(withoutOrganization(tables)).toEqual(WITHOUT_ORGANIZATION);
    } finally {
      await client.end();
    }
  });

  test("there is a type for the rows of each input relation", async () => {
    const url = await createDatabase("migrations");
    await migrate(url);
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      const { rows } = await client.query<{ name: string; columns: string[] }>(`
        SELECT c.relname AS name,
          array_agg(a.attname || ' ' || t.typname ORDER BY a.attnum) AS columns
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
        WHERE n.nspname = 'pawl' AND c.relkind = 'c' GROUP BY c.relname`);
      // Servers of an earlier version write rows of runs with another number of columns.
      const isOld = (name: string) =>
        /^(born|birth|patch)(_\d+)?_input$/.test(name) &&
        !INPUT_NAMES.some((input) => name === `${typeOf(input)}_input`);
      const current = rows.filter(({ name }) => !isOld(name));
      const bare = (shape: object) =>
        Object.entries(shape).map(([name, type]) => `${name} ${String(type).replace("?", "")}`);
      const ofRun = { patch: PATCH_COLUMNS, birth: RUN_COLUMNS };
      const declared = INPUT_NAMES.map((name) => {
        const columns = name === "patch" || name === "birth" ? ofRun[name] : [];
        const more = runTypesOf(name).map((type, i) => `${columns[i]} ${type}`);
        return { name: `${typeOf(name)}_input`, columns: [...bare(SHAPES[name] ?? {}), ...more] };
      });
      declared.push({ name: "chunk_input", columns: bare(CHUNK) });
      // Some inputs share a type.
      const distinct = [...new Map(declared.map((type) => [type.name, type])).values()];
      const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
      expect(current.sort(byName)).toEqual(distinct.sort(byName));
    } finally {
      await client.end();
    }
  });

  test("several replicas that start at once migrate once", async () => {
    const url = await createDatabase("migrations");
    const stores = await Promise.all([1, 2, 3].map(() => openStore(url)));
    await Promise.all(stores.map((store) => store.ping()));
    await Promise.all(stores.map((store) => store.close()));
  });

  test("a newer schema is refused", async () => {
    const url = await createDatabase("migrations");
    await migrate(url);
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query("INSERT INTO pawl.migration VALUES ('9999_future', 'x')");
    await client.end();
    await expect(openStore(url)).rejects.toMatchObject({ code: "SCHEMA_NEWER" });
    await expect(migrate(url)).rejects.toMatchObject({ code: "SCHEMA_NEWER" });
  });
});
