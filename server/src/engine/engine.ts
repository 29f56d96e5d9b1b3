import { Hub } from "../hub/hub.ts";
import { type Clock, systemClock } from "../lib/clock.ts";
import { BOUNDS } from "../model/bounds.ts";
import type { Store } from "../store/store.ts";
import { createMetrics, type Metrics } from "../telemetry/metrics.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import { admitHeld } from "./background/admit-held.ts";
import { startTask } from "./background/background-task.ts";
import { dispatchReady } from "./background/dispatch-ready.ts";
import { expireLeases } from "./background/expire-leases.ts";
import { fireDue } from "./background/fire-due.ts";
import { lookAtWatched } from "./background/look-at-watched.ts";
import { pruneEnded } from "./background/prune-ended.ts";
import { redeliver } from "./background/redeliver.ts";
import { formerLeases, releaseForgotten } from "./background/release-forgotten.ts";
import { sweepDeltas } from "./background/sweep-deltas.ts";
import { sweepStore } from "./background/sweep-store.ts";
import { takeNudges } from "./background/take-nudges.ts";
import { tellAllHolders, tellHolders } from "./background/tell-holders.ts";
import { writeStarts } from "./background/write-starts.ts";
import { afterCommit, tellCancelled } from "./effects.ts";
import type { EngineApi } from "./engine-api.ts";
import type { EngineLog } from "./engine-log.ts";
import { createSignals } from "./engine-signals.ts";
import type { NewEvent } from "./events/event-types.ts";
import { Events } from "./events/events.ts";
import { Feeds } from "./events/feed.ts";
import { Intake } from "./events/intake.ts";
import { readGauges } from "./observability/engine-metrics.ts";
import { Outcomes } from "./outcomes/outcomes.ts";
import { Payloads } from "./payloads/payloads.ts";
import type { RunView } from "./runs/run-types.ts";
import { Runs } from "./runs/runs.ts";
import { Signals } from "./signals/signals.ts";
import { Steps } from "./steps/steps.ts";
import { withPawlErrors } from "./store-errors.ts";
import { quietAboutStore, StoreHealth } from "./store-health.ts";
import { WaitLinks } from "./waits/wait-links.ts";
import { Waits } from "./waits/waits.ts";
import { Connections } from "./workers/connections.ts";
import { Dispatcher } from "./workers/dispatcher.ts";
import { handOut } from "./workers/hand-out.ts";
import { Polling } from "./workers/polling.ts";
import { Refusals } from "./workers/refusals.ts";
import { WorkerRegistry } from "./workers/worker-registry.ts";
import { Workers } from "./workers/workers.ts";
import { Writer } from "./writer.ts";

export interface EngineOptions {
  readonly store: Store;
  /** Names this server among those on one store. The same name after a restart finds its old connections. */
  readonly replicaId: string;
  readonly log: EngineLog;
  /** Where answer links and callback URLs lead, without a slash at the end. Default: the standard HTTP address. */
  readonly publicUrl?: () => string;
  /** The metrics in which it counts what it does. Default: its own. */
  readonly metrics?: Metrics;
  /** Default: no spans. */
  readonly tracing?: Tracing | undefined;
  /** How long runs are kept after their end. Default: for ever. */
  readonly retentionMs?: number | undefined;
  /** Default: the system's. */
  readonly clock?: Clock;
  /**
   * For a server whose callers are all in its own process: the name of that, as who executes a run
   * that is claimed here. Default: callers are elsewhere, and outlive the server.
   */
  readonly process?: string;
}

/** The engine: all use cases over one store. */
export interface Engine extends EngineApi {
  /**
   * Takes the runs back that this server's former life had given out, without waiting for anybody to
   * come back for them: for a server within the program that executes them.
   */
  takeOver(): Promise<void>;
  /** Tells the workers to go elsewhere; no run is handed out any more. */
  drain(): void;
  /** Finishes what is queued and stops the loops. The store stays open. */
  close(): Promise<void>;
}

export function createEngine(options: EngineOptions): Engine {
  const parts = createParts(options);
  const { clock, connections, dispatcher, health, intake, log, process, registry, store, writer } =
    parts;
  const former = formerLeases(parts);
  const takeOver = async () => await releaseForgotten(parts, await former);
  const leaveLeases = (error: unknown) => log.warn("leases.left_to_expire", { error });
  former.catch(leaveLeases);
  const runs = new Runs(parts);
  const steps = new Steps(parts);
  const outcomes = new Outcomes(parts);
  const signals = new Signals(parts);
  const waits = new Waits(parts);
  const events = new Events(parts);
  const payloads = new Payloads(parts);
  const workers = new Workers(parts);
  const polling = new Polling(parts);

  const stopGauges = readGauges({ ...parts, events });
  subscribe(parts, workers);
  const tasks = [
    fireDue(parts),
    admitHeld(parts),
    expireLeases(parts),
    writeStarts(parts),
    redeliver(parts),
    tellHolders(parts),
    sweepStore(parts),
    sweepDeltas(parts),
    dispatchReady(parts),
    lookAtWatched(parts),
    ...(store.replicas ? [takeNudges(parts)] : []),
    ...(options.retentionMs === undefined ? [] : [pruneEnded(parts, options.retentionMs)]),
  ];
  const loops = tasks.map((task) => startTask(task, clock, log));
  // Within a program nobody comes back for what it held: see takeOver.
  const restart =
    process === undefined
      ? setTimeout(() => void takeOver().catch(leaveLeases), BOUNDS.restartGraceMs)
      : undefined;

  return {
    runs,
    steps,
    outcomes,
    signals,
    waits,
    links: parts.links,
    events,
    payloads,
    workers,
    polling,
    registry,
    ready: () => health.ok,
    takeOver,
    drain() {
      dispatcher.stop();
      for (const connection of connections.all()) if (connection.open) connection.sink.drain();
    },
    async close() {
      clearTimeout(restart);
      health.stop();
      stopGauges();
      dispatcher.stop();
      await Promise.all(loops.map((loop) => loop.stop()));
      await writer.drain();
      await intake.close();
      for (const connection of [...connections.all()]) connections.remove(connection);
    },
  };
}

type Parts = ReturnType<typeof createParts>;

/** What the areas and background tasks share; each takes what its own type names. */
function createParts(options: EngineOptions) {
  const { store: bare, replicaId, clock = systemClock, metrics = createMetrics() } = options;
  const { process, tracing } = options;
  const publicUrl = options.publicUrl ?? (() => "http://127.0.0.1:8000");
  const log = quietAboutStore(options.log);
  const signals = createSignals();
  const health = new StoreHealth(bare, options.log, metrics.storeErrors);
  const store = withPawlErrors(bare, (error) => health.noted(error));
  const hub = new Hub<NewEvent, RunView>();
  const connections = new Connections(clock);
  const intake = new Intake({
    store: bare,
    clock,
    onKept: signals.deltasKept.emit,
    onError: (error) => health.failed("deltas could not be written; they are tried again", error),
  });
  const writer = new Writer({
    store: bare,
    clock,
    replicaId,
    metrics,
    tracing,
    deltas: intake,
    onCommitted: signals.committed.emit,
    slots: {
      reserve: (org, ready) => dispatcher.reserve(org, ready),
      free: (lease) => dispatcher.free(lease),
    },
    onGiven: (header, entries) => signals.given.emit({ header, entries }),
    onOutdated: (key, header) => signals.outdated.emit({ key, header }),
    onStoreError: (error) => health.failed("the store failed; writes are retried", error),
    onRefused: (error) => log.warn("store.refused", { error }),
    onRecovered: signals.recovered.emit,
  });
  const dispatcher: Dispatcher = new Dispatcher({
    writer,
    connections,
    clock,
    deliver: signals.claimed.emit,
    onError: (name, error) => log.warn("store.failed_in_background", { task: name, error }),
  });
  const registry = new WorkerRegistry({ store, writer, clock, connections });
  const links = new WaitLinks({ store, clock, publicUrl });
  const feeds = new Feeds({ store, clock, hub });
  const refusals = new Refusals({ store, clock, writer, metrics, log, hub });
  return {
    ...{ store, clock, log, metrics, tracing, replicaId, process, signals, health, hub },
    ...{ connections, intake, writer, dispatcher, registry, links, feeds, refusals },
  };
}

/** Who does what when something happens. Background tasks name what wakes them themselves. */
function subscribe(parts: Parts, workers: Workers): void {
  const { signals, dispatcher, hub, log, store } = parts;
  signals.committed.on((runs) => afterCommit(parts, runs));
  signals.outdated.on(({ key, header }) => tellCancelled(parts, key, header));
  signals.claimed.on((run) => {
    workers.deliver(run).catch((error: unknown) => {
      log.warn("run.undelivered", { run_id: run.header.runId, error });
    });
  });
  signals.given.on(({ header, entries }) => {
    handOut(parts, header, entries, (run) => workers.deliver(run)).catch((error: unknown) => {
      log.warn("run.undelivered", { run_id: header.runId, error });
    });
  });
  signals.runsReady.on((how) => {
    if (how === "surely") dispatcher.wake();
    else dispatcher.look();
  });
  signals.deltasKept.on((keys) => {
    for (const key of keys) hub.wake(key);
    if (!store.replicas) return;
    store.wake("deltas").catch((error: unknown) => log.warn("replicas.unwoken", { error }));
  });
  signals.recovered.on(() => {
    signals.runsChanged.emit();
    tellAllHolders(parts);
  });
  signals.runsChanged.on(() => {
    hub.wakeAll();
    signals.runsReady.emit("perhaps");
  });
  store.onWake((what) => {
    if (what === "runs") signals.runsChanged.emit();
    else signals.deltasChanged.emit();
  });
}
