/** What the schemas declare, in words that can be compared with a database. For tests only. */
import { is } from "drizzle-orm";
import * as pg from "drizzle-orm/pg-core";
import * as sqlite from "drizzle-orm/sqlite-core";
import * as postgresSchema from "./postgres/schema.ts";
import * as sqliteSchema from "./sqlite/schema.ts";

export interface TableShape {
  /** `name type`, with ` not null` where so; sorted. */
  readonly columns: string[];
  readonly primaryKey: string[];
  /** `name: column, column`; sorted. */
  readonly indexes: string[];
}

/** What both kinds of table have in common. */
interface Config {
  readonly name: string;
  readonly columns: readonly { name: string; notNull: boolean; getSQLType(): string }[];
  readonly primaryKeys: readonly { readonly columns: readonly { name: string }[] }[];
  readonly indexes: readonly {
    readonly config: { readonly name?: string | undefined; readonly columns: readonly object[] };
  }[];
}

/** The tables by name. */
export function declaredTables(kind: "sqlite" | "postgres"): Map<string, TableShape> {
  const configs: Config[] =
    kind === "sqlite"
      ? Object.values(sqliteSchema).flatMap((table) =>
          is(table, sqlite.SQLiteTable) ? [sqlite.getTableConfig(table)] : [],
        )
      : Object.values(postgresSchema).flatMap((table) =>
          is(table, pg.PgTable) ? [pg.getTableConfig(table)] : [],
        );
  return new Map(configs.map((config) => [config.name, toShape(config)]));
}

function toShape({ columns, primaryKeys, indexes }: Config): TableShape {
  return {
    columns: columns
      .map((c) => `${c.name} ${c.getSQLType()}${c.notNull ? " not null" : ""}`)
      .sort(),
    primaryKey: primaryKeys[0]?.columns.map(({ name }) => name) ?? [],
    indexes: indexes
      .map(({ config }) => {
        const keys = config.columns.map((c) => ("name" in c ? c.name : "an expression"));
        return `${config.name}: ${keys.join(", ")}`;
      })
      .sort(),
  };
}
