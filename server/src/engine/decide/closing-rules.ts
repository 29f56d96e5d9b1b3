/**
 * Waits that the code has given up, so that nothing that arrives is taken by nobody: later answers
 * are refused, later signals stay in the inbox, and what a signal has resolved already gives it back.
 */
import type { EntryMeta } from "../../model/entry.ts";
import { isWaitKind } from "../../model/entry.ts";
import type { Draft } from "../draft.ts";
import type { CloseWaits } from "../outcomes/outcome-types.ts";
import type { Directive } from "../steps/step-types.ts";
import { checkFence, directive } from "./fence-rules.ts";
import { closeOpen, waitMeta } from "./wait-changes.ts";
import { deliverSignals } from "./wait-rules.ts";

/** Their branch has lost, failed or ended. What is not known, or has another outcome, is passed over. */
export function closeWaits(draft: Draft, { fence, keys }: CloseWaits): Directive {
  checkFence(draft, fence);
  const names = new Set<string>();
  for (const key of keys) {
    const step = draft.state.steps.get(key);
    if (step === undefined || !isWaitKind(step.kind)) continue;
    if (step.status === "waiting") {
      closeOpen(draft, key, "lost");
    } else if (step.status === "resolved" && step.taken !== "") {
      const meta: EntryMeta = { ...waitMeta(key, step), closed: "lost", returned: step.taken };
      draft.append("workflow.wait.closed", key, step.attempt, meta);
      draft.waits.list(key);
      names.add(step.signalName);
    }
    // Also where the server has closed it before: only the code can say that it is not asked for again.
    const isLost = step.status === "closed" && step.wait?.closed?.why === "lost";
    if (isLost && draft.state.children.has(step.childRunId)) endChild(draft, step.childRunId);
  }
  // Another wait may have been open for them all along.
  for (const name of names) deliverSignals(draft, name);
  return directive(draft.header);
}

/** A child that is cancelled with its parent is cancelled when nobody waits for it any more. */
function endChild(draft: Draft, childRunId: string): void {
  const { runId, seq } = draft.header;
  const row = { kind: "unwanted" as const, key: `${runId}\n${seq}`, at: draft.now, data: runId };
  draft.due.putElsewhere(childRunId, row);
}
