/**
 * The checkpoints of many runs, for exporters. There is no order over all runs, and none is needed:
 * what happened since a moment is found by the runs that continue and those that have ended since.
 *
 * 1. Within a run, entries come in order and, as long as the stream is open, once.
 * 2. A cursor is a moment before which nothing is missing. Clocks of servers may differ and commits
 *    may be slow, so it lies `SLACK_MS` back; who continues from it gets some entries again.
 * 3. A reader that does not read costs nothing: runs are looked for when it asks for more.
 */

import type { Hub } from "../../hub/hub.ts";
import { type Clock, sleep } from "../../lib/clock.ts";
import type { Caller } from "../../model/caller.ts";
import type { Entry } from "../../model/entry.ts";
import { invalid } from "../../model/errors.ts";
import { isTerminal, RUN_STATUSES, type RunHeader, type RunStatus } from "../../model/run.ts";
import type { Store } from "../../store/store.ts";
import { WHOLE_PAGE, withPayloads } from "../journal/journal-reads.ts";
import type { NewEvent, RunEvent, RunsEvents, WatchRuns } from "./event-types.ts";
import { checkpointEvent } from "./merge.ts";
import { lifeOf, makeCursor, START } from "./position.ts";

const SLACK_MS = 10_000;
/** Looking again and again at every commit would cost more than it tells. */
const PAUSE_MS = 100;
const PERIOD_MS = 1_000;
const PAGE = 500;

function makeMoment(at: number): string {
  return Buffer.from(`w${at}`).toString("base64url");
}

function parseMoment(cursor: string): number {
  const match = /^w(\d{1,15})$/.exec(Buffer.from(cursor, "base64url").toString("utf8"));
  if (match === null) throw invalid("after_cursor", "is not a valid token from this server");
  return Number(match[1]);
}

export interface WatchRunsParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly hub: Hub<NewEvent>;
}

export async function* watchRuns(
  { store, clock, hub }: WatchRunsParts,
  caller: Caller,
  watch: WatchRuns,
  signal: AbortSignal,
): AsyncGenerator<RunsEvents> {
  const resumed = watch.afterCursor !== "";
  let since = resumed ? parseMoment(watch.afterCursor) : clock.now();
  /** The last entry that was given out of each run that changed lately. */
  let given = new Map<string, { seq: number; at: number }>();
  if (!resumed) yield { events: [], cursor: makeMoment(since) };
  while (!signal.aborted) {
    const { version } = hub.all;
    const begun = clock.now();
    for await (const header of changedRuns(store, caller, watch, since)) {
      const from = given.get(header.runId)?.seq ?? (await seqAt(store, caller, header, since));
      for await (const entries of entriesAfter(store, caller, header, from)) {
        const events = eventsOf(watch, header, entries);
        if (events.length > 0) yield { events, cursor: makeMoment(since) };
        if (signal.aborted) return;
      }
      given.set(header.runId, { seq: Math.max(from, header.seq), at: begun });
    }
    const before = since;
    since = Math.max(since, begun - SLACK_MS);
    given = new Map([...given].filter(([, { at }]) => at >= begun - 3 * SLACK_MS));
    if (since !== before) yield { events: [], cursor: makeMoment(since) };
    await rest(hub, version, signal);
  }
}

/** Waits until something is committed, here or as other servers say, and for a moment in any case. */
async function rest(hub: Hub<NewEvent>, version: number, signal: AbortSignal): Promise<void> {
  await sleep(PAUSE_MS, signal).catch(() => undefined);
  const until = AbortSignal.any([signal, AbortSignal.timeout(PERIOD_MS)]);
  if (hub.all.version === version) await hub.all.changed(until);
}

/** Headers of the runs that match and may have entries since then. */
async function* changedRuns(
  store: Store,
  caller: Caller,
  watch: WatchRuns,
  since: number,
): AsyncGenerator<RunHeader> {
  const wanted = (status: RunStatus): boolean =>
    watch.statuses.length === 0 || watch.statuses.includes(status);
  const active = RUN_STATUSES.filter((status) => !isTerminal(status) && wanted(status));
  if (active.length > 0) {
    let after: { createdAt: number; runId: string } | undefined;
    for (let more = true; more; ) {
      const page = await store.listRuns(caller, {
        statuses: active,
        ...(watch.workflow === "" ? {} : { workflow: watch.workflow }),
        tags: watch.tags,
        limit: PAGE,
        ...(after === undefined ? {} : { after }),
      });
      for (const header of page.runs) {
        after = { createdAt: header.createdAt, runId: header.runId };
        if (header.updatedAt >= since) yield header;
      }
      more = page.more;
    }
  }
  if (!RUN_STATUSES.some((status) => isTerminal(status) && wanted(status))) return;
  let after = { endedAt: since - 1, runId: "" };
  for (let more = true; more; ) {
    const page = await store.endedSince(caller, after, PAGE);
    for (const header of page) {
      after = { endedAt: header.endedAt, runId: header.runId };
      if (isTerminal(header.status) && wanted(header.status) && matches(watch, header))
        yield header;
    }
    more = page.length === PAGE;
  }
}

function matches({ workflow, tags }: WatchRuns, header: RunHeader): boolean {
  if (workflow !== "" && header.workflow !== workflow) return false;
  return Object.entries(tags).every(([key, value]) => header.tags[key] === value);
}

/** The last entry of a run before a moment. */
async function seqAt(
  store: Store,
  caller: Caller,
  header: RunHeader,
  since: number,
): Promise<number> {
  if (header.createdAt >= since) return 0;
  const { runId } = header;
  const [run] = await store.loadRuns([{ org: caller.org, runId, afterSeq: 0 }]);
  return run?.entries.findLast((entry) => entry.at < since)?.seq ?? 0;
}

async function* entriesAfter(
  store: Store,
  caller: Caller,
  { runId, seq }: RunHeader,
  from: number,
): AsyncGenerator<Entry[]> {
  for (let after = from; after < seq; ) {
    const page = await store.readJournal(caller, runId, after, WHOLE_PAGE);
    const entries = page.entries.filter((entry) => entry.seq <= seq);
    const last = entries.at(-1);
    if (last === undefined) return;
    after = last.seq;
    yield await withPayloads(store, caller, runId, entries);
  }
}

function eventsOf(watch: WatchRuns, header: RunHeader, entries: readonly Entry[]): RunEvent[] {
  const { types } = watch;
  return entries
    .filter(({ type }) => types.length === 0 || types.includes(type))
    .map((entry) => ({
      // The cursor is one for WatchRun of that run alone.
      cursor: makeCursor({ ...START, life: lifeOf(header), seq: entry.seq, mode: "joining" }),
      ...checkpointEvent(header.runId, entry),
    }));
}
