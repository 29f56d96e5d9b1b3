import { cancelChild } from "../decide/lifecycle-rules.ts";
import type { DueHandler } from "./due-handler.ts";

/** The parent has closed its wait for this child run. */
export const unwantedDue: DueHandler = {
  decide: (draft, { data }) =>
    cancelChild(draft, `The parent run "${data}" no longer waits for it.`),
};
