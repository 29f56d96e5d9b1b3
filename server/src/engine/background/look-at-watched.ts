import type { Hub } from "../../hub/hub.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { parseRunKey } from "../../model/ids.ts";
import { isTerminal } from "../../model/run.ts";
import type { Store } from "../../store/store.ts";
import type { EngineSignals } from "../engine-signals.ts";
import type { NewEvent } from "../events/event-types.ts";
import type { BackgroundTask } from "./background-task.ts";

export interface LookAtWatchedParts {
  readonly store: Store;
  readonly hub: Hub<NewEvent>;
  readonly signals: EngineSignals;
}

/** The periodic run is the truth, signals only make it fast. Alone, only a failed store hides a change. */
export function lookAtWatched(parts: LookAtWatchedParts): BackgroundTask {
  return {
    name: "watch",
    periodMs: parts.store.replicas ? 500 : 5_000,
    wokenBy: [parts.signals.deltasChanged, parts.signals.runsChanged],
    async run() {
      const keys = parts.hub.watched();
      if (keys.length > 0) await noticeWatched(parts, keys);
      return undefined;
    },
  };
}

/** Wakes the watchers of those runs that have arrived further. */
async function noticeWatched(
  { store, hub }: LookAtWatchedParts,
  keys: readonly string[],
): Promise<void> {
  for (let from = 0; from < keys.length; from += BOUNDS.batchCommands) {
    const some = keys.slice(from, from + BOUNDS.batchCommands);
    for (const [index, mark] of (await store.runMarks(some.map(parseRunKey))).entries()) {
      const key = some[index];
      if (mark === undefined || key === undefined) continue;
      const { seq, status, delta } = mark;
      hub.wakeIfNews(key, { seq, ...delta }, isTerminal(status));
    }
  }
}
