/**
 * Places in a run's stream. The stream is two sequences merged: the journal, by seq, and the
 * deltas, by fence and number. Each is totally ordered by the run itself, so a place is how far one
 * has come in both, and means the same at every replica and after every restart.
 */
import { invalid, PawlError } from "../../model/errors.ts";
import type { DeltaPlace } from "../../store/deltas.ts";

export interface Position extends DeltaPlace {
  /** Entries up to this one have been seen. */
  readonly seq: number;
  /** How many of the notes (commit, rollback) that come next have been seen. */
  readonly notes: number;
  /**
   * `live`: every delta counts. `joining`: a late comer, that gets entries, and deltas joined. It has
   * seen what begins up to `fence` and `number`.
   */
  readonly mode: "live" | "joining";
  /** Of a late comer, where it becomes a live watcher; not set: at the end of what there is. */
  readonly end?: EndPlace;
}

/** A place without what a watcher is told about it. */
export interface EndPlace extends DeltaPlace {
  readonly seq: number;
}

/** Larger than every number: nothing more comes under this fence. */
export const LAST_NUMBER = 0x7fff_ffff;

export const START: Position = { seq: 0, fence: 0, number: 0, notes: 0, mode: "live" };

export function placeIn({ seq, fence, number }: Position): EndPlace {
  return { seq, fence, number };
}

export function makeCursor({ seq, fence, number, notes, mode, end }: Position): string {
  const until = end === undefined ? "" : `.${end.seq}.${end.fence}.${end.number}`;
  const rest = mode === "live" ? `.${notes}l` : `${until}j`;
  return Buffer.from(`${seq}.${fence}.${number}${rest}`).toString("base64url");
}

export function parseCursor(cursor: string): Position {
  const text = Buffer.from(cursor, "base64url").toString("utf8");
  const numbers = text.slice(0, -1).split(".");
  const [seq = 0, fence = 0, number = 0, ...rest] = numbers.map(Number);
  if (/^(\d{1,10}\.){3}\d{1,10}l$/.test(text)) {
    const [notes = 0] = rest;
    return { seq, fence, number, notes, mode: "live" };
  }
  if (!/^(\d{1,10}\.){2}\d{1,10}((\.\d{1,10}){3})?j$/.test(text))
    throw invalid("after_cursor", "is not one that this server gave out");
  const joining = { seq, fence, number, notes: 0, mode: "joining" } as const;
  const [endSeq, endFence = 0, endNumber = 0] = rest;
  if (endSeq === undefined) return joining;
  return { ...joining, end: { seq: endSeq, fence: endFence, number: endNumber } };
}

export function isBehind(place: DeltaPlace, other: DeltaPlace): boolean {
  return place.fence < other.fence || (place.fence === other.fence && place.number < other.number);
}

/** For a cursor beyond the end: the run was deleted, and another one has its id now. */
export function checkCursor(runId: string, position: Position, seq: number): void {
  if (Math.max(position.seq, position.end?.seq ?? 0) <= seq) return;
  throw new PawlError(
    "CURSOR_EXPIRED",
    `The cursor is beyond the end of run "${runId}", which was made anew since. Start without one.`,
    { metadata: { run_id: runId, cursor: "" } },
  );
}
