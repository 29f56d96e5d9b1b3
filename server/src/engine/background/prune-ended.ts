import type { Clock } from "../../lib/clock.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { PawlError } from "../../model/errors.ts";
import type { EndedPlace, EndedRun } from "../../store/retention.ts";
import type { Store } from "../../store/store.ts";
import { pruneRun } from "../decide/lifecycle-rules.ts";
import type { Writer } from "../writer.ts";
import type { BackgroundTask } from "./background-task.ts";

export interface PruneEndedParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly writer: Writer;
}

const START: EndedPlace = { org: "", endedAt: 0, runId: "" };
/** It works for at most a tenth of the time: where the store is busy, it is slower. */
const PAUSE_FACTOR = 9;
const PAUSE_MS = 50;

/**
 * Deletes runs that ended long ago with all that belongs to them, some at a time. A run stays while its
 * parent is there or a child of it is alive. Several servers may do this at once, and find
 * runs gone.
 *
 * @param keepMs how long runs are kept after their end
 */
export function pruneEnded(
  { store, clock, writer }: PruneEndedParts,
  keepMs: number,
): BackgroundTask {
  let place = START;
  let hasDeleted = false;
  return {
    name: "retention",
    periodMs: 5_000,
    async run() {
      const startedAt = clock.steady();
      const before = clock.now() - keepMs;
      const { runs, next } = await store.endedRuns(place, before, BOUNDS.prunedRuns);
      place = next ?? START;
      for (const group of groupsOf(runs.filter(({ isNeeded }) => !isNeeded))) {
        const deleted = await Promise.all(group.map((run) => prune(writer, run, before)));
        hasDeleted ||= deleted.includes(true);
      }
      const mayShrink = await store.shrink(BOUNDS.shrunkPages);
      // After a pass that deleted something, children of what is gone may follow.
      const hasMore = next !== undefined || hasDeleted || mayShrink;
      if (next === undefined) hasDeleted = false;
      const pause = Math.max(PAUSE_MS, PAUSE_FACTOR * (clock.steady() - startedAt));
      return hasMore ? clock.now() + pause : undefined;
    },
  };
}

/** Returns whether it deleted the run. */
async function prune(writer: Writer, { org, runId }: EndedRun, before: number): Promise<boolean> {
  try {
    return await writer.submit({
      org,
      runId,
      bytes: 100,
      decide: (draft) => pruneRun(draft, before),
    });
  } catch (error) {
    const reason = error instanceof PawlError ? error.reason : undefined;
    // Somebody else has deleted it, or it is damaged, which is for a person to look at.
    if (reason === "NOT_FOUND" || reason === "DATA_CORRUPTED") return false;
    throw error;
  }
}

/** What is deleted at once: each run is read first, so that large ones come one by one. */
function groupsOf(runs: readonly EndedRun[]): EndedRun[][] {
  const groups: EndedRun[][] = [];
  let entries = Number.POSITIVE_INFINITY;
  for (const run of runs) {
    entries += run.seq;
    if (entries > BOUNDS.prunedEntries) {
      groups.push([]);
      entries = run.seq;
    }
    groups.at(-1)?.push(run);
  }
  return groups;
}
