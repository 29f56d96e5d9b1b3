import { BOUNDS } from "../../model/bounds.ts";
import { storeUnavailable } from "../../model/errors.ts";
import type { RecordRef, RecordTable, RecordWrite, StoredRecord } from "../../store/records.ts";
import type { Store } from "../../store/store.ts";
import type { Item } from "../write-batch.ts";

/** A command on one record, which need not exist. */
export interface RecordCommand<T, R> {
  readonly table: RecordTable<T>;
  readonly org: string;
  readonly id: string;
  /** Pure. Without a value nothing is written. */
  readonly decide: (found: T | undefined) => { readonly value?: T; readonly reply: R };
}

/** What an item changes about a record. */
export interface RecordChange {
  readonly ref: RecordRef;
  /** Decides; keeps the answer or the refusal until the item is done. */
  readonly apply: (row: StoredRecord["row"] | undefined) => StoredRecord["row"] | undefined;
}

export function recordItem<T, R>(
  { table, org, id, decide }: RecordCommand<T, R>,
  since: number,
  resolve: (reply: R) => void,
  reject: (error: unknown) => void,
): Item {
  let settle = (): void => undefined;
  return {
    key: `${table.kind}\n${org}\n${id}`,
    org,
    runId: "",
    bytes: 1_000,
    since,
    tries: 0,
    mustBeFresh: false,
    claim: undefined,
    record: {
      ref: { kind: table.kind, org, id },
      apply(row) {
        try {
          const { value, reply } = decide(row === undefined ? undefined : table.read(row));
          settle = () => resolve(reply);
          return value === undefined ? undefined : table.write(value);
        } catch (error) {
          settle = () => reject(error);
          return undefined;
        }
      },
    },
    fence: undefined,
    create: undefined,
    apply() {
      // The item changes no run.
    },
    refused: () => false,
    done: () => settle(),
    fail: reject,
  };
}

interface Group {
  readonly ref: RecordRef;
  readonly items: Item[];
  expect: number;
  row: StoredRecord["row"] | undefined;
  isChanged: boolean;
}

/** The commands of one batch that concern records. Records are read for each batch. */
export class RecordBatch {
  readonly #groups = new Map<string, Group>();
  #changed: Group[] = [];

  constructor(items: readonly Item[]) {
    for (const item of items) {
      if (item.record === undefined) continue;
      const group = this.#groups.get(item.key);
      if (group !== undefined) group.items.push(item);
      else {
        const { ref } = item.record;
        const row = { expect: 0, row: undefined, isChanged: false };
        this.#groups.set(item.key, { ref, items: [item], ...row });
      }
    }
  }

  /** Reads the records and decides. @returns what is to be written */
  async decide(store: Store): Promise<RecordWrite[]> {
    const groups = [...this.#groups.values()];
    if (groups.length === 0) return [];
    const found = await store.loadRecords(groups.map(({ ref }) => ref));
    for (const [index, group] of groups.entries()) {
      group.expect = found[index]?.revision ?? 0;
      group.row = found[index]?.row;
      for (const item of group.items) {
        const row = item.record?.apply(group.row);
        if (row === undefined) continue;
        group.row = row;
        group.isChanged = true;
      }
    }
    this.#changed = groups.filter(({ isChanged }) => isChanged);
    return this.#changed.map(({ ref, expect, row }) => ({ ...ref, expect, row: row ?? {} }));
  }

  /**
   * @param confirmed for each write, whether it was applied
   * @returns what is to be decided anew, for the record was not what it was taken for
   */
  settle(confirmed: readonly boolean[]): Item[] {
    const refused = new Set(this.#changed.filter((_, index) => confirmed[index] !== true));
    const again: Item[] = [];
    for (const group of this.#groups.values()) {
      for (const item of group.items) {
        if (!refused.has(group)) item.done(undefined);
        else if (item.tries < BOUNDS.decideAttempts) {
          item.tries += 1;
          again.push(item);
        } else {
          const { kind, id } = group.ref;
          item.fail(storeUnavailable(new Error(`${kind} ${id} kept changing under decisions`)));
        }
      }
    }
    return again;
  }
}
