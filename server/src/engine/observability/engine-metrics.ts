/** What the engine counts: read off the entries and claims of each commit, so that it costs no call of its own. */

import type { Clock } from "../../lib/clock.ts";
import { watchEventLoop } from "../../lib/event-loop.ts";
import type { Sample } from "../../lib/metrics.ts";
import { BOUNDS } from "../../model/bounds.ts";
import type { Entry } from "../../model/entry.ts";
import type { RunHeader } from "../../model/run.ts";
import type { ClaimedRun, ReadyQueue } from "../../store/runs.ts";
import type { Store } from "../../store/store.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { EngineLog } from "../engine-log.ts";
import type { Intake } from "../events/intake.ts";
import type { StoreHealth } from "../store-health.ts";
import type { Connections, LocalConnection } from "../workers/connections.ts";
import type { CommittedRun, Writer } from "../writer.ts";

export function noteCommitted(metrics: Metrics, runs: readonly CommittedRun[]): void {
  for (const { draft } of runs) {
    for (const entry of draft.entries) noteEntry(metrics, draft.header, entry);
  }
}

function noteEntry(metrics: Metrics, header: RunHeader, entry: Entry): void {
  switch (entry.type) {
    case "workflow.step.completed":
      metrics.stepsCompleted.inc();
      metrics.attemptsCompleted.inc();
      metrics.stepSeconds.observe((entry.meta.ms ?? 0) / 1_000);
      return;
    case "workflow.step.retrying":
      metrics.retries.inc();
      noteFailure(metrics, entry);
      return;
    case "workflow.step.failed":
      metrics.stepsFailed.inc();
      noteFailure(metrics, entry);
      return;
    case "workflow.wait.resolved":
      metrics.waitsResolved.of(entry.meta.outcome ?? "fired").inc();
      return;
    case "workflow.signal.received":
      metrics.signals.inc();
      return;
    case "run.started":
      metrics.runsStarted.of(header.workflow).inc();
      return;
    case "run.completed":
      noteEnd(metrics, header, entry, "completed");
      return;
    case "run.failed":
      noteEnd(metrics, header, entry, "failed");
      return;
    case "run.cancelled":
      noteEnd(metrics, header, entry, "cancelled");
      return;
    default:
      return;
  }
}

function noteFailure(metrics: Metrics, entry: Entry): void {
  metrics.attemptsFailed.inc();
  metrics.stepSeconds.observe((entry.meta.ms ?? 0) / 1_000);
}

function noteEnd(metrics: Metrics, header: RunHeader, entry: Entry, outcome: string): void {
  metrics.runsEnded.of(header.workflow, outcome).inc();
  metrics.runSeconds.observe(Math.max(0, entry.at - header.createdAt) / 1_000);
}

/** A run that a worker is about to be given, with the journal that goes along. */
export function noteClaimed(metrics: Metrics, run: ClaimedRun): void {
  const { header, entries } = run;
  metrics.dispatches.inc();
  const recorded = countRecorded(entries);
  if (recorded > 0) metrics.replays.inc(recorded);
  const last = entries.at(-1);
  if (last === undefined || last.seq !== header.seq) return;
  // A claim sets it to the moment of its commit.
  const now = header.updatedAt;
  const since = readySince(header, last);
  if (since !== undefined) metrics.dispatchSeconds.observe(Math.max(0, now - since) / 1_000);
  if (last.type === "run.recovered") {
    metrics.recoverySeconds.observe(Math.max(0, now - last.at) / 1_000);
  }
}

function countRecorded(entries: readonly Entry[]): number {
  let recorded = 0;
  for (const { type } of entries) {
    if (type === "workflow.step.completed" || type === "workflow.step.failed") recorded += 1;
  }
  return recorded;
}

/**
 * Since when a claimed run was ready, where its last journal entry tells: what woke it. A retry that
 * has become due leaves no entry, nor does a dispatch that nobody took up.
 */
export function readySince(header: RunHeader, last: Entry): number | undefined {
  switch (last.type) {
    case "run.started":
      return Math.max(last.at, header.startAt);
    case "run.recovered":
    case "run.resumed":
    case "run.retried":
    case "workflow.wait.resolved":
      return last.at;
    case "workflow.waiting":
      return last.meta.reason === "GIVEN_BACK" ? last.at : undefined;
    default:
      return undefined;
  }
}

export interface GaugesParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: EngineLog;
  readonly metrics: Metrics;
  readonly writer: Writer;
  readonly connections: Connections;
  readonly intake: Intake;
  readonly events: { readonly watching: number };
  readonly health: StoreHealth;
}

/** Registers what is read when somebody asks; returns how to stop what is measured on the way. */
export function readGauges(parts: GaugesParts): () => void {
  const { registry } = parts.metrics;
  const gauge = (name: string, help: string, read: () => number | readonly Sample[]): void =>
    registry.read("gauge", name, help, read);
  gauge("pawl_store_up", "1 while the store responds, otherwise 0.", () => +parts.health.ok);
  gauge("pawl_commands_queued", "Commands that wait for a commit.", () => parts.writer.queued);
  gauge("pawl_worker_connections", "Open worker connections.", () =>
    sum(parts.connections, (connection) => +connection.open),
  );
  gauge(
    "pawl_workers_connected",
    "Worker processes with an open connection.",
    () =>
      new Set(
        [...parts.connections.all()].flatMap(({ open, worker }) =>
          open ? [worker.instanceId] : [],
        ),
      ).size,
  );
  gauge("pawl_worker_slots_free", "Free slots of connected workers.", () =>
    sum(parts.connections, (connection) => connection.wanting),
  );
  gauge("pawl_leases_held", "Runs that workers connected to this server hold.", () =>
    sum(parts.connections, (connection) => connection.held.size),
  );
  gauge("pawl_watchers", "Open streams of events.", () => parts.events.watching);
  registry.read(
    "counter",
    "pawl_deltas_published_total",
    "Live events that were received.",
    () => parts.intake.taken,
  );
  registry.read(
    "counter",
    "pawl_deltas_dropped_total",
    "Live events dropped because a buffer was full; watchers see a gap.",
    () => parts.intake.dropped,
  );
  readQueues(parts, gauge);
  return watchEventLoop((late) => parts.metrics.eventLoopSeconds.observe(late));
}

function emptyQueue(queue: string): ReadyQueue {
  return { queue, runs: 0, oldestAt: 0 };
}

type Gauge = (name: string, help: string, read: () => readonly Sample[]) => void;

/** The one thing that is asked of the store; while it does not answer, there are no such samples. */
function readQueues(parts: GaugesParts, gauge: Gauge): void {
  let queues: readonly ReadyQueue[] = [];
  /** Those that were once seen: when empty, they are shown as such. */
  const seen = new Map<string, ReadyQueue>([["default", emptyQueue("default")]]);
  parts.metrics.registry.beforeCollect(async () => {
    try {
      const found = await parts.store.readyQueues(BOUNDS.readyRunsCounted);
      for (const { queue } of found) {
        if (seen.size < BOUNDS.queuesShown) seen.set(queue, emptyQueue(queue));
      }
      const busy = new Set(found.map(({ queue }) => queue));
      queues = [...found, ...[...seen.values()].filter(({ queue }) => !busy.has(queue))];
    } catch (error) {
      queues = [];
      parts.log.warn("metrics.queues_unread", { error });
    }
  });
  const samples = (value: (queue: ReadyQueue) => number) => (): Sample[] =>
    queues
      .slice(0, BOUNDS.queuesShown)
      .map((queue) => ({ labels: { queue: queue.queue }, value: value(queue) }));
  gauge(
    "pawl_queue_depth",
    `Runs that wait for a worker, by queue; counted up to ${BOUNDS.readyRunsCounted}.`,
    samples(({ runs }) => runs),
  );
  gauge(
    "pawl_queue_oldest_seconds",
    "How long the first run of a queue has been waiting; a run that lost its worker keeps its place.",
    samples(({ runs, oldestAt }) =>
      runs === 0 ? 0 : Math.max(0, parts.clock.now() - oldestAt) / 1_000,
    ),
  );
}

function sum(connections: Connections, value: (connection: LocalConnection) => number): number {
  let total = 0;
  for (const connection of connections.all()) total += value(connection);
  return total;
}
