import type { DueItem, DueKind, DueRemoval, DueRow } from "../../store/due.ts";
import type { ChangeSet, ChangesSoFar } from "./change-set.ts";

/** What happens later to the run, and what this makes happen to others. */
export class DueChanges implements ChangeSet {
  readonly #put = new Map<string, DueRow>();
  readonly #removed = new Map<string, DueRemoval>();
  readonly #elsewhere: { readonly runId: string; readonly row: DueRow }[] = [];
  #isCleared = false;

  put(kind: DueKind, key: string, at: number, data = ""): void {
    this.#put.set(`${kind}:${key}`, { kind, key, at, data });
    this.#removed.delete(`${kind}:${key}`);
  }

  remove(kind: DueKind, key: string): void {
    this.#put.delete(`${kind}:${key}`);
    this.#removed.set(`${kind}:${key}`, { kind, key });
  }

  /** Removes a row that was read; one that was put in its place since then stays. */
  removeFired({ kind, key, at, heldUntil }: DueRow & Pick<DueItem, "heldUntil">): void {
    const name = `${kind}:${key}`;
    if (!this.#put.has(name)) this.#removed.set(name, { kind, key, upTo: heldUntil ?? at });
  }

  clear(): void {
    this.#isCleared = true;
    this.#put.clear();
    this.#removed.clear();
  }

  /** Puts a row of another run of the organization. */
  putElsewhere(runId: string, row: DueRow): void {
    this.#elsewhere.push({ runId, row });
  }

  /** The earliest time that is put. */
  get earliest(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (const { at } of this.#put.values()) earliest = Math.min(earliest, at);
    for (const { row } of this.#elsewhere) earliest = Math.min(earliest, row.at);
    return earliest;
  }

  writeTo(changes: ChangesSoFar): void {
    changes.due = {
      put: [...this.#put.values()],
      remove: [...this.#removed.values()],
      elsewhere: this.#elsewhere,
      ...(this.#isCleared ? { isCleared: true } : {}),
    };
  }
}
