/** About how much events take in a message, so that batches are bounded in bytes. Pure. */
import type { Entry, EntryHead } from "../../model/entry.ts";
import type { RunEvent } from "./event-types.ts";

/** About what an event takes besides its payload and meta data. */
const EVENT_BYTES = 300;

export function bytesOfEntry({ payload, meta }: EntryHead & Partial<Pick<Entry, "payload">>) {
  return EVENT_BYTES + (payload?.data?.byteLength ?? 0) + JSON.stringify(meta).length;
}

export function bytesOfEvent({ delta, entry }: RunEvent): number {
  if (entry !== undefined) return bytesOfEntry(entry);
  return EVENT_BYTES + (delta?.payload?.data?.byteLength ?? 0);
}

/** How many items from a place on have that many bytes together; at least one, if there is one. */
export function countWithin<T>(
  items: readonly T[],
  from: number,
  limit: { readonly items: number; readonly bytes: number },
  bytesOf: (item: T) => number,
): number {
  let bytes = 0;
  for (let at = from; at < items.length; at += 1) {
    const item = items[at];
    if (item === undefined) break;
    bytes += bytesOf(item);
    if (at > from && (bytes > limit.bytes || at - from >= limit.items)) return at - from;
  }
  return items.length - from;
}
