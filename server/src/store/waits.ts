import type { Tenant } from "../model/caller.ts";
import { int, type Row, text } from "./row.ts";

/** Lists of waits. Their rows change with their run. */
export interface WaitStore {
  /** Open waits, oldest first. */
  listWaits(caller: Tenant, filter: WaitFilter): Promise<WaitPage>;
}

/** An open wait, as lists show it. What it waits for is in the journal; this is only kept beside it. */
export interface WaitRow {
  readonly key: string;
  /** One of the kinds of steps that are waits, or such a kind of waits that were closed. */
  readonly kind: string;
  readonly workflow: string;
  /** When it was registered, or closed, in ms since the epoch. */
  readonly since: number;
  /** When it is due, in ms since the epoch; 0: never. */
  readonly until: number;
  /** JSON text: what else lists show. */
  readonly data: string;
  /** Who may answer a question, `[""]` for anybody; `undefined` for all other waits. */
  readonly assignees: readonly string[] | undefined;
}

/** What a write changes about the run's waits; no key is both put and gone. */
export interface WaitChanges {
  /** Inserted, or replaced. */
  readonly put: readonly WaitRow[];
  /** Questions among those that nobody may answer any more. */
  readonly unasked?: readonly string[];
  readonly gone: readonly { readonly key: string; readonly isQuestion: boolean }[];
}

export interface ListedWait extends Omit<WaitRow, "assignees"> {
  readonly runId: string;
  readonly runUid: string;
  /** When the run was created, in ms since the epoch. */
  readonly createdAt: number;
}

export interface WaitFilter {
  /** At least one. */
  readonly kinds: readonly string[];
  /** Questions that name one of these; an empty name stands for those that anybody may answer. */
  readonly assignees?: readonly string[];
  readonly workflow?: string;
  readonly runId?: string;
  /** Newest first. Default: oldest first. */
  readonly newest?: true;
  readonly limit: number;
  readonly after?: WaitPlace;
}

/** A wait's place in the order of lists. */
export interface WaitPlace {
  readonly since: number;
  readonly runId: string;
  readonly key: string;
}

export interface WaitPage {
  readonly waits: ListedWait[];
  readonly more: boolean;
}

export function toListedWait(row: Row): ListedWait {
  return {
    runId: text(row, "run_id"),
    key: text(row, "step_key"),
    kind: text(row, "kind"),
    workflow: text(row, "workflow"),
    since: int(row, "since"),
    until: int(row, "until"),
    data: text(row, "data"),
    runUid: text(row, "run_uid"),
    createdAt: int(row, "created_at"),
  };
}
