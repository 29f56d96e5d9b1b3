import { BOUNDS } from "../../model/bounds.ts";
import { type EffectsParts, syncAllHeld, syncWaiting } from "../effects.ts";
import type { BackgroundTask } from "./background-task.ts";

/** Tells holders what they were not told, whatever lost it. */
export function tellHolders(parts: EffectsParts): BackgroundTask {
  return {
    name: "news",
    periodMs: BOUNDS.newsMs,
    async run() {
      await syncWaiting(parts);
      return undefined;
    },
  };
}

/** After a failure of the store nobody knows what was committed, and was not told of it. */
export function tellAllHolders(parts: EffectsParts): void {
  syncAllHeld(parts).catch((error: unknown) => parts.log.warn("workers.untold", { error }));
}
