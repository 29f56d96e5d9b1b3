import type { Changes } from "../../store/changes.ts";

export type ChangesSoFar = { -readonly [C in keyof Changes]?: Changes[C] };

/** What decisions change about one thing that belongs to a run, until it is written. */
export interface ChangeSet {
  /** Adds what is to be written. */
  writeTo(changes: ChangesSoFar): void;
}
