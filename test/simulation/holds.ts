/** What is due, where servers share a store: the one that reads a row holds it for a while, as in PostgreSQL. */
import type { DueItem, DuePage } from "../../server/src/store/due.ts";

/** A page that has all rows there are. */
export const ALL_ROWS = 1_000_000;

interface Hold {
  /** When the row was due: one that was put in its place since then is not held. */
  readonly at: number;
  readonly until: number;
}

export class Holds {
  readonly #holds = new Map<string, Hold>();

  /**
   * @param due all rows that are due by the store
   * @returns those that nobody holds, which are the caller's until `holdUntil` if there is one
   */
  take(due: DuePage, now: number, limit: number, holdUntil: number | undefined): DuePage {
    const items: DueItem[] = [];
    let nextAt = due.nextAt ?? Number.POSITIVE_INFINITY;
    for (const item of due.items) {
      const name = `${item.org}\n${item.subject.id}\n${item.kind}\n${item.key}`;
      const known = this.#holds.get(name);
      const hold = known?.at === item.at ? known : undefined;
      if (hold !== undefined && hold.until > now) nextAt = Math.min(nextAt, hold.until);
      else if (items.length < limit) {
        items.push({
          ...item,
          // What was held before is due when that hold ended.
          at: hold?.until ?? item.at,
          ...(holdUntil === undefined ? {} : { heldUntil: holdUntil }),
        });
        if (holdUntil !== undefined) this.#holds.set(name, { at: item.at, until: holdUntil });
      }
    }
    return { items, nextAt: Number.isFinite(nextAt) ? nextAt : undefined };
  }
}
