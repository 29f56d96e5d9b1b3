/**
 * What follows a commit, in memory only: watchers, pollers and timers are woken, and the worker
 * that holds a changed run is told. All of it may be lost; loops and heartbeats catch up.
 */

import type { Hub } from "../hub/hub.ts";
import { sleep } from "../lib/clock.ts";
import { BOUNDS } from "../model/bounds.ts";
import type { Entry } from "../model/entry.ts";
import { runKey } from "../model/ids.ts";
import { hasLapsed, isSuspect, isTerminal, type RunHeader } from "../model/run.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import type { EngineSignals } from "./engine-signals.ts";
import type { NewEvent } from "./events/event-types.ts";
import type { Intake } from "./events/intake.ts";
import { WHOLE_PAGE, withPayloads } from "./journal/journal-reads.ts";
import { noteCommitted } from "./observability/engine-metrics.ts";
import { traceCommitted } from "./observability/engine-traces.ts";
import { logCommitted } from "./observability/log-entries.ts";
import { readHeader } from "./runs/read-header.ts";
import type { RunView } from "./runs/run-types.ts";
import { endedView } from "./runs/run-view.ts";
import type { Connections, HeldRun, LocalConnection } from "./workers/connections.ts";
import type { Dispatcher } from "./workers/dispatcher.ts";
import type { ReleaseParts } from "./workers/release-lease.ts";
import { release } from "./workers/release-lease.ts";
import type { CommittedRun } from "./writer.ts";

export interface EffectsParts extends ReleaseParts {
  readonly connections: Connections;
  readonly dispatcher: Dispatcher;
  readonly hub: Hub<NewEvent, RunView>;
  readonly intake: Intake;
  readonly signals: EngineSignals;
  readonly tracing: Tracing | undefined;
}

export function afterCommit(parts: EffectsParts, runs: readonly CommittedRun[]): void {
  noteCommitted(parts.metrics, runs);
  logCommitted(parts.log, runs);
  if (parts.tracing !== undefined) traceCommitted(parts.tracing, runs);
  let ready = false;
  let gates = false;
  let due = Number.POSITIVE_INFINITY;
  for (const run of runs) {
    const { draft, state, key } = run;
    const { header } = state;
    const ended = isTerminal(header.status);
    parts.hub.wakeAfterCommit(key, ended, () => endedView(header, draft.now, draft.entries));
    // Under its current fence the last holder may continue, unless the run is over.
    if (header.lease === null) parts.intake.forget(key, ended ? header.fence : header.fence - 1);
    if (draft.tookBack) noteHolder(parts, key, header);
    ready ||= draft.readied !== undefined;
    due = Math.min(due, draft.earliestDue);
    gates ||= draft.changesGates;
    const connection = parts.connections.holder(key);
    const held = connection?.held.get(key);
    if (draft.readied !== undefined && isSuspect(header)) parts.dispatcher.lookForSuspects();
    if (held?.isSuspect === true && (header.lease === null || !isSuspect(header))) {
      held.isSuspect = false;
      parts.dispatcher.lookForSuspects();
    }
    if (connection !== undefined && held !== undefined)
      tellHolder(parts, connection, held, key, header, draft.entries, (seq) =>
        draft.isReplied(seq),
      );
  }
  if (runs.length > 0) parts.hub.wakeAll();
  if (ready) parts.signals.runsReady.emit("surely");
  if (due !== Number.POSITIVE_INFINITY) parts.signals.dueAt.emit(due);
  if (gates) parts.signals.gatesChanged.emit();
  if (parts.store.replicas && runs.length > 0) {
    parts.store
      .wake("runs")
      .catch((error: unknown) => parts.log.warn("replicas.unwoken", { error }));
  }
}

/** A worker that writes after its lease lapsed has the run again. */
function noteHolder(
  parts: EffectsParts,
  key: string,
  { org, runId, fence, lease, intent }: RunHeader,
): void {
  const connection = lease === null ? undefined : parts.connections.get(lease.connectionId);
  if (connection === undefined || connection.held.get(key)?.fence === fence) return;
  // What it was told is not known any more: it hears all once more.
  parts.connections.hold(connection, key, org, { runId, fence }, 0, true, intent === "pause");
}

/** Reads what the holder of a run has not been told yet, and tells it. */
export async function syncHeld(parts: EffectsParts, org: string, runId: string): Promise<void> {
  const key = runKey(org, runId);
  parts.writer.evict(key);
  const connection = parts.connections.holder(key);
  const held = connection?.held.get(key);
  if (connection === undefined || held === undefined) return;
  const caller = { org };
  const header = await readHeader(parts.store, caller, runId);
  const entries: Entry[] = [];
  for (let more = held.told < header.seq; more; ) {
    const after = entries.at(-1)?.seq ?? held.told;
    const page = await parts.store.readJournal(caller, runId, after, WHOLE_PAGE);
    entries.push(...page.entries.filter((entry) => entry.seq <= header.seq));
    more = page.more && page.entries.length > 0;
  }
  if (connection.held.get(key) !== held) return;
  held.telling = Math.max(held.told, (entries[0]?.seq ?? header.seq + 1) - 1);
  tellHolder(parts, connection, held, key, header, entries);
}

/**
 * Compares what the holders of runs were told with what is on record, and tells them the rest.
 *
 * @param isDoubtful which of the runs held here to look at
 */
export async function syncAllHeld(
  parts: EffectsParts,
  isDoubtful: (key: string, held: HeldRun) => boolean = () => true,
): Promise<void> {
  const all: [string, HeldRun][] = [];
  for (const connection of parts.connections.all()) {
    // A connection that comes back asks for itself.
    if (!connection.open) continue;
    for (const [key, run] of connection.held) if (isDoubtful(key, run)) all.push([key, run]);
  }
  for (let from = 0; from < all.length; from += BOUNDS.batchCommands) {
    const some = all.slice(from, from + BOUNDS.batchCommands);
    const refs = some.map(([, { org, runId, told }]) => ({ org, runId, afterSeq: told }));
    const loaded = await parts.store.loadRuns(refs);
    const late = () =>
      some.filter(([key, run], index) => {
        const header = loaded[index]?.header;
        const isHeld = parts.connections.holder(key)?.held.get(key) === run;
        return isHeld && header !== undefined && isNews(header, run);
      });
    if (late().length === 0) continue;
    // Commits of our own that are just being answered tell of themselves.
    await sleep(BOUNDS.newsSettledMs);
    const refused = (
      await Promise.allSettled(late().map(([, { org, runId }]) => syncHeld(parts, org, runId)))
    ).find((result) => result.status === "rejected");
    if (refused !== undefined) throw refused.reason;
  }
}

/**
 * Heals the loss of a push, whatever it was that lost it. Only a run that waits can be stuck for
 * that: all others ask with their next step.
 */
export function syncWaiting(parts: EffectsParts): Promise<void> {
  return syncAllHeld(parts, (key, { told }) => {
    const state = parts.writer.cached(key);
    return state === undefined || state.openWaits > 0 || state.header.seq > told;
  });
}

/** Whether a run's row, read after `told`, has something new for its holder. */
function isNews(header: RunHeader, held: HeldRun): boolean {
  return header.seq > held.told || (header.intent === "pause") !== held.pausing;
}

/**
 * Tells the connection that holds a run what others did to it.
 *
 * @param isReplied whether the holder learns of an entry by the reply to its own command
 */
function tellHolder(
  parts: EffectsParts,
  connection: LocalConnection,
  held: HeldRun,
  key: string,
  header: RunHeader,
  entries: readonly Entry[],
  isReplied: (seq: number) => boolean = () => false,
): void {
  if (header.fence === held.fence && hasLapsed(header)) {
    held.lapsed = true;
    connection.stalled = connection.open;
    return;
  }
  if (header.lease?.connectionId !== connection.connectionId) {
    parts.connections.drop(connection, key);
    // Under a later fence it was another worker that ended it.
    if (header.fence !== held.fence || !endedByHolder(entries)) {
      connection.sink.leaseResults(
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
    cancelAt(connection, held, header, cancelling?.meta.reason);
    return;
  }
  if ((header.intent === "pause") !== held.pausing) {
    held.pausing = header.intent === "pause";
    if (held.pausing) connection.sink.pause(header.runId, header.fence);
  }
  const from = entries[0]?.seq ?? header.seq + 1;
  if (from > held.telling + 1) {
    // Others wrote between: another server, or a commit of ours whose answer was lost.
    const goOn = connection.sink.reserve(held.runId, held.telling + 1);
    syncHeld(parts, held.org, held.runId)
      .catch((error: unknown) => giveUp(parts, connection, held, error))
      .finally(goOn);
    return;
  }
  const { telling } = held;
  held.telling = Math.max(telling, header.seq);
  const resolved: Entry[] = [];
  for (const entry of entries) {
    const { type, seq, key } = entry;
    if (seq <= telling || !isSlow(entry)) continue;
    if (type === "workflow.wait.resolved" && !isReplied(seq)) resolved.push(entry);
    else connection.sink.reserveReply(held.runId, key, seq);
  }
  const [first] = resolved;
  if (first !== undefined) {
    void pushResolved(
      parts,
      connection,
      held,
      resolved,
      connection.sink.reserve(held.runId, first.seq),
    );
  } else if (held.sending === 0) held.told = held.telling;
}

function isNewCancel({ status, fence }: RunHeader, held: HeldRun): boolean {
  return status === "CANCELLING" && held.fence !== fence;
}

/**
 * Tells the holder of a cancelled run before its next write is refused for the fence, which else it
 * would take for the loss of the run, and nobody would clean up.
 */
export function tellCancelled({ connections }: EffectsParts, key: string, header: RunHeader): void {
  const connection = connections.holder(key);
  const held = connection?.held.get(key);
  if (connection === undefined || held === undefined || !isNewCancel(header, held)) return;
  if (header.lease?.connectionId === connection.connectionId) cancelAt(connection, held, header);
}

function cancelAt(
  { sink }: LocalConnection,
  held: HeldRun,
  { runId, fence, notes }: RunHeader,
  reason = notes.cancelReason ?? "",
): void {
  held.fence = fence;
  held.unheard = true;
  sink.cancel(runId, fence, reason, notes.cleanUp?.graceMs ?? BOUNDS.cancelGraceMs);
}

/** What its holder is told of in several turns of the event loop: ends of waits, failures, and the URL of a callback. */
function isSlow({ type, meta }: Entry): boolean {
  if (type === "workflow.wait.created") return meta.kind === "callback";
  return type === "workflow.wait.resolved" || type === "workflow.step.failed";
}

/** What was sent counts as told only now: should this get stuck, the news loop sends it again. */
async function pushResolved(
  parts: EffectsParts,
  connection: LocalConnection,
  held: HeldRun,
  resolved: Entry[],
  goOn: () => void,
): Promise<void> {
  held.sending += 1;
  try {
    const entries = await withPayloads(parts.store, { org: held.org }, held.runId, resolved);
    for (const entry of entries) connection.sink.waitResolved(held.runId, held.fence, entry);
    held.sending -= 1;
    if (held.sending === 0) held.told = held.telling;
  } catch (error) {
    giveUp(parts, connection, held, error);
  } finally {
    goOn();
  }
}

/** The worker drops the run, and the next holder reads the news from the journal. */
function giveUp(
  parts: EffectsParts,
  connection: LocalConnection,
  held: HeldRun,
  error: unknown,
): void {
  const { org, runId, fence } = held;
  parts.log.warn("run.news_undelivered", {
    run_id: runId,
    error,
  });
  const key = runKey(org, runId);
  if (connection.held.get(key) !== held) return;
  parts.connections.drop(connection, key);
  connection.sink.leaseResults([{ runId, status: "lost", fence, until: 0 }], undefined);
  void release(parts, { org, runId, fence, connectionId: connection.connectionId }, "refused");
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
