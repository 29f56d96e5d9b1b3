/** What a change of its waits means for a run that nobody holds. */
import type { WaitTree } from "../../model/run.ts";
import type { Draft } from "../draft.ts";
import { type RunMemory, satisfied } from "../journal/run-memory.ts";
import { closeOpen } from "./wait-changes.ts";

/** A WAITING run whose tree is satisfied goes back to the queue; otherwise its list of waits is kept true. */
export function readyIfSatisfied(draft: Draft): void {
  const { state } = draft;
  const waiting = state.header.waiting;
  if (waiting === null) return;
  closeLosers(draft, waiting.tree);
  if (state.header.status === "WAITING" && satisfied(state, waiting.tree, draft.now)) {
    draft.patch({ status: "QUEUED", waiting: null });
    draft.makeReady(draft.now);
    return;
  }
  const waits = waiting.waits.filter((wait) => stillOpen(state, wait.key));
  if (waits.length !== waiting.waits.length) draft.patch({ waiting: { ...waiting, waits } });
}

function stillOpen(state: RunMemory, key: string): boolean {
  const status = state.steps.get(key)?.status;
  return status === "waiting" || status === "backoff";
}

/**
 * The code goes the way of the alternative that was first, whenever a worker comes to execute it:
 * what arrives for the others from now on would be taken by nobody. What another part of the tree
 * waits for as well is not lost.
 */
export function closeLosers(draft: Draft, tree: WaitTree): void {
  const lost = openKeys(draft.state, tree, true);
  if (lost.length === 0) return;
  const wanted = new Set(openKeys(draft.state, tree, false));
  for (const key of lost) if (!wanted.has(key)) closeOpen(draft, key, "lost");
}

/** The open waits of branches that have lost, or of all others. */
function openKeys(state: RunMemory, tree: WaitTree, ofLost: boolean, isLost = false): string[] {
  if ("key" in tree) {
    return isLost === ofLost && state.steps.get(tree.key)?.status === "waiting" ? [tree.key] : [];
  }
  const ends = tree.exclusive === true && isDecided(state, tree);
  return tree.members.flatMap((member) =>
    openKeys(state, member, ofLost, isLost || (ends && !isDecided(state, member))),
  );
}

/** Unlike `satisfied`: a step that may be tried again decides nothing. */
function isDecided(state: RunMemory, tree: WaitTree): boolean {
  if ("key" in tree) {
    const status = state.steps.get(tree.key)?.status;
    return status === "resolved" || status === "completed" || status === "failed";
  }
  let met = 0;
  for (const member of tree.members) if (isDecided(state, member)) met += 1;
  return met >= tree.needed;
}
