import type { Clock } from "../../lib/clock.ts";
import { BOUNDS } from "../../model/bounds.ts";
import type { Store } from "../../store/store.ts";
import type { EngineSignals } from "../engine-signals.ts";
import type { BackgroundTask } from "./background-task.ts";

export interface AdmitHeldParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly signals: EngineSignals;
}

/** Lets runs pass that a limit held back. */
export function admitHeld({ store, clock, signals }: AdmitHeldParts): BackgroundTask {
  return {
    name: "admit",
    periodMs: 1_000,
    wokenBy: [signals.gatesChanged, signals.runsChanged],
    async run() {
      for (;;) {
        const { admitted, nextAt } = await store.admit(clock.now(), BOUNDS.admittedRuns);
        if (admitted > 0) {
          signals.runsReady.emit("surely");
          if (store.replicas) await store.wake("runs");
        }
        if (nextAt === undefined || nextAt > clock.now()) return nextAt;
      }
    },
  };
}
