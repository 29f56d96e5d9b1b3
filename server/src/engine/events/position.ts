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
   * `live`: every delta counts. `joining`: a late comer, that gets entries and what is kept for good
   * first. `compacting`: a late comer at `seq`, `fence`, `number` that has seen so many, `notes`, of
   * the merged deltas.
   */
  readonly mode: "live" | "joining" | "compacting";
}

/** Larger than every number: nothing more comes under this fence. */
export const LAST_NUMBER = 0x7fff_ffff;

export const START: Position = { seq: 0, fence: 0, number: 0, notes: 0, mode: "live" };

const LETTERS = { live: "l", joining: "j", compacting: "c" } as const;

export function makeCursor({ seq, fence, number, notes, mode }: Position): string {
  return Buffer.from(`${seq}.${fence}.${number}.${notes}${LETTERS[mode]}`).toString("base64url");
}

export function parseCursor(cursor: string): Position {
  const text = Buffer.from(cursor, "base64url").toString("utf8");
  const match = /^(\d{1,10})\.(\d{1,10})\.(\d{1,10})\.(\d{1,10})([ljc])$/.exec(text);
  if (match === null) throw invalid("after_cursor", "is not one that this server gave out");
  const [, seq, fence, number, notes, letter] = match;
  const mode = letter === "l" ? "live" : letter === "j" ? "joining" : "compacting";
  return {
    seq: Number(seq),
    fence: Number(fence),
    number: Number(number),
    notes: Number(notes),
    mode,
  };
}

export function isBehind(place: DeltaPlace, other: DeltaPlace): boolean {
  return place.fence < other.fence || (place.fence === other.fence && place.number < other.number);
}

/** For a cursor beyond the end: the run was deleted, and another one has its id now. */
export function checkCursor(runId: string, position: Position, seq: number): void {
  if (position.seq <= seq) return;
  throw new PawlError(
    "CURSOR_EXPIRED",
    `The cursor is beyond the end of run "${runId}", which was made anew since. Start without one.`,
    { metadata: { run_id: runId, cursor: "" } },
  );
}
