import { Signal } from "../lib/signal.ts";
import type { Entry } from "../model/entry.ts";
import type { RunHeader } from "../model/run.ts";
import type { ClaimedRun } from "../store/runs.ts";
import type { CommittedRun } from "./writer.ts";

export interface OutdatedWrite {
  readonly key: string;
  readonly header: RunHeader;
}

export interface GivenRun {
  readonly header: RunHeader;
  /** Its whole journal, if that is its start alone; any more is read in pages that a dispatch can hold. */
  readonly entries: Entry[] | undefined;
}

/** What happens within the engine. All of it only saves time: loops read the store for what was missed. */
export interface EngineSignals {
  readonly committed: Signal<readonly CommittedRun[]>;
  /** A worker has written under a fence that is the run's no more; it is not answered yet. */
  readonly outdated: Signal<OutdatedWrite>;
  /** A run was taken from the ready queue for a connection. */
  readonly claimed: Signal<ClaimedRun>;
  /** A run was given to a connection in the commit that made it ready. */
  readonly given: Signal<GivenRun>;
  /** Deltas of these runs, by key, are on record. */
  readonly deltasKept: Signal<readonly string[]>;
  /** `perhaps`: another server may have made some ready. */
  readonly runsReady: Signal<"surely" | "perhaps">;
  /** Something is due at that time, in ms since the epoch. */
  readonly dueAt: Signal<number>;
  /** Runs that are held back may pass their limits. */
  readonly gatesChanged: Signal;
  /** The store works again; what failed may have been committed. */
  readonly recovered: Signal;
  /** Another server has written something, or may have. */
  readonly runsChanged: Signal;
  /** Another server has written deltas. */
  readonly deltasChanged: Signal;
}

export function createSignals(): EngineSignals {
  return {
    committed: new Signal(),
    outdated: new Signal(),
    claimed: new Signal(),
    given: new Signal(),
    deltasKept: new Signal(),
    runsReady: new Signal(),
    dueAt: new Signal(),
    gatesChanged: new Signal(),
    recovered: new Signal(),
    runsChanged: new Signal(),
    deltasChanged: new Signal(),
  };
}
