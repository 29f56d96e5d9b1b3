/**
 * Compares the runs that a worker says it holds with those that this server takes it to hold. Both
 * differ for a moment while an outcome or a cancel is under way, so a difference counts only when two
 * heartbeats in a row show it. Whatever made it, it is healed: a worker that has left a run without a
 * word would otherwise keep its lease for ever.
 */
import { runKey } from "../../model/ids.ts";
import type { HeldRun, LocalConnection } from "./connections.ts";
import type { HeldLease } from "./worker-types.ts";

export interface Differences {
  /** Runs that the worker does not hold under the fence that it was given. `isNamed`: under another one. */
  readonly left: readonly {
    readonly key: string;
    readonly run: HeldRun;
    readonly isNamed: boolean;
  }[];
  /** Runs that only the worker knows of. */
  readonly unknown: readonly HeldLease[];
}

/** A dispatch that was not acknowledged may be on its way, so it is not compared. */
export function compareHeld(connection: LocalConnection, named: readonly HeldLease[]): Differences {
  const byKey = new Map(named.map((lease) => [runKey(connection.org, lease.runId), lease]));
  const left: { key: string; run: HeldRun; isNamed: boolean }[] = [];
  for (const [key, run] of connection.held) {
    if (!run.acked) continue;
    const lease = byKey.get(key);
    const isMissing = lease?.fence !== run.fence;
    if (isMissing && run.isMissing) left.push({ key, run, isNamed: lease !== undefined });
    run.isMissing = isMissing;
  }
  const unknown: HeldLease[] = [];
  const seen = new Set<string>();
  for (const [key, lease] of byKey) {
    if (connection.held.has(key)) continue;
    const id = `${key}\n${lease.fence}`;
    if (connection.unknown.has(id)) unknown.push(lease);
    else seen.add(id);
  }
  connection.unknown = seen;
  return { left, unknown };
}
