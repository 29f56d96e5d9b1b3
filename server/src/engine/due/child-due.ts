import type { Failure } from "../../model/entry.ts";
import { isTerminal } from "../../model/run.ts";
import type { DueItem } from "../../store/due.ts";
import { type ChildOutcome, childEnded } from "../decide/wait-rules.ts";
import { NO_ENTRIES } from "../runs/read-header.ts";
import { viewOf } from "../runs/run-view.ts";
import type { DueDecision, DueHandler, DueParts } from "./due-handler.ts";

/** A child run has ended; if it continues after all, its next end makes the row due again. */
export const childDue: DueHandler = {
  prepare: async (parts, item) => childDecision(await outcomeOf(parts, item)),
};

/** @param outcome what became of the child; undefined while it continues */
export function childDecision(outcome: ChildOutcome | undefined): DueDecision {
  return (draft, { data }) => {
    if (outcome !== undefined) childEnded(draft, data, outcome);
  };
}

async function outcomeOf(
  { store, clock }: DueParts,
  { org, data }: DueItem,
): Promise<ChildOutcome | undefined> {
  const [child] = await store.loadRuns([{ org, runId: data, afterSeq: NO_ENTRIES }]);
  if (child === undefined) {
    const message = `There is no run "${data}"; it may have been deleted.`;
    return { outcome: "failed", failure: { type: "ChildNotFound", message } };
  }
  const { header } = child;
  if (!isTerminal(header.status)) return undefined;
  const outlook = { served: true };
  const { output, ...view } = await viewOf(store, { org }, header, clock.now(), outlook, {
    withInput: false,
  });
  if (header.status === "COMPLETED")
    return { outcome: "completed", ...(output === undefined ? {} : { payload: output }) };
  const message = `The child run "${data}" was cancelled.`;
  const failure: Failure = view.failure ?? { type: "Cancelled", message };
  return { outcome: header.status === "FAILED" ? "failed" : "cancelled", failure };
}
