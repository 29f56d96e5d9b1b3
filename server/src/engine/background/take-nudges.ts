import { runKey } from "../../model/ids.ts";
import { type EffectsParts, syncAllHeld, syncHeld } from "../effects.ts";
import type { BackgroundTask } from "./background-task.ts";

export interface TakeNudgesParts extends EffectsParts {
  readonly replicaId: string;
}

/**
 * Tells the holders here what other replicas did to their runs. The nudges are gone from the store
 * with the look at them: so a failure is made up for by the next one.
 */
export function takeNudges(parts: TakeNudgesParts): BackgroundTask {
  const untold = new Map<string, { org: string; runId: string }>();
  let isDoubtful = false;
  return {
    name: "nudge",
    periodMs: 500,
    wokenBy: [parts.signals.runsChanged],
    async run() {
      const wasDoubtful = isDoubtful;
      isDoubtful = true;
      for (const run of await parts.store.takeNudges(parts.replicaId))
        untold.set(runKey(run.org, run.runId), run);
      if (wasDoubtful) await syncAllHeld(parts);
      isDoubtful = false;
      for (const [key, { org, runId }] of untold) {
        await syncHeld(parts, org, runId);
        untold.delete(key);
      }
      return undefined;
    },
  };
}
