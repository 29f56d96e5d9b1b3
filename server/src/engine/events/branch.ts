/** One run of those that a watcher follows together: its stream, read ahead by one batch. */
import type { Caller } from "../../model/caller.ts";
import type { Store } from "../../store/store.ts";
import type { RunEvent } from "./event-types.ts";
import { parseCursor, START } from "./position.ts";

/** Opens a run's own stream after a cursor; empty: from its start. */
export type StreamOpener = (
  runId: string,
  afterCursor: string,
  signal: AbortSignal,
) => AsyncIterable<readonly RunEvent[]>;

export interface BranchParts {
  readonly runId: string;
  readonly parent: Branch | undefined;
  /** The entry of the parent's journal that mentions it first. */
  readonly mentionedAt: number;
  readonly cursor: string;
  /** Runs that its journal mentions up to the cursor. */
  readonly known: Set<string>;
}

export class Branch {
  readonly runId: string;
  readonly parent: Branch | undefined;
  readonly mentionedAt: number;
  readonly known: Set<string>;
  /** After the last event that was given out. */
  cursor: string;
  /** The last entry that was given out. */
  seq: number;
  /** Events that were read and not given out. */
  readonly queue: RunEvent[] = [];
  /** Its stream has ended; what is in the queue is all. */
  done = false;
  error: unknown;
  /** Entries of others that must be given out before the first event of the queue. */
  waitsFor: ReadonlyMap<Branch, number> | undefined;
  readonly #iterator: AsyncIterator<readonly RunEvent[]>;
  readonly #stop = new AbortController();
  #reading = false;

  constructor(parts: BranchParts, open: StreamOpener, signal: AbortSignal) {
    this.runId = parts.runId;
    this.parent = parts.parent;
    this.mentionedAt = parts.mentionedAt;
    this.cursor = parts.cursor;
    this.known = parts.known;
    this.seq = (parts.cursor === "" ? START : parseCursor(parts.cursor)).seq;
    const both = AbortSignal.any([signal, this.#stop.signal]);
    this.#iterator = open(parts.runId, parts.cursor, both)[Symbol.asyncIterator]();
  }

  /** Nothing more will come. */
  get over(): boolean {
    return this.done && this.queue.length === 0;
  }

  /** Reads the next batch, if it has none; `wake` is called when it is there. */
  read(wake: () => void): void {
    if (this.#reading || this.done || this.queue.length > 0) return;
    this.#reading = true;
    this.#iterator
      .next()
      .then(
        ({ value, done }) => {
          if (done === true) this.done = true;
          else this.queue.push(...value);
        },
        (error: unknown) => {
          this.done = true;
          this.error = error;
        },
      )
      .finally(() => {
        this.#reading = false;
        wake();
      });
  }

  stop(): void {
    this.done = true;
    this.queue.length = 0;
    this.#stop.abort();
  }
}

/** Mentions of children in a run's journal, the first of each: entry by run id. */
export async function childrenOf(
  store: Store,
  caller: Caller,
  runId: string,
): Promise<Map<string, number>> {
  const [run] = await store.loadRuns([{ org: caller.org, runId, afterSeq: 0 }]);
  const found = new Map<string, number>();
  for (const entry of run?.entries ?? []) {
    const child = entry.meta.childRunId;
    if (child !== undefined && !found.has(child)) found.set(child, entry.seq);
  }
  return found;
}
