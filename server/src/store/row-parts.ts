/**
 * What belongs to a run and consists of rows that are put and removed. Each kind of change is declared
 * once; the statements of both stores follow from it, and its rows go with the run.
 */
import type { Lease } from "../model/run.ts";
import type { ReadyRow } from "./runs.ts";
import type { Table } from "./table.ts";
import type { WaitChanges } from "./waits.ts";

/** The columns of a table in the order of the input type in PostgreSQL, which begins with `ord`. */
type Columns = Readonly<Record<string, "int4" | "int8" | "text">>;
type RowOf<C extends Columns> = {
  readonly [N in keyof C]: C[N] extends "text" ? string : number;
};

export interface TableRows extends Table {
  readonly columns: Columns;
  /** The columns that a row that is put again replaces; none: the first row stays. */
  readonly replaced: readonly string[];
  /** The columns besides those of the run by which rows are removed; absent: they never are. */
  readonly removedBy?: readonly string[];
}

export type RowTables = Readonly<Record<string, TableRows>>;

/** The columns with which every row begins. */
type RunColumns = { readonly org_id: string; readonly run_id: string };

interface Rows<T extends RowTables> {
  put<N extends keyof T & string>(name: N, row: RowOf<T[N]["columns"]>): void;
  /** @param row the run, and the values of `removedBy` */
  remove(name: keyof T & string, row: RunColumns & Readonly<Record<string, string>>): void;
}

/** @typeParam Change what a write says of it */
export interface RowPart<Change, T extends RowTables = RowTables> {
  /** The tables by the names of their inputs. */
  readonly tables: T;
  readonly addRows: (rows: AnyRows, run: RunColumns, change: Change) => void;
}

/** Takes the rows in the order of their execution. */
export interface AnyRows {
  readonly put: (name: string, row: Readonly<Record<string, string | number>>) => void;
  readonly remove: (name: string, row: Readonly<Record<string, string>>) => void;
}

function part<Change>() {
  return <const T extends RowTables>(
    tables: T,
    addRows: (rows: Rows<T>, run: RunColumns, change: Change) => void,
  ): RowPart<Change, T> => ({ tables, addRows });
}

const RUN = { org_id: "text", run_id: "text" } as const;
const RUN_KEY = ["org_id", "run_id"] as const;

/** Of a place in the ready queue. */
export const READY_COLUMNS = {
  ...RUN,
  queue: "text",
  lane: "text",
  rank: "int4",
  ready_at: "int8",
} as const;

/** Runs that wait for a worker. The change puts the run into its queue, or takes it out. */
const ready = part<ReadyRow | "remove">()(
  {
    ready: {
      name: "ready",
      columns: READY_COLUMNS,
      key: RUN_KEY,
      indexes: [
        { name: "ready_order", on: ["org_id", "queue", "lane", "rank", "ready_at", "run_id"] },
      ],
      replaced: ["queue", "lane", "rank", "ready_at"],
      removedBy: [],
    },
  },
  (rows, run, change) => {
    if (change === "remove") rows.remove("ready", run);
    else {
      const { queue, lane, rank, readyAt } = change;
      rows.put("ready", { ...run, queue, lane, rank, ready_at: readyAt });
    }
  },
);

/**
 * Who holds which run. Renewals rewrite `until` all the time, so that no index contains it: what has
 * expired is found by reading the leases, which are few. The change gives the run a lease, or takes it away.
 */
const lease = part<Lease | "remove">()(
  {
    lease: {
      name: "lease",
      columns: { ...RUN, connection_id: "text", worker_id: "text", until: "int8" },
      key: RUN_KEY,
      indexes: [{ name: "lease_connection", on: ["connection_id"] }],
      replaced: ["connection_id", "worker_id", "until"],
      removedBy: [],
    },
  },
  (rows, run, change) => {
    if (change === "remove") rows.remove("lease", run);
    else {
      const { connectionId, workerId, until } = change;
      rows.put("lease", { ...run, connection_id: connectionId, worker_id: workerId, until });
    }
  },
);

/**
 * Open waits, for lists across runs; what they wait for is in the journal. A list always names the
 * kind, so that few questions are found among many timers. `wait_assignee` says who may answer which
 * question, with an empty name for one that anybody may answer.
 */
const waits = part<WaitChanges>()(
  {
    wait: {
      name: "wait",
      columns: {
        ...RUN,
        step_key: "text",
        kind: "text",
        workflow: "text",
        since: "int8",
        until: "int8",
        data: "text",
      },
      key: [...RUN_KEY, "step_key"],
      indexes: [
        { name: "wait_kind", on: ["org_id", "kind", "since", "run_id", "step_key"] },
        {
          name: "wait_workflow",
          on: ["org_id", "workflow", "kind", "since", "run_id", "step_key"],
        },
      ],
      replaced: ["kind", "since", "until", "data"],
      removedBy: ["step_key"],
    },
    assignee: {
      name: "wait_assignee",
      columns: {
        org_id: "text",
        assignee: "text",
        since: "int8",
        run_id: "text",
        step_key: "text",
      },
      key: ["org_id", "assignee", "since", "run_id", "step_key"],
      indexes: [{ name: "wait_assignee_run", on: ["org_id", "run_id", "step_key"] }],
      replaced: [],
      removedBy: ["step_key"],
    },
  },
  (rows, run, { put, gone, unasked = [] }) => {
    for (const { key: step_key, isQuestion } of gone) {
      rows.remove("wait", { ...run, step_key });
      if (isQuestion) rows.remove("assignee", { ...run, step_key });
    }
    for (const step_key of unasked) rows.remove("assignee", { ...run, step_key });
    for (const { key: step_key, kind, workflow, since, until, data, assignees } of put) {
      rows.put("wait", { ...run, step_key, kind, workflow, since, until, data });
      for (const assignee of assignees ?? []) {
        rows.put("assignee", { ...run, assignee, since, step_key });
      }
    }
  },
);

/** Messages to another replica, whose connection holds the run: look at this run. */
const nudge = part<string>()(
  {
    nudge: {
      name: "nudge",
      columns: { ...RUN, replica_id: "text" },
      key: [...RUN_KEY, "replica_id"],
      indexes: [{ name: "nudge_replica", on: ["replica_id"] }],
      replaced: [],
    },
  },
  (rows, run, replica_id) => rows.put("nudge", { ...run, replica_id }),
);

const PARTS = { ready, lease, waits, nudge };

export const ROW_TABLES = { ...ready.tables, ...lease.tables, ...waits.tables, ...nudge.tables };

export type RowChange = keyof typeof PARTS;
export type RowChanges = {
  readonly [C in RowChange]: (typeof PARTS)[C] extends RowPart<infer Change> ? Change : never;
};

export const ROW_PARTS: { readonly [C in RowChange]: RowPart<RowChanges[C]> } = PARTS;

export const ROW_CHANGES = Object.keys(ROW_PARTS).filter(
  (name): name is RowChange => name in ROW_PARTS,
);

/** What a store makes of each of the parts. */
export type PerRowPart<Made extends Record<RowChange, unknown>> = {
  -readonly [C in RowChange]?: Made[C];
};

export function isWhole<Made extends Record<RowChange, unknown>>(
  made: PerRowPart<Made>,
): made is Pick<Made, RowChange> {
  return ROW_CHANGES.every((name) => name in made);
}
