import { timeOut } from "../decide/lifecycle-rules.ts";
import type { DueHandler } from "./due-handler.ts";

/** The time limit of the run. */
export const runDue: DueHandler = {
  decide: (draft) => timeOut(draft),
};
