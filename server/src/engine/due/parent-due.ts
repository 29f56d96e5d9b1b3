import { isTerminal } from "../../model/run.ts";
import { cancelChild } from "../decide/lifecycle-rules.ts";
import { NO_ENTRIES } from "../runs/read-header.ts";
import type { DueDecision, DueHandler } from "./due-handler.ts";

/**
 * The parent run has ended, unless it has been retried since; its end makes the row due again. Both are
 * read at once: a child that has ended is not cancelled either if it continues before this is decided,
 * since it was retried after the parent's end.
 */
export const parentDue: DueHandler = {
  async prepare({ store }, { org, subject, data }) {
    const ids = [data, subject.id];
    const [parent, child] = await store.loadRuns(
      ids.map((runId) => ({ org, runId, afterSeq: NO_ENTRIES })),
    );
    const isOver = parent === undefined || isTerminal(parent.header.status);
    return parentDecision({
      isOrphan: isOver && child !== undefined && !isTerminal(child.header.status),
    });
  },
};

export function parentDecision({ isOrphan }: { readonly isOrphan: boolean }): DueDecision {
  return (draft, { data }) => {
    if (isOrphan) cancelChild(draft, `The parent run "${data}" has ended.`);
  };
}
