import type { Clock } from "../../lib/clock.ts";
import { BOUNDS } from "../../model/bounds.ts";
import type { Store } from "../../store/store.ts";
import { superseded } from "../events/superseded-chunks.ts";
import type { BackgroundTask } from "./background-task.ts";

export interface SweepDeltasParts {
  readonly store: Store;
  readonly clock: Clock;
}

const RUNS = 100;

/** Deletes deltas that nobody needs any more, of some runs at a time. */
export function sweepDeltas({ store, clock }: SweepDeltasParts): BackgroundTask {
  let after: { org: string; runId: string } | undefined;
  return {
    name: "delta",
    periodMs: 20_000,
    async run() {
      const runs = await store.deltaRuns(after, RUNS);
      after = runs.length < RUNS ? undefined : runs.at(-1);
      const before = clock.now() - BOUNDS.deltaGraceMs;
      for (const { org, runId } of runs) {
        const [run] = await store.loadRuns([{ org, runId, afterSeq: 0 }]);
        const chunks = await store.deltaHeads({ org }, runId);
        const gone = run === undefined ? chunks : superseded(run, chunks, before);
        if (gone.length > 0) await store.deleteDeltas({ org }, runId, gone);
      }
      return runs.length === RUNS ? clock.now() + 100 : undefined;
    },
  };
}
