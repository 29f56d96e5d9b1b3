/**
 * Places in the stream of a run with its children: the place in the run's own stream and, of each
 * child that is under way there, its place in its own. Pure.
 *
 * A child is named by the entry that mentions it first, in the journal of its parent, so that a
 * cursor is short. One with no child under way is the run's own cursor.
 */

import { BOUNDS } from "../../model/bounds.ts";
import { invalid, type PawlError } from "../../model/errors.ts";

export interface ChildPlace {
  /** Its parent's place in the list; -1: the run that is watched. */
  readonly parent: number;
  /** The entry of the parent's journal that mentions it first. */
  readonly seq: number;
  /** The place in its own stream; empty: at its start. */
  readonly cursor: string;
}

export interface TreePlace {
  readonly cursor: string;
  /** Parents before their children. */
  readonly children: readonly ChildPlace[];
}

const MARK = "t";

function textOf(cursor: string): string {
  return Buffer.from(cursor, "base64url").toString("utf8");
}

function cursorOf(text: string): string {
  return Buffer.from(text).toString("base64url");
}

export function makeTreeCursor({ cursor, children }: TreePlace): string {
  if (children.length === 0) return cursor;
  // Which run a child's place is of is told by its parent's entry.
  const parts = children.map(
    ({ parent, seq, cursor }) => `${parent}:${seq}:${textOf(cursor).replace(/^.*@/, "")}`,
  );
  return cursorOf(`${MARK}${[textOf(cursor), ...parts].join(",")}`);
}

function notOurs(): PawlError {
  return invalid("after_cursor", "is not a valid token from this server");
}

/** Takes a run's own cursor as well. */
export function parseTreeCursor(cursor: string): TreePlace {
  const text = textOf(cursor);
  if (!text.startsWith(MARK)) return { cursor, children: [] };
  const [root = "", ...parts] = text.slice(MARK.length).split(",");
  if (parts.length > BOUNDS.watchedChildren) throw notOurs();
  const children = parts.map((part, index): ChildPlace => {
    const match = /^(-1|\d{1,5}):(\d{1,10}):([\d.]*[lj]?)$/.exec(part);
    if (match === null || Number(match[1]) >= index) {
      throw notOurs();
    }
    const [, parent, seq, place = ""] = match;
    return { parent: Number(parent), seq: Number(seq), cursor: cursorOf(place) };
  });
  return { cursor: cursorOf(root), children };
}
