import type { Hub } from "../../hub/hub.ts";
import type { Clock } from "../../lib/clock.ts";
import { BOUNDS } from "../../model/bounds.ts";
import type { Caller } from "../../model/caller.ts";
import { PawlError } from "../../model/errors.ts";
import { formatConnectionId, runKey } from "../../model/ids.ts";
import { hasLapsed, isSuspect } from "../../model/run.ts";
import type { ClaimedRun } from "../../store/runs.ts";
import { rebindLease } from "../decide/lease-rules.ts";
import type { NewEvent } from "../events/event-types.ts";
import type { Intake } from "../events/intake.ts";
import { inputOf, isCareful, workItem } from "../journal/journal-reads.ts";
import { readHeader } from "../runs/read-header.ts";
import type { StepStarted } from "../steps/step-types.ts";
import type { Writer } from "../writer.ts";
import { checkWorker } from "./check-worker.ts";
import { noteGiven } from "./cleanup-grace.ts";
import { type Connections, type HeldRun, LocalConnection } from "./connections.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { compareHeld, type Differences } from "./held-runs.ts";
import type { Refusals } from "./refusals.ts";
import type { ReleaseParts } from "./release-lease.ts";
import { release } from "./release-lease.ts";
import type { WorkerRegistry } from "./worker-registry.ts";
import type {
  AttachWorker,
  ConnectionSink,
  HeldLease,
  LeaseAnswer,
  WorkerConnection,
  WorkItem,
} from "./worker-types.ts";

export interface WorkersParts extends ReleaseParts {
  readonly clock: Clock;
  readonly replicaId: string;
  readonly connections: Connections;
  readonly dispatcher: Dispatcher;
  readonly registry: WorkerRegistry;
  readonly refusals: Refusals;
  readonly intake: Intake;
  readonly hub: Hub<NewEvent>;
}

const NO_DIFFERENCES: Differences = { left: [], unknown: [] };

/** Use cases of workers with a connection: attach, get runs, keep them, give them back. */
export class Workers {
  readonly #parts: WorkersParts;

  constructor(parts: WorkersParts) {
    this.#parts = parts;
  }

  async attach(
    caller: Caller,
    { worker, held }: AttachWorker,
    sink: ConnectionSink,
  ): Promise<WorkerConnection> {
    await checkWorker(worker);
    const instance = worker.instanceId;
    const replica = this.#parts.replicaId;
    const connectionId = formatConnectionId({ kind: "attached", replica, instance });
    if (
      this.#parts.connections.size >= BOUNDS.connections &&
      this.#parts.connections.get(connectionId) === undefined
    ) {
      throw new PawlError(
        "RATE_LIMITED",
        `This server has ${BOUNDS.connections} connections, which is its limit.`,
        { retryAfterMs: 1_000 },
      );
    }
    await this.#parts.registry.register(caller, worker);
    let connection = this.#parts.connections.get(connectionId);
    if (connection === undefined) {
      connection = new LocalConnection(connectionId, caller.org, worker, sink);
      this.#parts.connections.add(connection);
    } else {
      if (connection.open)
        connection.sink.close(
          `Another connection was opened with the instance_id "${worker.instanceId}", and has replaced this one. Give each process an instance_id of its own.`,
        );
      connection.reopen(worker, sink);
    }
    const survived = await this.#takeOver(caller, connection, held);
    await this.#parts.registry.seen(caller, worker, true);
    this.#parts.log.info("worker.connected", {
      worker_id: worker.workerId,
      connection_id: connectionId,
      leases: survived.length,
    });
    return this.#handle(caller, connection, sink, survived);
  }

  /** What the worker still holds by its own word and by the store's; the rest is given to others. */
  async #takeOver(
    caller: Caller,
    connection: LocalConnection,
    held: readonly HeldLease[],
  ): Promise<WorkerConnection["survived"]> {
    const claimed = new Map(held.map((lease) => [runKey(caller.org, lease.runId), lease]));
    for (const [key, run] of [...connection.held]) {
      if (claimed.get(key)?.fence === run.fence) continue;
      this.#parts.connections.drop(connection, key);
      void release(this.#parts, { ...run, connectionId: connection.connectionId }, "disconnected");
    }
    return await this.#rebind(caller, connection, held, { asksAgain: true });
  }

  /**
   * Notes the runs that the worker holds by the store's word, too.
   *
   * @param asksAgain whether the worker asks again for all that it waits for; else it is told all of it
   */
  async #rebind(
    caller: Caller,
    connection: LocalConnection,
    held: readonly HeldLease[],
    { asksAgain }: { readonly asksAgain: boolean },
  ): Promise<WorkerConnection["survived"]> {
    const { connectionId, worker } = connection;
    const until = this.#parts.clock.now() + BOUNDS.leaseMs;
    const lease = { connectionId, workerId: worker.workerId, until };
    const survived: { runId: string; fence: number; attempt: number; until: number }[] = [];
    await Promise.all(
      held.map(async ({ runId, fence }) => {
        try {
          const { header, attempt, pausing, seq } = await this.#parts.writer.submit({
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
          const kept = header.fence === fence && header.lease?.connectionId === connectionId;
          if (attempt === 0 || !kept) return;
          const isHeld = this.#parts.connections.hold(
            connection,
            runKey(caller.org, runId),
            caller.org,
            { runId, fence },
            asksAgain ? seq : 0,
            true,
            pausing,
          );
          if (!isHeld) return;
          survived.push({ runId, fence, attempt, until });
          // What it was told while it was away, it did not hear.
          if (pausing) connection.sink.pause(runId, fence);
        } catch (error) {
          if (!(error instanceof PawlError && error.reason === "NOT_FOUND")) throw error;
        }
      }),
    );
    await this.#resumeDeltas(caller, survived);
    return survived;
  }

  /** What of the runs' live output is on record already, before their worker sends the rest again. */
  async #resumeDeltas({ org }: Caller, runs: WorkerConnection["survived"]): Promise<void> {
    if (runs.length === 0) return;
    const marks = await this.#parts.store.runMarks(runs.map(({ runId }) => ({ org, runId })));
    for (const [index, { runId, fence }] of runs.entries()) {
      const delta = marks[index]?.delta;
      this.#parts.intake.resume(org, runId, fence, delta?.fence === fence ? delta.number : 0);
    }
  }

  #handle(
    caller: Caller,
    connection: LocalConnection,
    sink: ConnectionSink,
    survived: WorkerConnection["survived"],
  ): WorkerConnection {
    const current = (): boolean => connection.sink === sink && connection.open;
    return {
      connectionId: connection.connectionId,
      caller: {
        ...caller,
        connection: { connectionId: connection.connectionId, workerId: connection.worker.workerId },
      },
      survived,
      credits: (count) => {
        if (!current()) return;
        if (connection.stalled) this.#wakeUp(connection);
        connection.credits = Math.min(connection.credits + count, BOUNDS.connectionCredits);
        this.#parts.dispatcher.offered();
      },
      ack: (runId, fence) => {
        const key = runKey(caller.org, runId);
        const run = connection.held.get(key);
        if (run?.fence !== fence) return;
        run.acked = true;
        if (run.lapsed) void this.#goOnOrTell(caller, connection, key, run);
      },
      nack: (runId, fence) => {
        const key = runKey(caller.org, runId);
        if (connection.held.get(key)?.fence !== fence) return;
        this.#parts.connections.drop(connection, key);
        void this.#parts.refusals.refuse({
          org: caller.org,
          runId,
          fence,
          connectionId: connection.connectionId,
        });
      },
      heartbeat: (named) =>
        this.#heartbeat(
          caller,
          connection,
          named === undefined ? NO_DIFFERENCES : compareHeld(connection, named),
        ),
      draining: () => {
        connection.draining = true;
      },
      stepStartedLive: (started) => this.#showStart(connection, started),
      closed: () => {
        if (connection.sink !== sink || !connection.open) return;
        this.#close(caller, connection);
      },
    };
  }

  #close(caller: Caller, connection: LocalConnection): void {
    connection.open = false;
    connection.credits = 0;
    this.#parts.log.info("worker.disconnected", {
      worker_id: connection.worker.workerId,
      leases: connection.held.size,
    });
    connection.graceTimer = setTimeout(() => {
      const held = [...connection.held.values()];
      this.#parts.connections.remove(connection);
      for (const run of held)
        void release(
          this.#parts,
          { ...run, connectionId: connection.connectionId },
          "disconnected",
        );
      this.#parts.registry.seen(caller, connection.worker, false).catch((error: unknown) => {
        this.#parts.log.warn("worker.end_unrecorded", {
          worker_id: connection.worker.workerId,
          error,
        });
      });
    }, BOUNDS.reconnectGraceMs);
  }

  /** Shown at once; written by the loop if the step is still running in a while. */
  #showStart(connection: LocalConnection, started: StepStarted): void {
    const key = runKey(connection.org, started.runId);
    const run = connection.held.get(key);
    if (run === undefined || run.fence !== started.fence) return;
    const now = this.#parts.clock.now();
    connection.live.set(`${key}\n${started.key}`, { command: started, at: now });
    const state = this.#parts.writer.cached(key);
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
    this.#parts.hub.publish(key, event);
  }

  /** Renews the connection's leases in one statement and tells the worker about those that are not simply renewed. */
  async #heartbeat(
    caller: Caller,
    connection: LocalConnection,
    differences: Differences,
  ): Promise<void> {
    const results = await this.#settleDifferences(caller, connection, differences);
    const until = this.#parts.clock.now() + BOUNDS.leaseMs;
    const before = new Map(connection.held);
    await noteHeard(this.#parts.writer, before.values());
    const renewed = await this.#parts.store.renewSession(connection.connectionId, until);
    const inStore = new Map(renewed.map((lease) => [runKey(lease.org, lease.runId), lease]));
    for (const [key, { fence, lease }] of inStore) this.#parts.writer.renewed(key, fence, lease);
    for (const [key, run] of before) {
      // Given or given back while the answer was under way: the next heartbeat will tell.
      if (connection.held.get(key) !== run) continue;
      const lease = inStore.get(key);
      if (lease?.fence === run.fence) continue;
      if (await this.#goOn(connection, run)) continue;
      const answer = await this.#explainLoss(caller, connection, key, run, until);
      if (answer !== undefined) results.push(answer);
    }
    const strangers = new Set<string>();
    for (const [key, lease] of inStore) {
      if (connection.held.has(key)) continue;
      // Leased to this connection, but it never heard of it: the reply to a claim was lost.
      if (connection.strangers.has(key))
        void release(
          this.#parts,
          { ...lease, connectionId: connection.connectionId },
          "unacknowledged",
        );
      else strangers.add(key);
    }
    connection.strangers = strangers;
    // What it has let run out, it has back by now, or was told of.
    if (connection.stalled) this.#wakeUp(connection, { isSettled: true });
    connection.sink.leaseResults(results, renewed.length);
    await this.#parts.registry.seen(caller, connection.worker, true);
  }

  /** @returns what the worker is to be told */
  async #settleDifferences(
    caller: Caller,
    connection: LocalConnection,
    { left, unknown }: Differences,
  ): Promise<LeaseAnswer[]> {
    const { connectionId, worker } = connection;
    const results: LeaseAnswer[] = [];
    for (const { key, run, isNamed } of left) {
      const { runId } = run;
      this.#parts.log.warn("run.forgotten", { run_id: runId, worker_id: worker.workerId });
      const until = this.#parts.clock.now() + BOUNDS.leaseMs;
      const answer = isNamed
        ? await this.#explainLoss(caller, connection, key, run, until)
        : undefined;
      if (answer !== undefined) results.push(answer);
      if (answer?.status === "cancel") continue;
      if (connection.held.get(key) === run) this.#parts.connections.drop(connection, key);
      await release(this.#parts, { ...run, connectionId }, "forgotten");
    }
    if (unknown.length === 0) return results;
    const survived = await this.#rebind(caller, connection, unknown, { asksAgain: false });
    for (const { runId } of unknown) {
      if (survived.some((lease) => lease.runId === runId)) continue;
      const header = await readHeader(this.#parts.store, caller, runId).catch(() => undefined);
      results.push({ runId, status: "lost", fence: header?.fence ?? 0, until: 0 });
    }
    return results;
  }

  /**
   * A worker that was silent says something, so it can be given runs again; but not before it has gone
   * on with its own, which else might be among them.
   */
  #wakeUp(connection: LocalConnection, { isSettled } = { isSettled: false }): void {
    for (const run of connection.held.values()) if (run.lapsed && !isSettled) return;
    connection.stalled = false;
    this.#parts.dispatcher.offered();
  }

  /**
   * A worker whose lease lapsed is there after all, and keeps the run if nobody else was given it. Of a
   * dispatch that it has not acknowledged, nobody knows whether a slot holds it.
   *
   * @returns false where it has the run no more
   */
  async #goOn(connection: LocalConnection, run: HeldRun): Promise<boolean> {
    const { connectionId, worker, org } = connection;
    const lease = {
      connectionId,
      workerId: worker.workerId,
      until: this.#parts.clock.now() + BOUNDS.leaseMs,
    };
    if (this.#parts.store.replicas) this.#parts.writer.evict(runKey(org, run.runId));
    try {
      return await this.#parts.writer.submit({
        org,
        runId: run.runId,
        bytes: 300,
        decide: (draft) => {
          const { header } = draft;
          if (header.fence !== run.fence) return false;
          if (!hasLapsed(header)) return header.lease?.connectionId === connectionId;
          return !run.acked || rebindLease(draft, run.fence, lease);
        },
      });
    } catch (error) {
      if (error instanceof PawlError && error.reason === "NOT_FOUND") return false;
      throw error;
    }
  }

  async #goOnOrTell(
    caller: Caller,
    connection: LocalConnection,
    key: string,
    run: HeldRun,
  ): Promise<void> {
    try {
      if (await this.#goOn(connection, run)) {
        this.#wakeUp(connection);
        return;
      }
      const answer = await this.#explainLoss(caller, connection, key, run, 0);
      if (answer !== undefined) connection.sink.leaseResults([answer], undefined);
    } catch (error) {
      // Its next heartbeat will tell.
      this.#parts.log.warn("lease.unresumed", { run_id: run.runId, error });
    }
  }

  async #explainLoss(
    caller: Caller,
    connection: LocalConnection,
    key: string,
    run: HeldRun,
    until: number,
  ): Promise<LeaseAnswer | undefined> {
    this.#parts.writer.evict(key);
    const header = await readHeader(this.#parts.store, caller, run.runId).catch(() => undefined);
    const isOurs = header?.lease?.connectionId === connection.connectionId;
    if (header?.status === "CANCELLING" && isOurs) {
      run.fence = header.fence;
      run.unheard = true;
      return { runId: run.runId, status: "cancel", fence: header.fence, until };
    }
    // Given anew meanwhile: the dispatch is on its way.
    if (isOurs || connection.held.get(key) !== run) return undefined;
    this.#parts.connections.drop(connection, key);
    return { runId: run.runId, status: "lost", fence: header?.fence ?? 0, until: 0 };
  }

  /** Gives a claimed run to the connection it was claimed for. */
  async deliver(run: ClaimedRun): Promise<void> {
    const { header } = run;
    if (header.status === "CANCELLING") await noteGiven(this.#parts.writer, header);
    const connectionId = header.lease?.connectionId ?? "";
    const lease = { org: header.org, runId: header.runId, fence: header.fence, connectionId };
    const connection = this.#parts.connections.get(connectionId);
    // It may have gone, or asked for no more, while the claim was under way.
    if (connection === undefined || !connection.open || connection.draining) {
      await release(this.#parts, lease, "unacknowledged");
      return;
    }
    const key = runKey(header.org, header.runId);
    this.#parts.connections.hold(connection, key, header.org, lease, header.seq, false);
    const held = connection.held.get(key);
    if (held !== undefined) held.isSuspect = isSuspect(header);
    const needsReading = run.entries.some((entry) => entry.meta.payloadSeq !== undefined);
    const item: WorkItem = needsReading
      ? await workItem(this.#parts.store, header, run.entries)
      : {
          header,
          leaseUntil: header.lease?.until ?? 0,
          input: inputOf(run.entries) ?? { encoding: "void", data: new Uint8Array(0) },
          journal: run.entries,
          more: (run.entries.at(-1)?.seq ?? 0) < header.seq,
          careful: isCareful(header, run.entries),
        };
    if (connection.held.get(key)?.fence === header.fence) connection.sink.dispatch(item);
  }
}

/** Notes that the worker has the cancelled runs among these. What fails is done with the next heartbeat. */
async function noteHeard(writer: Writer, held: Iterable<HeldRun>): Promise<void> {
  const unheard = [...held].filter((run) => run.unheard);
  await Promise.allSettled(
    unheard.map(async (run) => {
      await noteGiven(writer, run);
      run.unheard = false;
    }),
  );
}
