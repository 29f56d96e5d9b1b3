/** The steps of a run, as its journal has them. */
import type { Caller } from "../model/caller.ts";
import type { EntryHead } from "../model/entry.ts";
import { invalid, notFound } from "../model/errors.ts";
import { LIMITS } from "../model/limits.ts";
import type { ListSteps } from "./api.ts";
import type { Core } from "./core.ts";
import { bytesOfEntry, countWithin } from "./events/size.ts";

/** The latest entry of each step and wait, in the order of their first ones. */
export async function listSteps(
  core: Core,
  caller: Caller,
  { runId, pageSize, pageToken }: ListSteps,
): Promise<{ steps: EntryHead[]; nextPageToken: string }> {
  const first = pageToken === "" ? 0 : parseToken(pageToken);
  const [run] = await core.store.loadRuns([{ org: caller.org, runId, afterSeq: 0 }]);
  if (run === undefined) throw notFound("run", runId);
  const latest = new Map<string, EntryHead>();
  for (const entry of run.entries) if (entry.key !== "") latest.set(entry.key, entry);
  const all = [...latest.values()];
  const page = { items: pageSize, bytes: LIMITS.journalPageBytes };
  const end = first + countWithin(all, first, page, bytesOfEntry);
  return {
    steps: all.slice(first, end),
    nextPageToken: end < all.length ? makeToken(end) : "",
  };
}

/** Steps are only added, so that a place in their order stays what it is. */
function makeToken(place: number): string {
  return Buffer.from(String(place)).toString("base64url");
}

function parseToken(token: string): number {
  const text = Buffer.from(token, "base64url").toString("utf8");
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw invalid("page_token", "is not one that this server gave out");
}
