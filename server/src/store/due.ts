import type { Subject } from "../model/ids.ts";

/** What happens later. */
export interface DueStore {
  /**
   * Due work, oldest first, with the time of the next one that is not due yet. If more is due than
   * the limit, each organization gets an equal share of it. With `holdUntil` it is the caller's until then: where servers share the store, it is due for the others only after
   * that.
   */
  due(now: number, limit: number, holdUntil?: number): Promise<DuePage>;
}

/**
 * What happens later to a run: `start` (delayed start), `wait` (a wait's timer or timeout),
 * `remind` (a question's next reminder),
 * `retry` (a suspended step's next attempt), `attempt` (a step's timeout), `run` and `queue`
 * (timeouts), `grace` (end of a clean-up), `child` (a child run has ended), `parent` (the parent has ended).
 */
export type DueKind =
  | "start"
  | "wait"
  | "remind"
  | "retry"
  | "attempt"
  | "run"
  | "queue"
  | "grace"
  | "child"
  | "parent"
  | "unwanted";

export interface DueRow {
  readonly kind: DueKind;
  /** Step key, where the kind has one; for the end of a child a name of that end; else empty. */
  readonly key: string;
  readonly at: number;
  /** For `attempt` the attempt, for `child` the child run id, for `parent` and `unwanted` the parent's; else empty. */
  readonly data: string;
}

/** Removes a row; with `upTo` only if it is not due later: what was put meanwhile stays. */
export interface DueRemoval {
  readonly kind: DueKind;
  readonly key: string;
  readonly upTo?: number;
}

/** What a write changes about what happens later. */
export interface DueWrite {
  readonly put: readonly DueRow[];
  readonly remove: readonly DueRemoval[];
  /** Removes all due work of the run before `put`. */
  readonly isCleared?: true;
  /**
   * Due work for other runs: the parent of a child that ended. Put after all writes of the batch,
   * where the other run exists then.
   */
  readonly elsewhere: readonly { readonly runId: string; readonly row: DueRow }[];
}

/** Later than anything that is due. */
export const ANY_TIME = Number.MAX_SAFE_INTEGER;

export interface DueItem extends DueRow {
  readonly org: string;
  readonly subject: Subject;
  /** Where it is held: what the row's `at` is now. */
  readonly heldUntil?: number;
}

export interface DuePage {
  readonly items: DueItem[];
  readonly nextAt: number | undefined;
}
