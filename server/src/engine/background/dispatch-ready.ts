import type { Store } from "../../store/store.ts";
import type { Dispatcher } from "../workers/dispatcher.ts";
import type { BackgroundTask } from "./background-task.ts";

export interface DispatchReadyParts {
  readonly store: Store;
  readonly dispatcher: Dispatcher;
}

/** Signals make dispatch fast; this makes it sure. */
export function dispatchReady({ store, dispatcher }: DispatchReadyParts): BackgroundTask {
  return {
    name: "dispatch",
    periodMs: store.replicas ? 500 : 5_000,
    async run() {
      dispatcher.lookForSuspects();
      dispatcher.look();
      return undefined;
    },
  };
}
