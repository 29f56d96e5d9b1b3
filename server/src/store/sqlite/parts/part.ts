import type { Change, Changes } from "../../changes.ts";
import type { ColumnWrite } from "../../entry.ts";
import type { Database } from "../database.ts";

/** How one kind of change is written. What a part writes belongs to the run. */
export interface Part<C extends Change> {
  /** The tables that it writes; what they hold of a run goes with it. */
  readonly tables: readonly string[];
  /** The same, for tables whose rows name the run as a subject. */
  readonly subjectTables?: readonly string[];
  /** Whether the write may be applied at all; called before anything is written. */
  readonly check?: (db: Database, write: ColumnWrite, change: Changes[C]) => boolean;
  readonly apply: (db: Database, write: ColumnWrite, change: Changes[C], now: number) => void;
  /** Called after all writes of the batch. */
  readonly finish?: (db: Database, write: ColumnWrite, change: Changes[C]) => void;
}
