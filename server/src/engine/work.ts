/** Use cases of workers with a session: connect, get runs, keep them, give them back. */
import type { Caller } from "../model/caller.ts";
import { invalid, PawlError } from "../model/errors.ts";
import { LIMITS } from "../model/limits.ts";
import { hasLapsed, isSuspect } from "../model/run.ts";
import type { ClaimedRun } from "../store/runs.ts";
import type {
  HeldLease,
  LeaseAnswer,
  SessionSink,
  StepStarted,
  WorkerInfo,
  WorkerSession,
  WorkItem,
} from "./api.ts";
import type { Core } from "./core.ts";
import { rebindLease } from "./decide/leases.ts";
import { noteGiven } from "./grace.ts";
import { checkSchema } from "./input-schema.ts";
import { inputOf, isCareful, workItem } from "./journal.ts";
import { refuse } from "./refusals.ts";
import { release } from "./release.ts";
import { runKey } from "./run-cache.ts";
import { readHeader } from "./runs.ts";
import { type HeldRun, LocalSession } from "./sessions.ts";

/** Refuses what could never be served. */
export async function checkWorker(worker: WorkerInfo): Promise<void> {
  const names = new Set<string>();
  for (const spec of worker.workflows) {
    if (names.has(spec.name)) throw invalid("workflows", `names "${spec.name}" twice`);
    names.add(spec.name);
    await checkSchema(`workflows["${spec.name}"].input_schema`, spec.inputSchema);
  }
}

export async function openSession(
  core: Core,
  caller: Caller,
  worker: WorkerInfo,
  held: readonly HeldLease[],
  sink: SessionSink,
): Promise<WorkerSession> {
  await checkWorker(worker);
  const sessionId = `${core.replicaId}/${worker.instanceId}`;
  if (core.sessions.size >= LIMITS.sessions && core.sessions.get(sessionId) === undefined) {
    throw new PawlError(
      "RATE_LIMITED",
      `This server has ${LIMITS.sessions} sessions, which is its limit.`,
      { retryAfterMs: 1_000 },
    );
  }
  await core.registry.register(caller, worker);
  let session = core.sessions.get(sessionId);
  if (session === undefined) {
    session = new LocalSession(sessionId, caller.org, worker, sink);
    core.sessions.add(session);
  } else {
    if (session.open)
      session.sink.close(
        `Another session was opened with the instance_id "${worker.instanceId}", and has replaced this one. Give each process an instance_id of its own.`,
      );
    session.reopen(worker, sink);
  }
  const survived = await takeOver(core, caller, session, held);
  await core.registry.seen(caller, worker, true);
  core.log.info("worker.connected", {
    worker_id: worker.workerId,
    session_id: sessionId,
    leases: survived.length,
  });
  return sessionHandle(core, caller, session, sink, survived);
}

/** What the worker still holds by its own word and by the store's; the rest is given to others. */
async function takeOver(
  core: Core,
  caller: Caller,
  session: LocalSession,
  held: readonly HeldLease[],
): Promise<WorkerSession["survived"]> {
  const claimed = new Map(held.map((lease) => [runKey(caller.org, lease.runId), lease]));
  for (const [key, run] of [...session.held]) {
    if (claimed.get(key)?.fence === run.fence) continue;
    core.sessions.drop(session, key);
    void release(core, { ...run, sessionId: session.sessionId }, "disconnected");
  }
  const until = core.clock.now() + LIMITS.leaseMs;
  const lease = { sessionId: session.sessionId, workerId: session.worker.workerId, until };
  const survived: { runId: string; fence: number; attempt: number; until: number }[] = [];
  await Promise.all(
    held.map(async ({ runId, fence }) => {
      try {
        const { header, attempt, pausing, seq } = await core.writer.submit({
          org: caller.org,
          runId,
          bytes: 300,
          decide: (draft) => ({
            header: draft.header,
            attempt: rebindLease(draft, fence, lease) ? draft.header.attempt : 0,
            pausing: draft.header.intent === "pause",
            seq: draft.header.seq,
          }),
        });
        // The same batch may have given it up as forgotten, after this was decided.
        const kept = header.fence === fence && header.lease?.sessionId === session.sessionId;
        if (attempt === 0 || !kept) return;
        const isHeld = core.sessions.hold(
          session,
          runKey(caller.org, runId),
          caller.org,
          { runId, fence },
          // The worker asks again for all that it waits for.
          seq,
          true,
          pausing,
        );
        if (!isHeld) return;
        survived.push({ runId, fence, attempt, until });
        // What it was told while it was away, it did not hear.
        if (pausing) session.sink.pause(runId, fence);
      } catch (error) {
        if (!(error instanceof PawlError && error.reason === "NOT_FOUND")) throw error;
      }
    }),
  );
  await resumeDeltas(core, caller, survived);
  return survived;
}

/** What of the runs' live output is on record already, before their worker sends the rest again. */
async function resumeDeltas(
  core: Core,
  { org }: Caller,
  runs: WorkerSession["survived"],
): Promise<void> {
  if (runs.length === 0) return;
  const marks = await core.store.runMarks(runs.map(({ runId }) => ({ org, runId })));
  for (const [index, { runId, fence }] of runs.entries()) {
    const delta = marks[index]?.delta;
    core.intake.resume(org, runId, fence, delta?.fence === fence ? delta.number : 0);
  }
}

function sessionHandle(
  core: Core,
  caller: Caller,
  session: LocalSession,
  sink: SessionSink,
  survived: WorkerSession["survived"],
): WorkerSession {
  const current = (): boolean => session.sink === sink && session.open;
  return {
    sessionId: session.sessionId,
    caller: {
      ...caller,
      session: { sessionId: session.sessionId, workerId: session.worker.workerId },
    },
    survived,
    credits(count) {
      if (!current()) return;
      if (session.stalled) wakeUp(core, session);
      session.credits = Math.min(session.credits + count, LIMITS.sessionCredits);
      core.dispatcher.nudge();
    },
    ack(runId, fence) {
      const key = runKey(caller.org, runId);
      const run = session.held.get(key);
      if (run?.fence !== fence) return;
      run.acked = true;
      if (run.lapsed) void goOnOrTell(core, caller, session, key, run);
    },
    nack: (runId, fence) => {
      const key = runKey(caller.org, runId);
      if (session.held.get(key)?.fence !== fence) return;
      core.sessions.drop(session, key);
      void refuse(core, { org: caller.org, runId, fence, sessionId: session.sessionId });
    },
    heartbeat: () => heartbeat(core, caller, session),
    draining() {
      session.draining = true;
    },
    stepStartedLive: (started) => showStart(core, session, started),
    closed() {
      if (session.sink !== sink || !session.open) return;
      closeSession(core, caller, session);
    },
  };
}

function closeSession(core: Core, caller: Caller, session: LocalSession): void {
  session.open = false;
  session.credits = 0;
  core.log.info("worker.disconnected", {
    worker_id: session.worker.workerId,
    leases: session.held.size,
  });
  session.graceTimer = setTimeout(() => {
    const held = [...session.held.values()];
    core.sessions.remove(session);
    for (const run of held)
      void release(core, { ...run, sessionId: session.sessionId }, "disconnected");
    core.registry.seen(caller, session.worker, false).catch((error: unknown) => {
      core.log.warn("worker.end_unrecorded", {
        worker_id: session.worker.workerId,
        error,
      });
    });
  }, LIMITS.reconnectGraceMs);
}

/** Shown at once; written by the loop if the step is still running in a while. */
function showStart(core: Core, session: LocalSession, started: StepStarted): void {
  const key = runKey(session.org, started.runId);
  const run = session.held.get(key);
  if (run === undefined || run.fence !== started.fence) return;
  const now = core.clock.now();
  session.live.set(`${key}\n${started.key}`, { command: started, at: now });
  const state = core.writer.cached(key);
  const event = {
    type: "workflow.step.started",
    key: started.key,
    attempt: (state?.steps.get(started.key)?.attempt ?? 0) + 1,
    contentIndex: 0,
    sequence: 0,
    sourceAt: now,
    parentEventId: "",
    eventId: `${started.runId}/${started.key}`,
    policy: "ephemeral" as const,
  };
  core.hub.show(key, event);
}

/** Renews the session's leases in one statement and tells the worker about those that are not simply renewed. */
async function heartbeat(core: Core, caller: Caller, session: LocalSession): Promise<void> {
  const until = core.clock.now() + LIMITS.leaseMs;
  const before = new Map(session.held);
  await noteHeard(core, before.values());
  const renewed = await core.store.renewSession(session.sessionId, until);
  const inStore = new Map(renewed.map((lease) => [runKey(lease.org, lease.runId), lease]));
  const results: LeaseAnswer[] = [];
  for (const [key, { fence, lease }] of inStore) core.writer.renewed(key, fence, lease);
  for (const [key, run] of before) {
    // Given or given back while the answer was under way: the next heartbeat will tell.
    if (session.held.get(key) !== run) continue;
    const lease = inStore.get(key);
    if (lease?.fence === run.fence) continue;
    if (await goOn(core, session, run)) continue;
    results.push(await explainLoss(core, caller, session, key, run, until));
  }
  const strangers = new Set<string>();
  for (const [key, lease] of inStore) {
    if (session.held.has(key)) continue;
    // Leased to this session, but it never heard of it: the reply to a claim was lost.
    if (session.strangers.has(key))
      void release(core, { ...lease, sessionId: session.sessionId }, "unacknowledged");
    else strangers.add(key);
  }
  session.strangers = strangers;
  // What it has let run out, it has back by now, or was told of.
  if (session.stalled) wakeUp(core, session, true);
  session.sink.leaseResults(results, renewed.length);
  await core.registry.seen(caller, session.worker, true);
}

/** Of runs that were cancelled: the worker is there. What fails is done with the next heartbeat. */
async function noteHeard(core: Core, held: Iterable<HeldRun>): Promise<void> {
  const unheard = [...held].filter((run) => run.unheard);
  await Promise.allSettled(
    unheard.map(async (run) => {
      await noteGiven(core, run);
      run.unheard = false;
    }),
  );
}

/**
 * A worker that was silent says something, so it can be given runs again; but not before it has gone
 * on with its own, which else might be among them.
 */
function wakeUp(core: Core, session: LocalSession, isSettled = false): void {
  for (const run of session.held.values()) if (run.lapsed && !isSettled) return;
  session.stalled = false;
  core.dispatcher.nudge();
}

/**
 * A worker whose lease lapsed is there after all, and keeps the run if nobody else was given it. Of a
 * dispatch that it has not acknowledged, nobody knows whether a slot holds it.
 *
 * @returns false where it has the run no more
 */
async function goOn(core: Core, session: LocalSession, run: HeldRun): Promise<boolean> {
  const { sessionId, worker, org } = session;
  const lease = { sessionId, workerId: worker.workerId, until: core.clock.now() + LIMITS.leaseMs };
  if (core.store.replicas) core.writer.evict(runKey(org, run.runId));
  try {
    return await core.writer.submit({
      org,
      runId: run.runId,
      bytes: 300,
      decide: (draft) => {
        const { header } = draft;
        if (header.fence !== run.fence) return false;
        if (!hasLapsed(header)) return header.lease?.sessionId === sessionId;
        return !run.acked || rebindLease(draft, run.fence, lease);
      },
    });
  } catch (error) {
    if (error instanceof PawlError && error.reason === "NOT_FOUND") return false;
    throw error;
  }
}

async function goOnOrTell(
  core: Core,
  caller: Caller,
  session: LocalSession,
  key: string,
  run: HeldRun,
): Promise<void> {
  try {
    if (await goOn(core, session, run)) {
      wakeUp(core, session);
      return;
    }
    session.sink.leaseResults([await explainLoss(core, caller, session, key, run, 0)], undefined);
  } catch (error) {
    // Its next heartbeat will tell.
    core.log.warn("lease.unresumed", { run_id: run.runId, error });
  }
}

async function explainLoss(
  core: Core,
  caller: Caller,
  session: LocalSession,
  key: string,
  run: HeldRun,
  until: number,
): Promise<LeaseAnswer> {
  core.writer.evict(key);
  const header = await readHeader(core, caller, run.runId).catch(() => undefined);
  if (header?.state === "CANCELLING" && header.lease !== null) {
    run.fence = header.fence;
    run.unheard = true;
    return { runId: run.runId, status: "cancel", fence: header.fence, until };
  }
  core.sessions.drop(session, key);
  return { runId: run.runId, status: "lost", fence: header?.fence ?? 0, until: 0 };
}

/** Gives a claimed run to the session it was claimed for. */
export async function deliver(core: Core, run: ClaimedRun): Promise<void> {
  const { header } = run;
  if (header.state === "CANCELLING") await noteGiven(core, header);
  const sessionId = header.lease?.sessionId ?? "";
  const lease = { org: header.org, runId: header.runId, fence: header.fence, sessionId };
  const session = core.sessions.get(sessionId);
  // It may have gone, or asked for no more, while the claim was under way.
  if (session === undefined || !session.open || session.draining) {
    await release(core, lease, "unacknowledged");
    return;
  }
  const key = runKey(header.org, header.runId);
  core.sessions.hold(session, key, header.org, lease, header.seq, false);
  const held = session.held.get(key);
  if (held !== undefined) held.isSuspect = isSuspect(header);
  const needsReading = run.entries.some((entry) => entry.meta.payloadSeq !== undefined);
  const item: WorkItem = needsReading
    ? await workItem(core.store, header, run.entries)
    : {
        header,
        leaseUntil: header.lease?.until ?? 0,
        input: inputOf(run.entries) ?? { encoding: "void", data: new Uint8Array(0) },
        journal: run.entries,
        more: (run.entries.at(-1)?.seq ?? 0) < header.seq,
        careful: isCareful(header, run.entries),
      };
  if (session.held.get(key)?.fence === header.fence) session.sink.dispatch(item);
}
