import { attemptTimedOut } from "../decide/step-results.ts";
import type { DueHandler } from "./due-handler.ts";

/** An attempt of a step that takes longer than its time limit. */
export const attemptDue: DueHandler = {
  decide: (draft, { key, data }) => attemptTimedOut(draft, key, Number(data)),
};
