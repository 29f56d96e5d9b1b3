/**
 * Hands runs to connections that have room for them: what becomes ready while nothing else is ready gets a
 * slot in that very commit (`reserve`), all others are claimed from the ready queue. A claim that comes back
 * full is followed by another; one that does not waits until something is ready that was not given out.
 *
 * Runs that were claimed together end together, since their steps are committed together. So claims
 * are small, and while more runs are ready than were asked for, a second one is sent before the
 * first is answered: while the store takes runs, the server hands out those before them, and the
 * worker starts those before these. Measured with 256 runs of ten steps at the same time: a tenth
 * more steps per second than in whole waves, one claim after the other.
 */
import type { Clock } from "../../lib/clock.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { type Lease, suspectLane } from "../../model/run.ts";
import type { ClaimedRun, ReadyRow } from "../../store/runs.ts";
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
  /**
   * What is ready for them, as far as is known. `much`: the latest claim was given all that it asked
   * for. `nothing`: it was not, and nothing has become ready since that was not given out at once.
   */
  ready: "unknown" | "much" | "nothing";
  /** To be looked for all the same; room is given out meanwhile. */
  look: boolean;
}

export class Dispatcher {
  readonly #options: DispatcherOptions;
  /** The claims, by signature. */
  readonly #claims = new Map<string, LaneClaims>();
  /** Runs may be ready whose workers keep dying. */
  #hasSuspects = true;
  #isClaimingSuspects = false;
  #scheduled = false;
  #stopped = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  /** Something is ready that was not given out at once. */
  wake(): void {
    // What has just become ready, the claims under way may not see.
    for (const claims of this.#claims.values()) {
      for (const flight of claims.flights) flight.again = true;
      if (claims.ready === "nothing") claims.ready = "unknown";
    }
    this.#schedule();
  }

  /** Something may be ready that this server has not been told of. */
  look(): void {
    for (const claims of this.#claims.values()) claims.look = true;
    this.#schedule();
  }

  /** A connection has room. */
  offered(): void {
    this.#schedule();
  }

  /**
   * A slot for a run that becomes ready, of the connection with the most room. While something may be
   * ready, all room is for that: it goes before.
   */
  reserve(org: string, ready: ReadyRow): Lease | undefined {
    if (this.#stopped) return undefined;
    let roomiest: LocalConnection | undefined;
    for (const connection of this.#options.connections.all()) {
      if (connection.wanting <= (roomiest?.wanting ?? 0) || !connection.serves(org, ready))
        continue;
      if (this.#claims.get(connection.signature)?.ready === "nothing") roomiest = connection;
    }
    if (roomiest === undefined) return undefined;
    roomiest.credits -= 1;
    const { connectionId, worker } = roomiest;
    const until = this.#options.clock.now() + BOUNDS.leaseMs;
    return { connectionId, workerId: worker.workerId, until };
  }

  /** A reserved slot whose run was not given to it. */
  free({ connectionId }: Lease): void {
    const connection = this.#options.connections.get(connectionId);
    if (connection !== undefined) connection.credits += 1;
    this.wake();
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
    if (this.#hasSuspects && !this.#isClaimingSuspects) {
      const groups = [...bySignature.values()];
      if (groups.some((group) => group.some((one) => one.wantsSuspect)))
        void this.#claimSuspects(groups);
    }
    for (const [signature, group] of bySignature) {
      const claims = this.#claims.get(signature) ?? newClaims();
      this.#claims.set(signature, claims);
      if (claims.ready === "nothing" && !claims.look) continue;
      const most = claims.ready === "much" ? FLIGHTS_MAX : 1;
      while (claims.flights.size < most && group.some((connection) => connection.wanting > 0)) {
        void this.#claim(claims, group);
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
    // For more of these, and for the others that their slots may have: no claim found room meanwhile.
    this.#schedule();
  }

  async #claim(claims: LaneClaims, group: readonly LocalConnection[]): Promise<void> {
    const flight: Flight = { again: false };
    claims.flights.add(flight);
    claims.look = false;
    const slots = reserve(group);
    const claimed = await this.#take(
      group,
      slots,
      (lane) => lane,
      (count) => {
        claims.flights.delete(flight);
        if (count === slots.length) claims.ready = "much";
        else claims.ready = count === undefined || flight.again ? "unknown" : "nothing";
      },
    );
    if ((claimed > 0 && claims.ready === "much") || flight.again || claims.look) this.#schedule();
  }

  /**
   * Claims runs for these slots, whose credits are taken already, and hands them out.
   *
   * @param settled called before they are handed out with their number, if that is known
   * @returns how many there were
   */
  async #take(
    group: readonly LocalConnection[],
    slots: readonly LocalConnection[],
    laneOf: (lane: string) => string,
    settled: (count: number | undefined) => void = () => undefined,
  ): Promise<number> {
    const [first] = group;
    let claimed: ClaimedRun[] = [];
    let isKnown = true;
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
      isKnown = false;
      this.#options.onError("dispatch", error);
    }
    for (const connection of slots.slice(claimed.length)) connection.credits += 1;
    settled(isKnown ? claimed.length : undefined);
    for (const run of claimed) this.#options.deliver(run);
    return claimed.length;
  }
}

function newClaims(): LaneClaims {
  return { flights: new Set(), ready: "unknown", look: false };
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
