/** The queued commands and claims of the writer, and how a batch of them falls into runs. */

import { BOUNDS } from "../model/bounds.ts";
import type { Caller } from "../model/caller.ts";
import { formatConnectionId, runKey } from "../model/ids.ts";
import { hasLapsed, type Lease } from "../model/run.ts";
import type { NewChunk } from "../store/deltas.ts";
import type { ClaimedRun, ClaimRequest, ReadyRow } from "../store/runs.ts";
import { StoreError } from "../store/store-error.ts";
import { startGrace } from "./decide/clean-up.ts";
import type { Draft, Moment } from "./draft.ts";
import { toPawlError } from "./store-errors.ts";
import type { RecordChange } from "./write/record-batch.ts";

/** A command on one run. `decide` is pure: it reads the draft's state and appends to the draft. */
export interface RunCommand<R> {
  readonly org: string;
  readonly runId: string;
  /** About what it will write. */
  readonly bytes: number;
  readonly decide: (draft: Draft) => R;
  /** Set for a worker's write: the fence that it names, and its connection. */
  readonly holder?: { readonly fence: number; readonly connection: Caller["connection"] };
  /** Set for a command that may find no run: makes the draft of a new one, and the reply. */
  readonly create?: (moment: Moment) => { draft: Draft; reply: R };
}

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
  readonly record: RecordChange | undefined;
  /** The fence of a worker's write. */
  readonly fence: number | undefined;
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
  /** What came before the command that makes the run: there is no run for it. */
  tooEarly: readonly Item[];
  /** What came after the command that deletes the run. */
  tooLate: readonly Item[];
  draft: Draft | undefined;
  /** Read from the store in this batch. */
  fresh: boolean;
  /** Deltas that ride along. */
  deltas: readonly NewChunk[] | undefined;
  /** Of the slot that it is given with this batch. */
  given: Lease | undefined;
}

/** Those whose runs become ready, in the order in which they are to be given out. */
export function readiedFirst(
  groups: readonly Group[],
): { group: Group; draft: Draft; ready: ReadyRow }[] {
  const found = groups.flatMap((group) => {
    const { draft } = group;
    const ready = draft?.readied;
    return draft === undefined || ready === undefined ? [] : [{ group, draft, ready }];
  });
  return found.sort((a, b) => a.ready.rank - b.ready.rank || a.ready.readyAt - b.ready.readyAt);
}

/** Whether the same batch would fail in the same way again, for something that it holds. */
export function isPoison(error: unknown): boolean {
  return !(error instanceof StoreError) || error.fault === "data";
}

/** Commands on a run that cannot be read fail alone; returns the others. */
export function failCorrupted(items: Item[], error: unknown): Item[] {
  const bad = error instanceof StoreError ? error.corrupted?.runId : undefined;
  if (bad === undefined) return items;
  return items.filter((item) => {
    if (item.runId === bad) item.fail(toPawlError(error, "read"));
    return item.runId !== bad;
  });
}

export function groupByRun(items: readonly Item[], claims: Item[]): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const item of items) {
    if (item.record !== undefined) continue;
    if (item.claim !== undefined) {
      claims.push(item);
      continue;
    }
    const group = groups.get(item.key);
    if (group === undefined) {
      groups.set(item.key, {
        key: item.key,
        items: [item],
        tooEarly: NO_ITEMS,
        tooLate: NO_ITEMS,
        draft: undefined,
        fresh: false,
        deltas: undefined,
        given: undefined,
      });
    } else {
      group.items.push(item);
    }
  }
  return groups;
}

/** A command as an item: its answer or refusal is kept until the commit, then given out. */
export function commandItem<R>(
  command: RunCommand<R>,
  since: number,
  resolve: (answer: R) => void,
  reject: (error: unknown) => void,
): Item {
  let answer: { value: R } | undefined;
  let refusal: unknown;
  const { create } = command;
  const keepReply = (made: { draft: Draft; reply: R }): Draft => {
    answer = { value: made.reply };
    return made.draft;
  };
  return {
    key: runKey(command.org, command.runId),
    org: command.org,
    runId: command.runId,
    bytes: command.bytes,
    since,
    tries: 0,
    mustBeFresh: false,
    claim: undefined,
    record: undefined,
    fence: command.holder?.fence,
    create: create === undefined ? undefined : (moment) => keepReply(create(moment)),
    apply(draft) {
      answer = undefined;
      refusal = undefined;
      const { holder } = command;
      if (holder?.fence === draft.header.fence && hasLapsed(draft.header))
        draft.offerLease(lapsedLease(draft, holder.connection));
      try {
        answer = { value: command.decide(draft) };
      } catch (error) {
        refusal = error;
      }
      draft.offerLease(undefined);
      const isHeard = refusal === undefined && holder?.fence === draft.header.fence;
      if (draft.tookBack || isHeard) startGrace(draft);
    },
    refused: () => refusal !== undefined,
    done() {
      if (answer !== undefined) resolve(answer.value);
      else reject(refusal);
    },
    fail: reject,
  };
}

/** Shared, since almost every group has neither. */
export const NO_ITEMS: readonly Item[] = [];

const NAMELESS = formatConnectionId({ kind: "polling", instance: "" });

/** The lease goes to the sender or, without a connection, to the worker that renews it by name. */
function lapsedLease({ state, now }: Draft, connection: Caller["connection"]): Lease {
  const { connectionId, workerId } = connection ?? {
    connectionId: NAMELESS,
    workerId: state.worker,
  };
  return { connectionId, workerId, until: now + BOUNDS.leaseMs };
}

export function claimItem(
  claim: ClaimRequest,
  since: number,
  resolve: (runs: ClaimedRun[]) => void,
  reject: (error: unknown) => void,
): Item {
  return {
    key: "",
    org: claim.org,
    runId: "",
    bytes: 0,
    since,
    tries: 0,
    mustBeFresh: false,
    claim,
    record: undefined,
    fence: undefined,
    create: undefined,
    apply() {
      // A claim is decided by the store, in the commit itself.
    },
    refused: () => false,
    done: (claimed) => resolve(claimed ?? []),
    fail: reject,
  };
}
