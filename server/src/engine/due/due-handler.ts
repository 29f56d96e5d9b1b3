import type { Clock } from "../../lib/clock.ts";
import { isTerminal } from "../../model/run.ts";
import type { DueItem, DueRow } from "../../store/due.ts";
import type { Store } from "../../store/store.ts";
import type { Draft } from "../draft.ts";

export interface DueParts {
  readonly store: Store;
  readonly clock: Clock;
}

/** Pure, like all decisions. */
export type DueDecision = (draft: Draft, row: DueRow) => void;

/** What happens when a row of one kind is due. `prepare` reads what the decision has to know of other runs. */
export type DueHandler =
  | { readonly decide: DueDecision }
  | { readonly prepare: (parts: DueParts, item: DueItem) => Promise<DueDecision> };

/** Removes the row, and decides unless the run has ended. */
export function decideDue(
  draft: Draft,
  row: DueRow & Pick<DueItem, "heldUntil">,
  decide: DueDecision,
): void {
  draft.due.removeFired(row);
  if (!isTerminal(draft.header.status)) decide(draft, row);
}
