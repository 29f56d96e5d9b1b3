/**
 * Hands ready runs to connections that have room for them. A claim that comes back full is followed by
 * another, an empty one waits for a wake-up.
 *
 * Runs that were claimed together end together, since their steps are committed together. So claims
 * are small, and while more runs are ready than were asked for, a second one is sent before the
 * first is answered: while the store takes runs, the server hands out those before them, and the
 * worker starts those before these. Measured with 256 runs of ten steps at the same time: a tenth
 * more steps per second than in whole waves, one claim after the other.
 */
import type { Clock } from "../../lib/clock.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { suspectLane } from "../../model/run.ts";
import type { ClaimedRun } from "../../store/runs.ts";
import type { Writer } from "../writer.ts";
import type { Connections, LocalConnection } from "./connections.ts";

export interface DispatcherOptions {
  readonly writer: Writer;
  readonly connections: Connections;
  readonly clock: Clock;
  /** Gives a claimed run to its connection, or gives it back when the connection is gone. */
  readonly deliver: (run: ClaimedRun) => void;
  readonly onError: (name: string, error: unknown) => void;
}

/** Claims under way at the same time for connections that want the same work, while much is ready. */
const FLIGHTS_MAX = 2;

/** A claim under way, and whether there may be more to take than what it sees. */
interface Flight {
  again: boolean;
}

/** The claims for connections that want the same work. */
interface LaneClaims {
  readonly flights: Set<Flight>;
  /** Whether the latest claim was given all that it asked for. */
  isDeep: boolean;
}

export class Dispatcher {
  readonly #options: DispatcherOptions;
  /** By signature. */
  readonly #claims = new Map<string, LaneClaims>();
  /** Runs may be ready whose workers keep dying. */
  #hasSuspects = true;
  #isClaimingSuspects = false;
  #scheduled = false;
  #stopped = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  /** Something may be ready, or somebody may want it. */
  wake(): void {
    // What has just become ready, the claims under way may not see.
    for (const { flights } of this.#claims.values())
      for (const flight of flights) flight.again = true;
    this.#schedule();
  }

  /** A run that may be what kills workers may be ready, or somebody may take one. */
  lookForSuspects(): void {
    this.#hasSuspects = true;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#pass();
    });
  }

  stop(): void {
    this.#stopped = true;
  }

  #pass(): void {
    if (this.#stopped) return;
    const bySignature = new Map<string, LocalConnection[]>();
    for (const connection of this.#options.connections.all()) {
      if (connection.wanting === 0 || connection.lanes.length === 0) continue;
      const group = bySignature.get(connection.signature);
      if (group === undefined) bySignature.set(connection.signature, [connection]);
      else group.push(connection);
    }
    if (this.#claims.size > this.#options.connections.size) this.#forget();
    if (this.#hasSuspects && !this.#isClaimingSuspects)
      void this.#claimSuspects([...bySignature.values()]);
    for (const [signature, group] of bySignature) {
      const claims = this.#claims.get(signature) ?? { flights: new Set(), isDeep: false };
      this.#claims.set(signature, claims);
      const most = claims.isDeep ? FLIGHTS_MAX : 1;
      while (claims.flights.size < most && group.some((connection) => connection.wanting > 0)) {
        void this.#claim(signature, claims, group);
      }
    }
  }

  /** What workers want that have gone. */
  #forget(): void {
    const wanted = new Set<string>();
    for (const { signature } of this.#options.connections.all()) wanted.add(signature);
    for (const [signature, { flights }] of this.#claims)
      if (flights.size === 0 && !wanted.has(signature)) this.#claims.delete(signature);
  }

  /**
   * Before the others: each process gets at most one run that may be what kills it, so that the others
   * of these get somewhere.
   */
  async #claimSuspects(groups: readonly LocalConnection[][]): Promise<void> {
    this.#hasSuspects = false;
    this.#isClaimingSuspects = true;
    await Promise.all(
      groups.map(async (group) => {
        const slots = group.filter((connection) => connection.wantsSuspect);
        for (const connection of slots) connection.credits -= 1;
        const claimed = await this.#take(group, slots, suspectLane);
        // All were wanted: there may be more, for connections that have room again.
        if (slots.length > 0 && claimed === slots.length) this.#hasSuspects = true;
      }),
    );
    this.#isClaimingSuspects = false;
    if (this.#hasSuspects && groups.some((group) => group.some((one) => one.wantsSuspect)))
      this.#schedule();
  }

  async #claim(
    signature: string,
    claims: LaneClaims,
    group: readonly LocalConnection[],
  ): Promise<void> {
    const flight: Flight = { again: false };
    claims.flights.add(flight);
    const slots = reserve(group);
    const claimed = await this.#take(
      group,
      slots,
      (lane) => lane,
      (count) => {
        claims.flights.delete(flight);
        claims.isDeep = count > 0 && count === slots.length;
        if (claims.flights.size === 0 && !claims.isDeep) this.#claims.delete(signature);
      },
    );
    if ((claimed > 0 && claims.isDeep) || flight.again) this.#schedule();
  }

  /**
   * Claims runs for these slots, whose credits are taken already, and hands them out.
   *
   * @param settled called with their number before they are handed out
   * @returns how many there were
   */
  async #take(
    group: readonly LocalConnection[],
    slots: readonly LocalConnection[],
    laneOf: (lane: string) => string,
    settled: (count: number) => void = () => undefined,
  ): Promise<number> {
    const [first] = group;
    let claimed: ClaimedRun[] = [];
    try {
      if (first !== undefined && slots.length > 0)
        claimed = await this.#options.writer.claim({
          org: first.org,
          queues: first.worker.queues,
          lanes: first.lanes.map(laneOf),
          slots: slots.map(({ connectionId, worker }) => ({
            connectionId,
            workerId: worker.workerId,
          })),
          until: this.#options.clock.now() + BOUNDS.leaseMs,
          journalBytes: BOUNDS.dispatchJournalBytes,
        });
    } catch (error) {
      this.#options.onError("dispatch", error);
    }
    for (const connection of slots.slice(claimed.length)) connection.credits += 1;
    settled(claimed.length);
    for (const run of claimed) this.#options.deliver(run);
    return claimed.length;
  }
}

/** One slot of each connection in turn, as long as there is room; each costs its connection a credit. */
function reserve(group: readonly LocalConnection[]): LocalConnection[] {
  const slots: LocalConnection[] = [];
  let added = true;
  while (added && slots.length < BOUNDS.claimRuns) {
    added = false;
    for (const connection of group) {
      if (connection.wanting === 0 || slots.length >= BOUNDS.claimRuns) continue;
      connection.credits -= 1;
      slots.push(connection);
      added = true;
    }
  }
  return slots;
}
