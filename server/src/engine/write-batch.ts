/** The queued commands and claims of the writer, and how a batch of them falls into runs. */
import { type ClaimedRun, type ClaimRequest, StoreError } from "../store/store.ts";
import type { Draft, Moment } from "./draft.ts";
import { toPawlError } from "./store-errors.ts";

/** One queued command or claim, with its types closed over. */
export interface Item {
  readonly key: string;
  readonly org: string;
  readonly runId: string;
  readonly bytes: number;
  readonly since: number;
  tries: number;
  /** Whether the latest decision was made on a state read in the same batch. */
  mustBeFresh: boolean;
  readonly claim: ClaimRequest | undefined;
  readonly create: ((moment: Moment) => Draft) | undefined;
  /** Decides; keeps the answer or the refusal until `done`. */
  apply(draft: Draft): void;
  /** Whether `apply` refused. */
  refused(): boolean;
  /** Settles with the kept answer. */
  done(claimed: ClaimedRun[] | undefined): void;
  fail(error: unknown): void;
}

/** The commands of one batch that concern one run. */
export interface Group {
  readonly key: string;
  readonly items: Item[];
  draft: Draft | undefined;
  /** Read from the store in this batch. */
  fresh: boolean;
}

/** Commands on a run that cannot be read fail alone; answers the others. */
export function failCorrupted(items: Item[], error: unknown): Item[] {
  const bad = error instanceof StoreError ? error.corrupted?.runId : undefined;
  if (bad === undefined) return items;
  return items.filter((item) => {
    if (item.runId === bad) item.fail(toPawlError(error));
    return item.runId !== bad;
  });
}

export function groupByRun(items: readonly Item[], claims: Item[]): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const item of items) {
    if (item.claim !== undefined) {
      claims.push(item);
      continue;
    }
    const group = groups.get(item.key);
    if (group === undefined) {
      groups.set(item.key, { key: item.key, items: [item], draft: undefined, fresh: false });
    } else {
      group.items.push(item);
    }
  }
  return groups;
}
