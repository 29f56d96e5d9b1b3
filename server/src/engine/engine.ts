import { Hub } from "../hub/hub.ts";
import { type Clock, systemClock } from "../lib/clock.ts";
import { sha256 } from "../lib/ids.ts";
import type { Caller } from "../model/caller.ts";
import { notFound, PawlError } from "../model/errors.ts";
import { LIMITS } from "../model/limits.ts";
import type { ClaimedRun } from "../store/runs.ts";
import type { Store } from "../store/store.ts";
import { createMetrics, type Metrics } from "../telemetry/metrics.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import type { EngineApi, NewEvent, WorkflowView } from "./api.ts";
import type { Core, EngineLog } from "./core.ts";
import { Dispatcher } from "./dispatcher.ts";
import { afterCommit, syncAllHeld, tellCancelled, type Wakers } from "./effects.ts";
import { Feeds } from "./events/feed.ts";
import { Intake } from "./events/intake.ts";
import { quietAboutStore, StoreHealth } from "./health.ts";
import { openLink } from "./links.ts";
import { listSteps } from "./list-steps.ts";
import { type Loops, releaseForgotten, startLoops } from "./loops.ts";
import { readGauges } from "./measure.ts";
import * as polling from "./polling.ts";
import { Refusals } from "./refusals.ts";
import { Registry } from "./registry.ts";
import * as runs from "./runs.ts";
import { Sessions } from "./sessions.ts";
import * as signals from "./signals.ts";
import * as steps from "./steps.ts";
import { withPawlErrors } from "./store-errors.ts";
import { startTraced } from "./trace.ts";
import * as waits from "./waits.ts";
import * as watch from "./watch.ts";
import * as work from "./work.ts";
import { Writer } from "./writer.ts";

export interface EngineOptions {
  readonly store: Store;
  /** Names this server among those on one store. The same name after a restart finds its old sessions. */
  readonly replicaId: string;
  readonly log: EngineLog;
  /** Where answer links and callback URLs lead, without a slash at the end. Default: the standard HTTP address. */
  readonly publicUrl?: () => string;
  /** Where it counts what it does. Default: its own. */
  readonly metrics?: Metrics;
  /** Default: no spans. */
  readonly tracing?: Tracing | undefined;
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
  const { store, replicaId, clock = systemClock, metrics = createMetrics() } = options;
  const log = quietAboutStore(options.log);
  const health = new StoreHealth(store, options.log, metrics.storeErrors);
  const pollers = new Pollers();
  const wakers = wakersOf(pollers, () => loops);
  const sessions = new Sessions(clock);
  const intake = new Intake({
    store,
    clock,
    onKept: (keys) => showDeltas(core, keys),
    onError: (error) => health.failed("deltas could not be written; they are tried again", error),
  });
  const writer = new Writer({
    store,
    clock,
    replicaId,
    metrics,
    tracing: options.tracing,
    deltas: intake,
    onCommitted: (committed) => afterCommit(core, wakers, committed),
    onOutdated: (key, header) => tellCancelled(core, key, header),
    onStoreError: (error) => health.failed("the store failed; writes are retried", error),
    onRefused: (error) => log.warn("store.refused", { error }),
    onRecovered: () => tellHolders(core, lookAgain),
  });
  const dispatcher = new Dispatcher({
    writer,
    sessions,
    clock,
    deliver: (run) => deliver(core, run),
    onError: (name, error) => log.warn("store.failed_in_background", { task: name, error }),
  });
  const reads = withPawlErrors(store, (error) => health.noted(error));
  const core: Core = {
    store: reads,
    clock,
    log,
    replicaId,
    writer,
    sessions,
    dispatcher,
    registry: new Registry(reads, clock, sessions),
    refusals: new Refusals(),
    suspects: new Map(),
    hub: new Hub<NewEvent>(),
    process: options.process,
    links: { publicUrl: options.publicUrl ?? (() => "http://127.0.0.1:8000"), secrets: new Map() },
    metrics,
    tracing: options.tracing,
    intake,
    feeds: new Feeds(),
    watchers: { count: 0 },
    onReady: (listener) => pollers.add(listener),
  };
  const stopGauges = readGauges(core, () => health.ok);
  const loops: Loops = startLoops(core, wakers.ready);
  const lookAgain = (): void => lookEverywhere(core, wakers, loops);
  store.onWake((what) => (what === "runs" ? lookAgain() : loops.watch.nudge()));
  const restart = forgetLater(core);
  return engineOf(
    core,
    () => health.ok,
    async () => {
      clearTimeout(restart);
      health.stop();
      stopGauges();
      dispatcher.stop();
      await loops.stop();
      await writer.drain();
      await intake.close();
      for (const session of [...sessions.all()]) sessions.remove(session);
    },
  );
}

/** Another server has written something, or may have. */
function lookEverywhere(core: Core, wakers: Wakers, loops: Loops): void {
  core.hub.touch();
  core.dispatcher.nudge();
  wakers.ready();
  loops.wake.nudge();
  loops.due.nudge();
  loops.admit.nudge();
}

/** Within a program nobody comes back for what it held: see takeOver. */
function forgetLater(core: Core): NodeJS.Timeout | undefined {
  if (core.process !== undefined) return undefined;
  return setTimeout(() => forget(core), LIMITS.restartGraceMs);
}

/** Callers that wait for runs to become ready. */
class Pollers {
  readonly #listeners = new Set<() => void>();

  wake(): void {
    for (const wake of [...this.#listeners]) wake();
  }

  add(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

function deliver(core: Core, run: ClaimedRun): void {
  work.deliver(core, run).catch((error: unknown) =>
    core.log.warn("run.undelivered", {
      run_id: run.header.runId,
      error,
    }),
  );
}

function tellHolders(core: Core, lookAgain: () => void): void {
  lookAgain();
  syncAllHeld(core).catch((error: unknown) => core.log.warn("workers.untold", { error }));
}

/** Deltas are on record: their watchers, here and at other servers, look for them. */
function showDeltas(core: Core, keys: readonly string[]): void {
  for (const key of keys) core.hub.wake(key);
  if (!core.store.replicas) return;
  core.store.wake("deltas").catch((error: unknown) => core.log.warn("replicas.unwoken", { error }));
}

function wakersOf(pollers: Pollers, loops: () => Loops): Wakers {
  return {
    dueAt: (at) => loops().due.nudgeAt(at),
    admit: () => loops().admit.nudge(),
    ready: () => pollers.wake(),
  };
}

/** Leases that this server gave out before it was restarted, and that nobody came back for. */
function forget(core: Core): void {
  releaseForgotten(core).catch((error: unknown) =>
    core.log.warn("leases.left_to_expire", { error }),
  );
}

/** The use cases, each a function of its file, bound to one core. */
function engineOf(core: Core, ready: () => boolean, close: () => Promise<void>): Engine {
  return {
    startRun: (caller, start) => startTraced(core, caller, start),
    getRun: (caller, runId, view) => runs.getRun(core, caller, runId, view),
    waitRun: (caller, runId, timeoutMs, signal) =>
      runs.waitRun(core, caller, runId, timeoutMs, signal),
    listRuns: (caller, list) => runs.listRuns(core, caller, list),
    getJournal: (caller, runId, after, max) => runs.getJournal(core, caller, runId, after, max),
    cancelRun: (caller, runId, reason, graceMs, force) =>
      runs.cancelRun(core, caller, runId, reason, graceMs, force),
    pauseRun: (caller, runId, reason) => runs.pauseRun(core, caller, runId, reason),
    resumeRun: (caller, runId) => runs.resumeRun(core, caller, runId),
    retryRun: (caller, runId) => runs.retryRun(core, caller, runId),
    deleteRun: (caller, runId) => runs.deleteRun(core, caller, runId),
    updateTags: (caller, runId, set, remove) => runs.updateTags(core, caller, runId, set, remove),
    stepStarted: (caller, started) => steps.stepStarted(core, caller, started),
    stepCompleted: (caller, completed) => steps.stepCompleted(core, caller, completed),
    stepFailed: (caller, failed) => steps.stepFailed(core, caller, failed),
    getStep: (caller, runId, key) => steps.getStep(core, caller, runId, key),
    listSteps: (caller, list) => listSteps(core, caller, list),
    suspendRun: (caller, suspend) => steps.suspendRun(core, caller, suspend),
    completeRun: (caller, complete) => steps.completeRun(core, caller, complete),
    failRun: (caller, fail) => steps.failRun(core, caller, fail),
    closeWaits: (caller, close) => steps.closeWaits(core, caller, close),
    beginCleanUp: (caller, begin) => steps.beginCleanUp(core, caller, begin),
    openSession: (caller, worker, held, sink) => work.openSession(core, caller, worker, held, sink),
    pollWork: (caller, worker, max, waitMs, signal) =>
      polling.pollWork(core, caller, worker, max, waitMs, signal),
    heartbeatLeases: (caller, leases) => polling.heartbeatLeases(core, caller, leases),
    listWorkers: (caller) => core.registry.workers(caller),
    listWorkflows: (caller) => core.registry.list(caller),
    getWorkflow: (caller, name) => getWorkflow(core, caller, name),
    sendSignal: (caller, runId, name, signalId, payload, actor) =>
      signals.sendSignal(core, caller, runId, name, signalId, payload, actor),
    listSignals: (caller, list) => signals.listSignals(core, caller, list),
    listWaits: (caller, list) => waits.listWaits(core, caller, list),
    getWait: (caller, id) => waits.getWait(core, caller, id),
    findWait: (caller, waitId) => waits.findWait(core, caller, waitId),
    findQuestion: (caller, runId, resolutionId) =>
      waits.findQuestion(core, caller, runId, resolutionId),
    answerWait: (caller, request) => waits.answerWait(core, caller, request),
    cancelWait: (caller, id, actor, comment) => waits.cancelWait(core, caller, id, actor, comment),
    createWaitLink: (caller, id, assignee, expiresInMs) =>
      waits.createWaitLink(core, caller, id, assignee, expiresInMs),
    openLink: (kind, token) => openLink(core, kind, token),
    ...watch.eventsApi(core),
    putPayload: (caller, data) => putPayload(core, caller, data),
    getPayload: (caller, address, offset, limit) =>
      getPayload(core, caller, address, offset, limit),
    ready,
    takeOver: () => releaseForgotten(core),
    drain() {
      core.dispatcher.stop();
      for (const session of core.sessions.all()) if (session.open) session.sink.drain();
    },
    close,
  };
}

async function getWorkflow(core: Core, caller: Caller, name: string): Promise<WorkflowView> {
  await core.registry.get(caller, name);
  const found = (await core.registry.list(caller)).find((workflow) => workflow.spec.name === name);
  if (found === undefined) throw notFound("workflow", name);
  return found;
}

async function putPayload(
  core: Core,
  caller: Caller,
  data: Uint8Array,
): Promise<{ sha256: string; size: number }> {
  if (data.byteLength > LIMITS.payloadBytes) {
    throw new PawlError(
      "PAYLOAD_TOO_LARGE",
      `The payload has ${data.byteLength} bytes; at most ${LIMITS.payloadBytes} are kept.`,
      {
        metadata: { size: String(data.byteLength), limit: String(LIMITS.payloadBytes) },
      },
    );
  }
  const address = sha256(data);
  await core.store.putPayload(caller, { sha256: address, data }, core.clock.now());
  return { sha256: address, size: data.byteLength };
}

async function getPayload(
  core: Core,
  caller: Caller,
  address: string,
  offset: number,
  limit: number,
): Promise<{ data: Uint8Array; size: number }> {
  const found = await core.store.getPayload(caller, address, offset, limit);
  if (found === undefined) throw notFound("payload", address);
  return found;
}
