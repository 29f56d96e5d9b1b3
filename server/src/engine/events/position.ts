/**
 * Places in a run's stream. The stream is two sequences merged: the journal, by seq, and the
 * deltas, by fence and number. Each is totally ordered by the run itself, so a place is how far one
 * has arrived in both, and means the same at every replica and after every restart.
 */
import { invalid, PawlError } from "../../model/errors.ts";
import type { RunHeader } from "../../model/run.ts";
import type { DeltaPlace } from "../../store/deltas.ts";

export interface Position extends DeltaPlace {
  /** Which run it is: runs that have one id after another share no places. Empty: not known. */
  readonly life: string;
  /** Entries up to this one have been seen. */
  readonly seq: number;
  /** How many of the notes (commit, rollback) that come next have been seen. */
  readonly notes: number;
  /**
   * `live`: every delta counts. `joining`: a late watcher, which gets entries, and deltas joined. It has
   * seen what starts up to `fence` and `number`.
   */
  readonly mode: "live" | "joining";
  /** Where a late watcher becomes a live one; not set: at the end of what there is. */
  readonly end?: EndPlace;
}

/** A place without what a watcher is told about it. */
export interface EndPlace extends DeltaPlace {
  readonly seq: number;
}

/** Larger than every number: nothing more comes under this fence. */
export const LAST_NUMBER = 0x7fff_ffff;

export const START: Position = { life: "", seq: 0, fence: 0, number: 0, notes: 0, mode: "live" };

export function placeIn({ seq, fence, number }: Position): EndPlace {
  return { seq, fence, number };
}

/** Distinguishes runs in cursors: the random part of a UUIDv7. */
export function lifeOf({ runUid }: Pick<RunHeader, "runUid">): string {
  return runUid.slice(-12);
}

export function makeCursor({ life, seq, fence, number, notes, mode, end }: Position): string {
  const of = life === "" ? "" : `${life}@`;
  const until = end === undefined ? "" : `.${end.seq}.${end.fence}.${end.number}`;
  const rest = mode === "live" ? `.${notes}l` : `${until}j`;
  return Buffer.from(`${of}${seq}.${fence}.${number}${rest}`).toString("base64url");
}

export function parseCursor(cursor: string): Position {
  const text = Buffer.from(cursor, "base64url").toString("utf8");
  const match =
    /^(?:([0-9a-f]{12})@)?((?:\d{1,10}\.){2}\d{1,10})(\.\d{1,10}l|(?:\.\d{1,10}){3}j|j)$/.exec(
      text,
    );
  if (match === null) throw invalid("after_cursor", "is not a valid token from this server");
  const [, life = "", place = "", rest = ""] = match;
  const [seq = 0, fence = 0, number = 0] = place.split(".").map(Number);
  const more = rest.slice(1, -1).split(".").map(Number);
  if (rest.endsWith("l")) {
    const [notes = 0] = more;
    return { life, seq, fence, number, notes, mode: "live" };
  }
  const joining = { life, seq, fence, number, notes: 0, mode: "joining" } as const;
  if (rest === "j") return joining;
  const [endSeq = 0, endFence = 0, endNumber = 0] = more;
  return { ...joining, end: { seq: endSeq, fence: endFence, number: endNumber } };
}

export function isBehind(place: DeltaPlace, other: DeltaPlace): boolean {
  return place.fence < other.fence || (place.fence === other.fence && place.number < other.number);
}

/** The place within this run. Throws where the cursor is of another one. */
export function placeWithin(header: RunHeader, position: Position): Position {
  const life = lifeOf(header);
  const isOther = position.life !== "" && position.life !== life;
  if (!isOther && Math.max(position.seq, position.end?.seq ?? 0) <= header.seq)
    return { ...position, life };
  const { runId } = header;
  throw new PawlError(
    "CURSOR_EXPIRED",
    `The cursor is not of this run "${runId}": it is of another run, or of one that had this id ` +
      "and was deleted. Start without one.",
    { metadata: { run_id: runId, cursor: "" } },
  );
}
