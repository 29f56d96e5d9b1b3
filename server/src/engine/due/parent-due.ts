import { isTerminal } from "../../model/run.ts";
import { cancelChild } from "../decide/lifecycle-rules.ts";
import { NO_ENTRIES } from "../runs/read-header.ts";
import type { DueDecision, DueHandler } from "./due-handler.ts";

/** The parent run has ended, unless it has been retried since; its end makes the row due again. */
export const parentDue: DueHandler = {
  async prepare({ store }, { org, data }) {
    const [parent] = await store.loadRuns([{ org, runId: data, afterSeq: NO_ENTRIES }]);
    return parentDecision({ isOrphan: parent === undefined || isTerminal(parent.header.status) });
  },
};

export function parentDecision({ isOrphan }: { readonly isOrphan: boolean }): DueDecision {
  return (draft, { data }) => {
    if (isOrphan) cancelChild(draft, `The parent run "${data}" has ended.`);
  };
}
