/**
 * The worker connections of this server, and which runs each of them holds.
 *
 * A connection is open → closed (its stream ended; its leases wait out the grace) → gone, or open
 * again when the same instance reconnects. Its id is the replica's and the instance's, so that a
 * reconnection finds its leases untouched.
 */
import type { Clock } from "../../lib/clock.ts";
import { BOUNDS } from "../../model/bounds.ts";
import type { Caller } from "../../model/caller.ts";
import { laneName } from "../../model/ids.ts";
import type { StepStarted } from "../steps/step-types.ts";
import type { ConnectionSink, HeldLease, LeaseAnswer, WorkerInfo } from "./worker-types.ts";

/** A run that a connection holds. */
export interface HeldRun {
  readonly org: string;
  readonly runId: string;
  fence: number;
  acked: boolean;
  /** Its acknowledgement was due already when it was looked for before. */
  late: boolean;
  /** Its lease has ended; as long as nobody else was given the run, the worker may continue. */
  lapsed: boolean;
  /** Its workers have died in a row; it has recorded no end of a step since. */
  isSuspect: boolean;
  /** It was dispatched by this server, under this fence: nothing was done under it before. */
  readonly fresh: boolean;
  /** The worker was told to pause. */
  pausing: boolean;
  /** The worker was told that the run is cancelled, and has sent no heartbeat since. */
  unheard: boolean;
  /** The worker's latest heartbeat did not name it. */
  isMissing: boolean;
  /** The worker knows the journal up to this entry: it came with the run, or what matters was sent. */
  told: number;
  /** Like `told`, but includes what is being read in order to be sent. */
  telling: number;
  /** How many such readings are under way. */
  sending: number;
  readonly since: number;
}

/** A step start that was only shown so far. */
export interface LiveStart {
  readonly command: StepStarted;
  readonly at: number;
}

export class LocalConnection {
  readonly connectionId: string;
  readonly org: string;
  worker: WorkerInfo;
  sink: ConnectionSink;
  /** Dispatches that the worker has room for, less those under way. */
  credits = 0;
  draining = false;
  open = true;
  /** It lets a dispatch or a lease run out: until it says something, it is given nothing more. */
  stalled = false;
  /** The runs that it holds, by run key. */
  readonly held = new Map<string, HeldRun>();
  /** The starts that are shown but not yet written, by run key and step key. */
  readonly live = new Map<string, LiveStart>();
  /** Leases in the store that this connection does not know, seen at the last heartbeat. */
  strangers = new Set<string>();
  /** Runs that its latest heartbeat named and this connection does not know, with their fences. */
  unknown = new Set<string>();
  graceTimer: NodeJS.Timeout | undefined;
  /** Connections that want the same work share it. */
  lanes: readonly string[] = [];
  signature = "";

  constructor(connectionId: string, org: string, worker: WorkerInfo, sink: ConnectionSink) {
    this.connectionId = connectionId;
    this.org = org;
    this.worker = worker;
    this.sink = sink;
    this.#setLanes();
  }

  /** The same instance came back on a new stream. */
  reopen(worker: WorkerInfo, sink: ConnectionSink): void {
    clearTimeout(this.graceTimer);
    this.worker = worker;
    this.sink = sink;
    this.open = true;
    this.draining = false;
    this.stalled = false;
    this.credits = 0;
    this.#setLanes();
  }

  /** Whether it may be given a run that may be what kills workers: it has at most one. */
  get wantsSuspect(): boolean {
    if (this.wanting === 0) return false;
    for (const { isSuspect } of this.held.values()) if (isSuspect) return false;
    return true;
  }

  /** Whether it serves this queue and lane. */
  serves(org: string, { queue, lane }: { readonly queue: string; readonly lane: string }): boolean {
    return org === this.org && this.worker.queues.includes(queue) && this.lanes.includes(lane);
  }

  get wanting(): number {
    return this.open && !this.draining && !this.stalled ? this.credits : 0;
  }

  #setLanes(): void {
    this.lanes = lanesOf(this.worker);
    this.signature = JSON.stringify([this.org, this.worker.queues, this.lanes]);
  }
}

/** The ready lanes of a worker: each workflow, and each at the worker's version. */
export function lanesOf(worker: WorkerInfo): string[] {
  return worker.workflows.flatMap(({ name, version }) =>
    version === "" ? [name] : [name, laneName(name, version)],
  );
}

/** Told to who held a run that was given to somebody else. */
function lostTo({ runId, fence }: HeldLease): LeaseAnswer {
  return { runId, status: "lost", fence, until: 0 };
}

export class Connections {
  readonly #connections = new Map<string, LocalConnection>();
  /** Which connection of this server holds a run. */
  readonly #holders = new Map<string, LocalConnection>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(connectionId: string): LocalConnection | undefined {
    return this.#connections.get(connectionId);
  }

  add(connection: LocalConnection): void {
    this.#connections.set(connection.connectionId, connection);
  }

  remove(connection: LocalConnection): void {
    clearTimeout(connection.graceTimer);
    this.#connections.delete(connection.connectionId);
    for (const key of connection.held.keys()) {
      if (this.#holders.get(key) === connection) this.#holders.delete(key);
    }
  }

  all(): IterableIterator<LocalConnection> {
    return this.#connections.values();
  }

  get size(): number {
    return this.#connections.size;
  }

  holder(key: string): LocalConnection | undefined {
    return this.#holders.get(key);
  }

  /** Who holds a run under that fence, for its lease. */
  nameOfHolder(key: string, fence: number): Caller["connection"] {
    const connection = this.#holders.get(key);
    if (connection?.held.get(key)?.fence !== fence) return undefined;
    return { connectionId: connection.connectionId, workerId: connection.worker.workerId };
  }

  /**
   * Notes who holds a run. What comes late, since the run has been given out under a later fence, is
   * not noted: it must not take away the news of who holds it.
   *
   * @returns whether it holds it
   */
  hold(
    connection: LocalConnection,
    key: string,
    org: string,
    lease: HeldLease,
    told: number,
    acked: boolean,
    pausing = false,
  ): boolean {
    const other = this.#holders.get(key);
    const former = other?.held.get(key);
    if ((former?.fence ?? 0) > lease.fence) return false;
    if (other !== undefined && other !== connection) {
      this.drop(other, key);
      // Nobody has told it so far: it might have gone on, or the commit that took the lease away is
      // not known to have been made.
      if (former !== undefined) other.sink.leaseResults([lostTo(lease)], undefined);
    }
    connection.held.set(key, {
      org,
      runId: lease.runId,
      fence: lease.fence,
      acked,
      late: false,
      lapsed: false,
      isSuspect: false,
      fresh: !acked,
      pausing,
      unheard: false,
      isMissing: false,
      told,
      telling: told,
      sending: 0,
      since: this.#clock.now(),
    });
    this.#holders.set(key, connection);
    return true;
  }

  /** The connection holds the run no more; another connection that holds it by now still does. */
  drop(connection: LocalConnection, key: string): void {
    connection.held.delete(key);
    if (this.#holders.get(key) === connection) this.#holders.delete(key);
    if (connection.live.size === 0) return;
    for (const liveKey of connection.live.keys())
      if (liveKey.startsWith(`${key}\n`)) connection.live.delete(liveKey);
  }

  /** The step's end makes writing down its start needless; returns that start, if there was one. */
  stepEnded(key: string, stepKey: string): StepStarted | undefined {
    const connection = this.#holders.get(key);
    if (connection === undefined || connection.live.size === 0) return undefined;
    const liveKey = `${key}\n${stepKey}`;
    const start = connection.live.get(liveKey);
    if (start !== undefined) connection.live.delete(liveKey);
    return start?.command;
  }

  /**
   * Dispatches that no slot has taken up in time, as two looks have found: if this process stood
   * still, the acknowledgements wait to be read at the first of them.
   */
  unacknowledged(): { connection: LocalConnection; key: string; run: HeldRun }[] {
    const late: { connection: LocalConnection; key: string; run: HeldRun }[] = [];
    const before = this.#clock.now() - BOUNDS.dispatchAckMs;
    for (const connection of this.#connections.values()) {
      if (!connection.open) continue;
      for (const [key, run] of connection.held) {
        if (run.acked || run.lapsed || run.since >= before) continue;
        if (run.late) late.push({ connection, key, run });
        run.late = true;
      }
    }
    return late;
  }
}
