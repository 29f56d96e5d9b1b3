import type { Part } from "./part.ts";

export const GOES_BEFORE = `SELECT 1 FROM ready
WHERE org_id = ? AND queue = ? AND lane = ? AND rank <= ? LIMIT 1`;

export const vacancy: Part<"vacancy"> = {
  tables: [],
  check(db, { org }, { queue, lane, rank }) {
    return db.prepare(GOES_BEFORE).get(org, queue, lane, rank) === undefined;
  },
  apply() {
    // It is only a condition.
  },
};
