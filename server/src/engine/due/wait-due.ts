import { readyIfSatisfied } from "../decide/readiness.ts";
import { resolve } from "../decide/wait-changes.ts";
import type { DueHandler } from "./due-handler.ts";

/** A sleep that is over, or a wait that times out. */
export const waitDue: DueHandler = {
  decide(draft, { key }) {
    const step = draft.state.steps.get(key);
    if (step?.status !== "waiting" || step.until === 0) return;
    if (step.until > draft.now) {
      // The clock was set back since the row was read; without the row, nobody would come again.
      draft.due.put("wait", key, step.until);
      return;
    }
    resolve(draft, key, step.kind === "sleep" ? "fired" : "timed_out", {});
    readyIfSatisfied(draft);
  },
};
