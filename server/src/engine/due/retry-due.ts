import { readyIfSatisfied } from "../decide/readiness.ts";
import type { DueHandler } from "./due-handler.ts";

/** A step whose pause before the next attempt is over. */
export const retryDue: DueHandler = {
  decide(draft, { key }) {
    const step = draft.state.steps.get(key);
    const isEarly = step?.status === "backoff" && step.until > draft.now;
    // Like a wait's timer, a row that was read too early is put back, also for a paused run to wait on.
    if (isEarly && draft.header.waiting !== null) draft.due.put("retry", key, step.until);
    else readyIfSatisfied(draft);
  },
};
