/** How a table is declared once for both stores. */

type Some<T> = readonly [T, ...T[]];

export interface Column {
  readonly type: "int4" | "int8" | "text" | "bytes";
  readonly isNullable?: true;
  readonly default?: string | number;
}

export interface Index<Name extends string = string> {
  readonly name: string;
  readonly on: Some<Name>;
  readonly where?: string;
  readonly isUnique?: true;
}

export interface Table<Name extends string = string> {
  readonly name: string;
  readonly columns: Readonly<Record<Name, Column | Column["type"]>>;
  /** The columns of the primary key. */
  readonly key: Some<NoInfer<Name>>;
  readonly indexes?: readonly Index<NoInfer<Name>>[];
}

/** Checks that the key and the indexes consist of columns. */
export function table<Name extends string>(declared: Table<Name>): Table {
  return declared;
}

export function toColumn(declared: Column | Column["type"]): Column {
  return typeof declared === "string" ? { type: declared } : declared;
}

/** What `all` has under these names. */
export function pick<T>(all: Readonly<Record<string, T>>, [first, ...rest]: Some<string>) {
  const of = (name: string): T => {
    const found = all[name];
    if (found === undefined) throw new TypeError(`An index names the unknown column ${name}.`);
    return found;
  };
  const picked: [T, ...T[]] = [of(first), ...rest.map(of)];
  return picked;
}
