import type { Clock } from "../../lib/clock.ts";
import { deferred } from "../../lib/deferred.ts";
import { BOUNDS } from "../../model/bounds.ts";
import type { Caller } from "../../model/caller.ts";
import { PawlError } from "../../model/errors.ts";
import { formatConnectionId, runKey } from "../../model/ids.ts";
import { isSuspect, suspectLane } from "../../model/run.ts";
import type { LeasedRun } from "../../store/leases.ts";
import type { EngineSignals } from "../engine-signals.ts";
import { workItem } from "../journal/journal-reads.ts";
import { readHeader } from "../runs/read-header.ts";
import { checkWorker } from "./check-worker.ts";
import { noteGiven } from "./cleanup-grace.ts";
import { lanesOf } from "./connections.ts";
import type { ReleaseParts } from "./release-lease.ts";
import { release } from "./release-lease.ts";
import type { WorkerRegistry } from "./worker-registry.ts";
import type { HeldLease, LeaseAnswer, PollWork, WorkItem } from "./worker-types.ts";

export interface PollingParts extends ReleaseParts {
  readonly clock: Clock;
  readonly registry: WorkerRegistry;
  readonly signals: Pick<EngineSignals, "runsReady">;
}

/** Use cases of workers without a connection: they poll for runs and renew each lease by name. */
export class Polling {
  readonly #parts: PollingParts;
  /** The run that may be what kills workers, by the process that polled it. */
  readonly #suspects = new Map<string, { readonly runId: string; readonly fence: number }>();

  constructor(parts: PollingParts) {
    this.#parts = parts;
  }

  async poll(
    caller: Caller,
    { worker, max, waitMs }: PollWork,
    signal: AbortSignal,
  ): Promise<WorkItem[]> {
    await checkWorker(worker);
    await this.#parts.registry.polled(caller, worker);
    const deadline = this.#parts.clock.now() + waitMs;
    const connectionId = formatConnectionId({ kind: "polling", instance: worker.instanceId });
    const slots = Array.from({ length: max }, () => ({ connectionId, workerId: worker.workerId }));
    for (;;) {
      const ready = deferred<void>();
      const stop = this.#parts.signals.runsReady.on(() => ready.resolve());
      try {
        const claim = (to: typeof slots, lanes: string[]) =>
          this.#parts.writer.claim({
            org: caller.org,
            queues: worker.queues,
            lanes,
            slots: to,
            until: this.#parts.clock.now() + BOUNDS.leaseMs,
            journalBytes: BOUNDS.dispatchJournalBytes,
          });
        const lanes = lanesOf(worker);
        const suspects = (await this.#holdsSuspect(caller, connectionId))
          ? []
          : await claim(slots.slice(0, 1), lanes.map(suspectLane));
        for (const { header } of suspects)
          this.#suspects.set(connectionId, { runId: header.runId, fence: header.fence });
        const rest = slots.slice(suspects.length);
        const claimed = [...suspects, ...(rest.length === 0 ? [] : await claim(rest, lanes))];
        if (claimed.length > 0 && signal.aborted) {
          const leases = claimed.map(({ header }) => ({
            org: caller.org,
            runId: header.runId,
            fence: header.fence,
            connectionId,
          }));
          await Promise.all(leases.map((lease) => release(this.#parts, lease, "unacknowledged")));
          return [];
        }
        if (claimed.length > 0) {
          const ending = claimed.filter(({ header }) => header.status === "CANCELLING");
          await Promise.all(ending.map(({ header }) => noteGiven(this.#parts.writer, header)));
          return await Promise.all(
            claimed.map((run) => workItem(this.#parts.store, run.header, run.entries)),
          );
        }
        const left = Math.min(deadline - this.#parts.clock.now(), POLL_AGAIN_MS);
        if (left <= 0 || signal.aborted) return [];
        await Promise.race([
          ready.promise,
          aborted(AbortSignal.any([signal, AbortSignal.timeout(left)])),
        ]);
      } finally {
        stop();
      }
      if (signal.aborted) return [];
    }
  }

  /** Whether the process still has the run that may be what kills it, of which each has at most one. */
  async #holdsSuspect(caller: Caller, connectionId: string): Promise<boolean> {
    const given = this.#suspects.get(connectionId);
    if (given === undefined) return false;
    const header = await readHeader(this.#parts.store, caller, given.runId).catch(() => undefined);
    const isHeld = header?.fence === given.fence && header.lease?.connectionId === connectionId;
    if (isHeld && isSuspect(header)) return true;
    this.#suspects.delete(connectionId);
    return false;
  }

  async heartbeat(caller: Caller, leases: readonly HeldLease[]): Promise<LeaseAnswer[]> {
    const until = this.#parts.clock.now() + BOUNDS.leaseMs;
    const renewed = await this.#parts.store.renewLeases(caller, leases, until);
    return Promise.all(
      leases.map((lease, index) => this.#leaseAnswer(caller, lease, renewed[index])),
    );
  }

  async #leaseAnswer(
    caller: Caller,
    lease: HeldLease,
    renewed: LeasedRun | undefined,
  ): Promise<LeaseAnswer> {
    const { runId, fence } = lease;
    const resumed = renewed ?? (await this.#goOn(caller, lease));
    const header = await readHeader(this.#parts.store, caller, runId).catch((error: unknown) => {
      if (error instanceof PawlError && error.reason === "NOT_FOUND") return undefined;
      throw error;
    });
    if (resumed !== undefined) {
      this.#parts.writer.renewed(runKey(caller.org, runId), fence, resumed.lease);
      const status = header?.intent === "pause" ? "pause" : "renewed";
      // It knows the fence of the clean-up by the answer to a write, and has been heard of now.
      if (
        header?.status === "CANCELLING" &&
        header.fence === fence &&
        header.notes.cleanUp?.since === 0
      )
        await noteGiven(this.#parts.writer, header);
      return { runId, status, fence, until: resumed.lease.until };
    }
    const cancelling = header?.status === "CANCELLING" && header.lease !== null;
    // The one lease of a cancelled run, under the new fence, is the asker's if it held the one before.
    if (cancelling && header.fence === fence + 1) {
      await noteGiven(this.#parts.writer, header);
      return { runId, status: "cancel", fence: header.fence, until: header.lease?.until ?? 0 };
    }
    return { runId, status: "lost", fence: header?.fence ?? 0, until: 0 };
  }

  /** Its lease has lapsed, but nobody else was given the run: it has it again. */
  async #goOn(
    { org, connection }: Caller,
    { runId, fence }: HeldLease,
  ): Promise<Pick<LeasedRun, "lease"> | undefined> {
    try {
      return await this.#parts.writer.submit({
        org,
        runId,
        bytes: 300,
        holder: { fence, connection },
        decide: (draft) => {
          draft.takeBack();
          const { lease } = draft.header;
          return draft.header.fence === fence && draft.tookBack && lease !== null
            ? { lease }
            : undefined;
        },
      });
    } catch (error) {
      if (error instanceof PawlError && error.reason === "NOT_FOUND") return undefined;
      throw error;
    }
  }
}

/** Nudges make polling fast; this makes it sure. */
const POLL_AGAIN_MS = 1_000;

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
