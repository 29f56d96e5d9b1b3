import { graceOver } from "../decide/clean-up.ts";
import type { DueHandler } from "./due-handler.ts";

/** The time that a clean-up has. */
export const graceDue: DueHandler = {
  decide: (draft) => graceOver(draft),
};
