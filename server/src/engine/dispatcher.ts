/**
 * Hands ready runs to sessions that have room for them. One claim at a time for sessions that want
 * the same work; a claim that comes back full is followed by another, an empty one waits for a nudge.
 */
import type { Clock } from "../lib/clock.ts";
import { LIMITS } from "../model/limits.ts";
import type { ClaimedRun } from "../store/store.ts";
import type { LocalSession, Sessions } from "./sessions.ts";
import type { Writer } from "./writer.ts";

export interface DispatcherOptions {
  readonly writer: Writer;
  readonly sessions: Sessions;
  readonly clock: Clock;
  /** Gives a claimed run to its session, or gives it back when the session is gone. */
  readonly deliver: (run: ClaimedRun) => void;
  readonly onError: (name: string, error: unknown) => void;
}

export class Dispatcher {
  readonly #options: DispatcherOptions;
  /** By signature: whether a claim is under way, and whether to try again after it. */
  readonly #claims = new Map<string, { again: boolean }>();
  #scheduled = false;
  #stopped = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  /** Something may be ready, or somebody may want it. */
  nudge(): void {
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
    const bySignature = new Map<string, LocalSession[]>();
    for (const session of this.#options.sessions.all()) {
      if (session.wanting === 0 || session.lanes.length === 0) continue;
      const group = bySignature.get(session.signature);
      if (group === undefined) bySignature.set(session.signature, [session]);
      else group.push(session);
    }
    for (const [signature, group] of bySignature) {
      const running = this.#claims.get(signature);
      if (running !== undefined) running.again = true;
      else void this.#claim(signature, group);
    }
  }

  async #claim(signature: string, group: readonly LocalSession[]): Promise<void> {
    const first = group[0];
    if (first === undefined) return;
    const flight = { again: false };
    this.#claims.set(signature, flight);
    const slots = reserve(group);
    let claimed: ClaimedRun[] = [];
    try {
      claimed = await this.#options.writer.claim({
        org: first.org,
        queues: first.worker.queues,
        lanes: first.lanes,
        slots: slots.map(({ sessionId, worker }) => ({ sessionId, workerId: worker.workerId })),
        until: this.#options.clock.now() + LIMITS.leaseMs,
        journalBytes: LIMITS.dispatchJournalBytes,
      });
    } catch (error) {
      this.#options.onError("dispatch", error);
    }
    for (const session of slots.slice(claimed.length)) session.credits += 1;
    this.#claims.delete(signature);
    for (const run of claimed) this.#options.deliver(run);
    const full = claimed.length > 0 && claimed.length === slots.length;
    if (full || flight.again) this.nudge();
  }
}

/** One slot of each session in turn, as long as there is room; each costs its session a credit. */
function reserve(group: readonly LocalSession[]): LocalSession[] {
  const slots: LocalSession[] = [];
  let added = true;
  while (added && slots.length < LIMITS.claimRuns) {
    added = false;
    for (const session of group) {
      if (session.wanting === 0 || slots.length >= LIMITS.claimRuns) continue;
      session.credits -= 1;
      slots.push(session);
      added = true;
    }
  }
  return slots;
}
