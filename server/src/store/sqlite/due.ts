import type { DuePage } from "../due.ts";
import { int, text, toDueItem } from "../row.ts";
import type { Database } from "./database.ts";

/** The next organization that has something due at any time, with its first time. */
export const NEXT_ORG = "SELECT org_id, at FROM due WHERE org_id > ? ORDER BY org_id, at LIMIT 1";
export const READ_DUE = `SELECT org_id, subject, kind, step_key, at, data FROM due
WHERE org_id = ? AND at <= ? ORDER BY at, subject LIMIT ?`;
export const NEXT_DUE = "SELECT at FROM due WHERE org_id = ? AND at > ? ORDER BY at LIMIT 1";

/** There is no other server that it would have to be held against. */
export function readDue(db: Database, now: number, limit: number): DuePage {
  const orgs: { org: string; first: number }[] = [];
  let nextAt = Number.POSITIVE_INFINITY;
  for (let row = db.prepare(NEXT_ORG).get(""); row !== undefined; ) {
    const org = text(row, "org_id");
    const first = int(row, "at");
    if (first <= now) orgs.push({ org, first });
    const next = first > now ? first : db.prepare(NEXT_DUE).get(org, now)?.at;
    if (typeof next === "number") nextAt = Math.min(nextAt, next);
    row = db.prepare(NEXT_ORG).get(org);
  }
  const share = Math.ceil(limit / orgs.length);
  const items = orgs
    .sort((a, b) => a.first - b.first)
    .slice(0, limit)
    .flatMap(({ org }) => db.prepare(READ_DUE).all(org, now, share))
    .map(toDueItem)
    .sort((a, b) => a.at - b.at);
  return { items, nextAt: Number.isFinite(nextAt) ? nextAt : undefined };
}
