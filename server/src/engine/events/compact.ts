/**
 * What a late watcher gets: entries, and deltas that are kept or still open, in the order in which
 * they were seen live, with each stretch of a text as one delta. Pure.
 *
 * 1. A text delta (its type ends in `.delta`, its payload is a JSON string) is joined to the one
 *    before it of the same stream (step attempt, parent, content index), unless another event of that
 *    stream came in between, or an entry of a step inside of that step.
 * 2. Of `progress` the latest of a stream stays.
 * 3. What comes out depends on nothing but what went in, so that a place in it means the same when it
 *    is made again.
 */

import { BOUNDS } from "../../model/bounds.ts";
import type { DeltaEvent } from "../../model/delta.ts";
import type { EntryHead } from "../../model/entry.ts";
import type { PlacedDelta } from "./merge.ts";

/** A delta that stands for `merged` of its stream, itself the last of them. */
export interface MergedDelta extends PlacedDelta {
  readonly merged: number;
  /** The number of the first of them. */
  readonly first: number;
}

export type Compacted<E extends EntryHead> =
  | { readonly entry: E; readonly delta?: undefined }
  | { readonly delta: MergedDelta; readonly entry?: undefined };

interface Block<E extends EntryHead> {
  readonly entry?: E;
  readonly first: number;
  last: PlacedDelta | undefined;
  readonly texts: string[];
  merged: number;
  bytes: number;
  isOpen: boolean;
}

/** Texts of one block: no more than one delta may have. */
const BLOCK_BYTES = BOUNDS.deltaPayloadBytes / 2;
/** What is held back in all, until nothing can be joined to it any more. */
const HELD_BYTES = 4 * BLOCK_BYTES;

export class Compactor<E extends EntryHead> {
  #queue: Block<E>[] = [];
  #heldBytes = 0;
  /** Blocks that more can be joined to, by step attempt and stream. */
  readonly #open = new Map<string, Map<string, Block<E>>>();
  #ready: Compacted<E>[] = [];

  entry(entry: E): void {
    for (const [attempt, blocks] of this.#open) {
      const key = attempt.slice(attempt.indexOf("\n") + 1);
      if (key === "" || entry.key.startsWith(`${key}/`)) this.#close(attempt, blocks);
    }
    this.#queue.push({ entry, first: 0, last: undefined, texts: [], ...CLOSED });
    this.#drain();
  }

  delta(delta: PlacedDelta): void {
    const { type, key, attempt, contentIndex, parentEventId, policy } = delta.event;
    const name = `${attempt}\n${key}`;
    const blocks = this.#open.get(name) ?? new Map<string, Block<E>>();
    const isLatest = type === LATEST;
    const stream = `${isLatest ? type : ""}\n${contentIndex}\n${parentEventId}`;
    const known = blocks.get(stream);
    const text = textOf(delta.event);
    const bytes = delta.event.payload?.data?.byteLength ?? 0;
    const before = known?.last?.event;
    const goesOn = before?.type === type && before.policy === policy;
    if (known !== undefined && text !== undefined && goesOn && known.bytes < BLOCK_BYTES) {
      known.texts.push(text);
      known.last = delta;
      known.merged += 1;
      known.bytes += bytes;
    } else {
      if (known !== undefined) known.isOpen = false;
      blocks.delete(stream);
      let merged = 1;
      if (isLatest && known !== undefined) {
        merged += known.merged;
        known.last = undefined;
      }
      const isOpen = text !== undefined || isLatest;
      const texts = text === undefined ? [] : [text];
      const block = { first: delta.number, last: delta, texts, merged, bytes, isOpen };
      this.#queue.push(block);
      if (isOpen) blocks.set(stream, block);
      if (blocks.size > 0) this.#open.set(name, blocks);
    }
    this.#heldBytes += bytes;
    if (this.#heldBytes > HELD_BYTES) this.#closeAll();
    this.#drain();
  }

  /** How much there is to take. */
  get ready(): number {
    return this.#ready.length;
  }

  /** What is certain by now, in order. */
  take(): Compacted<E>[] {
    return this.#ready.splice(0);
  }

  /** The rest: nothing more comes. */
  end(): Compacted<E>[] {
    this.#closeAll();
    this.#drain();
    return this.take();
  }

  #close(attempt: string, blocks: Map<string, Block<E>>): void {
    for (const block of blocks.values()) block.isOpen = false;
    blocks.clear();
    this.#open.delete(attempt);
  }

  #closeAll(): void {
    for (const [attempt, blocks] of this.#open) this.#close(attempt, blocks);
  }

  #drain(): void {
    let count = 0;
    for (; this.#queue[count]?.isOpen === false; count += 1) {
      const block = this.#queue[count];
      if (block === undefined) break;
      this.#heldBytes -= block.bytes;
      if (block.entry !== undefined) this.#ready.push({ entry: block.entry });
      else if (block.last !== undefined) this.#ready.push({ delta: mergedOf(block, block.last) });
    }
    if (count > 0) this.#queue.splice(0, count);
  }
}

const CLOSED = { merged: 0, bytes: 0, isOpen: false } as const;
/** The type of which only the latest matters. */
const LATEST = "progress";

function mergedOf({ first, texts, merged }: Block<EntryHead>, last: PlacedDelta): MergedDelta {
  if (texts.length < 2) return { ...last, first, merged };
  const data = Buffer.from(JSON.stringify(texts.join("")));
  const event: DeltaEvent = { ...last.event, payload: { encoding: "json", data } };
  return { ...last, event, first, merged };
}

/** The text of a delta of a stream of texts. */
function textOf({ type, payload }: DeltaEvent): string | undefined {
  if (!type.endsWith(".delta") || payload?.data?.[0] !== 0x22) return undefined;
  if (payload.encoding !== "json") return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(payload.data).toString("utf8"));
    return typeof value === "string" ? value : undefined;
  } catch {
    // It was recorded before such deltas were refused, and stays as it is.
    return undefined;
  }
}
