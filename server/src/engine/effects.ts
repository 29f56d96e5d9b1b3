/**
 * What follows a commit, in memory only: watchers, pollers and timers are woken, and the worker
 * that holds a changed run is told. All of it may be lost; loops and heartbeats catch up.
 */

import { sleep } from "../lib/clock.ts";
import type { Entry } from "../model/entry.ts";
import { LIMITS } from "../model/limits.ts";
import { hasLapsed, isSuspect, isTerminal, type RunHeader } from "../model/run.ts";
import type { Core } from "./core.ts";
import { WHOLE_PAGE, withPayloads } from "./journal.ts";
import { logCommitted } from "./log-entries.ts";
import { noteCommitted } from "./measure.ts";
import { release } from "./release.ts";
import { runKey } from "./run-cache.ts";
import { readHeader } from "./runs.ts";
import type { HeldRun, LocalSession } from "./sessions.ts";
import { traceCommitted } from "./trace.ts";
import type { CommittedRun } from "./writer.ts";

export interface Wakers {
  readonly dueAt: (at: number) => void;
  /** Runs may pass their limits. */
  readonly admit: () => void;
  readonly ready: () => void;
}

export function afterCommit(core: Core, wakers: Wakers, runs: readonly CommittedRun[]): void {
  noteCommitted(core.metrics, runs);
  logCommitted(core.log, runs);
  if (core.tracing !== undefined) traceCommitted(core.tracing, runs);
  let ready = false;
  let gates = false;
  let due = Number.POSITIVE_INFINITY;
  for (const run of runs) {
    const { draft, state, key } = run;
    const { header } = state;
    core.hub.notify(key, isTerminal(header.state));
    // Under its current fence the last holder may continue, unless the run is over.
    if (header.lease === null)
      core.intake.forget(key, isTerminal(header.state) ? header.fence : header.fence - 1);
    if (draft.tookBack) noteHolder(core, key, header);
    ready ||= draft.readied !== undefined;
    due = Math.min(due, draft.earliestDue);
    gates ||= draft.changesGates;
    const session = core.sessions.holder(key);
    const held = session?.held.get(key);
    if (draft.readied !== undefined && isSuspect(header)) core.dispatcher.lookForSuspects();
    if (held?.isSuspect === true && (header.lease === null || !isSuspect(header))) {
      held.isSuspect = false;
      core.dispatcher.lookForSuspects();
    }
    if (session !== undefined && held !== undefined)
      tellHolder(core, session, held, key, header, draft.entries, (seq) => draft.isReplied(seq));
  }
  if (runs.length > 0) core.hub.touch();
  if (ready) {
    core.dispatcher.nudge();
    wakers.ready();
  }
  if (due !== Number.POSITIVE_INFINITY) wakers.dueAt(due);
  if (gates) wakers.admit();
  if (core.store.replicas && runs.length > 0) {
    core.store.wake("runs").catch((error: unknown) => core.log.warn("replicas.unwoken", { error }));
  }
}

/** A worker that writes after its lease lapsed has the run again. */
function noteHolder(
  core: Core,
  key: string,
  { org, runId, fence, lease, intent }: RunHeader,
): void {
  const session = lease === null ? undefined : core.sessions.get(lease.sessionId);
  if (session === undefined || session.held.get(key)?.fence === fence) return;
  // What it was told is not known any more: it hears all once more.
  core.sessions.hold(session, key, org, { runId, fence }, 0, true, intent === "pause");
}

/** Reads what the holder of a run has not been told yet, and tells it. */
export async function syncHeld(core: Core, org: string, runId: string): Promise<void> {
  const key = runKey(org, runId);
  core.writer.evict(key);
  const session = core.sessions.holder(key);
  const held = session?.held.get(key);
  if (session === undefined || held === undefined) return;
  const caller = { org };
  const header = await readHeader(core, caller, runId);
  const entries: Entry[] = [];
  for (let more = held.told < header.seq; more; ) {
    const after = entries.at(-1)?.seq ?? held.told;
    const page = await core.store.readJournal(caller, runId, after, WHOLE_PAGE);
    entries.push(...page.entries.filter((entry) => entry.seq <= header.seq));
    more = page.more && page.entries.length > 0;
  }
  if (session.held.get(key) !== held) return;
  held.telling = Math.max(held.told, (entries[0]?.seq ?? header.seq + 1) - 1);
  tellHolder(core, session, held, key, header, entries);
}

/**
 * Compares what the holders of runs were told with what is on record, and tells them the rest.
 *
 * @param isDoubtful which of the runs held here to look at
 */
export async function syncAllHeld(
  core: Core,
  isDoubtful: (key: string, held: HeldRun) => boolean = () => true,
): Promise<void> {
  const all: [string, HeldRun][] = [];
  for (const session of core.sessions.all()) {
    // A session that comes back asks for itself.
    if (!session.open) continue;
    for (const [key, run] of session.held) if (isDoubtful(key, run)) all.push([key, run]);
  }
  for (let from = 0; from < all.length; from += LIMITS.batchCommands) {
    const some = all.slice(from, from + LIMITS.batchCommands);
    const refs = some.map(([, { org, runId, told }]) => ({ org, runId, afterSeq: told }));
    const loaded = await core.store.loadRuns(refs);
    const late = () =>
      some.filter(([key, run], index) => {
        const header = loaded[index]?.header;
        const isHeld = core.sessions.holder(key)?.held.get(key) === run;
        return isHeld && header !== undefined && isNews(header, run);
      });
    if (late().length === 0) continue;
    // Commits of our own that are just being answered tell of themselves.
    await sleep(LIMITS.newsSettledMs);
    const refused = (
      await Promise.allSettled(late().map(([, { org, runId }]) => syncHeld(core, org, runId)))
    ).find((result) => result.status === "rejected");
    if (refused !== undefined) throw refused.reason;
  }
}

/**
 * Heals the loss of a push, whatever it was that lost it. Only a run that waits can be stuck for
 * that: all others ask with their next step.
 */
export function syncWaiting(core: Core): Promise<void> {
  return syncAllHeld(core, (key, { told }) => {
    const state = core.writer.cached(key);
    return state === undefined || state.openWaits > 0 || state.header.seq > told;
  });
}

/** Of a run's row, as read after `told` was. */
function isNews(header: RunHeader, held: HeldRun): boolean {
  return header.seq > held.told || (header.intent === "pause") !== held.pausing;
}

/**
 * Tells the session that holds a run what others did to it.
 *
 * @param isReplied whether the holder learns of an entry by the reply to its own command
 */
function tellHolder(
  core: Core,
  session: LocalSession,
  held: HeldRun,
  key: string,
  header: RunHeader,
  entries: readonly Entry[],
  isReplied: (seq: number) => boolean = () => false,
): void {
  if (header.fence === held.fence && hasLapsed(header)) {
    held.lapsed = true;
    session.stalled = session.open;
    return;
  }
  if (header.lease?.sessionId !== session.sessionId) {
    core.sessions.drop(session, key);
    if (!endedByHolder(entries)) {
      session.sink.leaseResults(
        [{ runId: held.runId, status: "lost", fence: header.fence, until: 0 }],
        undefined,
      );
    }
    return;
  }
  if (held.lapsed) {
    held.lapsed = false;
    held.acked = true;
  }
  if (isNewCancel(header, held)) {
    const cancelling = entries.find((entry) => entry.type === "run.cancelling");
    cancelAt(session, held, header, cancelling?.meta.reason);
    return;
  }
  if ((header.intent === "pause") !== held.pausing) {
    held.pausing = header.intent === "pause";
    if (held.pausing) session.sink.pause(header.runId, header.fence);
  }
  const from = entries[0]?.seq ?? header.seq + 1;
  if (from > held.telling + 1) {
    // Others wrote between: another server, or a commit of ours whose answer was lost.
    const goOn = session.sink.reserve(held.runId, held.telling + 1);
    syncHeld(core, held.org, held.runId)
      .catch((error: unknown) => giveUp(core, session, held, error))
      .finally(goOn);
    return;
  }
  const { telling } = held;
  held.telling = Math.max(telling, header.seq);
  const resolved: Entry[] = [];
  for (const entry of entries) {
    const { type, seq, key } = entry;
    if (seq <= telling || !isSlow(type)) continue;
    if (type === "workflow.wait.resolved" && !isReplied(seq)) resolved.push(entry);
    else session.sink.reserveReply(held.runId, key, seq);
  }
  const [first] = resolved;
  if (first !== undefined) {
    void pushResolved(core, session, held, resolved, session.sink.reserve(held.runId, first.seq));
  } else if (held.sending === 0) held.told = held.telling;
}

function isNewCancel({ state, fence }: RunHeader, held: HeldRun): boolean {
  return state === "CANCELLING" && held.fence !== fence;
}

/**
 * Tells the holder of a cancelled run before its next write is refused for the fence, which else it
 * would take for the loss of the run, and nobody would clean up.
 */
export function tellCancelled(core: Core, key: string, header: RunHeader): void {
  const session = core.sessions.holder(key);
  const held = session?.held.get(key);
  if (session === undefined || held === undefined || !isNewCancel(header, held)) return;
  if (header.lease?.sessionId === session.sessionId) cancelAt(session, held, header);
}

function cancelAt(
  { sink }: LocalSession,
  held: HeldRun,
  { runId, fence, notes }: RunHeader,
  reason = notes.cancelReason ?? "",
): void {
  held.fence = fence;
  held.unheard = true;
  sink.cancel(runId, fence, reason, notes.cleanUp?.graceMs ?? LIMITS.cancelGraceMs);
}

/** The end of a step or wait that its holder is told of in several turns of the event loop. */
function isSlow(type: string): boolean {
  return type === "workflow.wait.resolved" || type === "workflow.step.failed";
}

/** What was sent counts as told only now: should this get stuck, the news loop sends it again. */
async function pushResolved(
  core: Core,
  session: LocalSession,
  held: HeldRun,
  resolved: Entry[],
  goOn: () => void,
): Promise<void> {
  held.sending += 1;
  try {
    const entries = await withPayloads(core.store, { org: held.org }, held.runId, resolved);
    for (const entry of entries) session.sink.waitResolved(held.runId, held.fence, entry);
    held.sending -= 1;
    if (held.sending === 0) held.told = held.telling;
  } catch (error) {
    giveUp(core, session, held, error);
  } finally {
    goOn();
  }
}

/** The worker drops the run, and the next holder reads the news from the journal. */
function giveUp(core: Core, session: LocalSession, held: HeldRun, error: unknown): void {
  const { org, runId, fence } = held;
  core.log.warn("run.news_undelivered", {
    run_id: runId,
    error,
  });
  const key = runKey(org, runId);
  if (session.held.get(key) !== held) return;
  core.sessions.drop(session, key);
  session.sink.leaseResults([{ runId, status: "lost", fence, until: 0 }], undefined);
  void release(core, { org, runId, fence, sessionId: session.sessionId }, "refused");
}

const OUTCOMES: ReadonlySet<string> = new Set([
  "run.completed",
  "run.failed",
  "run.cancelled",
  "run.paused",
  "workflow.waiting",
]);

/** The holder itself reported this outcome, and knows. */
function endedByHolder(entries: readonly Entry[]): boolean {
  return entries.some((entry) => OUTCOMES.has(entry.type) && entry.meta.worker !== undefined);
}
