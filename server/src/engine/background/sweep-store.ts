import type { Clock } from "../../lib/clock.ts";
import type { Store } from "../../store/store.ts";
import { WORKER_SHOWN_MS } from "../workers/worker-registry.ts";
import type { BackgroundTask } from "./background-task.ts";

export interface SweepStoreParts {
  readonly store: Store;
  readonly clock: Clock;
}

const HOUR_MS = 3_600_000;
const PAYLOADS = 1_000;

/** Deletes workers that are gone and payloads that nothing refers to. */
export function sweepStore({ store, clock }: SweepStoreParts): BackgroundTask {
  return {
    name: "payload",
    periodMs: HOUR_MS,
    async run() {
      await store.sweepWorkers(clock.now() - WORKER_SHOWN_MS);
      const swept = await store.sweepPayloads(clock.now() - 24 * HOUR_MS, PAYLOADS);
      return swept === PAYLOADS ? clock.now() : undefined;
    },
  };
}
