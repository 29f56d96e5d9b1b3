/** What a change of its waits means for a run that nobody holds. */
import type { WaitTree } from "../../model/run.ts";
import type { Draft } from "../draft.ts";
import { type RunState, satisfied } from "../state.ts";
import { closeOpen } from "./wait-changes.ts";

/** A WAITING run whose tree is satisfied goes back to the queue; otherwise its list of waits is kept true. */
export function wake(draft: Draft): void {
  const { state } = draft;
  const waiting = state.header.waiting;
  if (waiting === null) return;
  closeLosers(draft, waiting.tree);
  if (state.header.state === "WAITING" && satisfied(state, waiting.tree, draft.now)) {
    draft.patch({ state: "QUEUED", waiting: null });
    draft.makeReady(draft.now);
    return;
  }
  const waits = waiting.waits.filter((wait) => stillOpen(state, wait.key));
  if (waits.length !== waiting.waits.length) draft.patch({ waiting: { ...waiting, waits } });
}

function stillOpen(state: RunState, key: string): boolean {
  const status = state.steps.get(key)?.status;
  return status === "waiting" || status === "backoff";
}

/**
 * The code goes the way of the alternative that was first, whenever a worker comes to execute it:
 * what arrives for the others from now on would be taken by nobody.
 */
export function closeLosers(draft: Draft, tree: WaitTree): void {
  if ("key" in tree) return;
  if (tree.exclusive === true && isDecided(draft.state, tree)) {
    for (const member of tree.members) {
      if (!isDecided(draft.state, member)) closeMembers(draft, member);
    }
  }
  for (const member of tree.members) closeLosers(draft, member);
}

function closeMembers(draft: Draft, tree: WaitTree): void {
  if ("key" in tree) closeOpen(draft, tree.key, "lost");
  else for (const member of tree.members) closeMembers(draft, member);
}

/** Unlike `satisfied`: a step that may be tried again decides nothing. */
function isDecided(state: RunState, tree: WaitTree): boolean {
  if ("key" in tree) {
    const status = state.steps.get(tree.key)?.status;
    return status === "resolved" || status === "completed" || status === "failed";
  }
  let met = 0;
  for (const member of tree.members) if (isDecided(state, member)) met += 1;
  return met >= tree.needed;
}
