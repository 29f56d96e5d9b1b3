import { remind } from "../decide/answer-rules.ts";
import type { DueHandler } from "./due-handler.ts";

/** A reminder of an open question. */
export const remindDue: DueHandler = {
  decide: (draft, { key }) => remind(draft, key),
};
