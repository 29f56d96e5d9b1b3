/** Use cases of workers without a session: they poll for runs and renew each lease by name. */
import { deferred } from "../lib/deferred.ts";
import type { Caller } from "../model/caller.ts";
import { PawlError } from "../model/errors.ts";
import { LIMITS } from "../model/limits.ts";
import { isSuspect, suspectLane } from "../model/run.ts";
import type { LeasedRun } from "../store/leases.ts";
import type { HeldLease, LeaseAnswer, WorkerInfo, WorkItem } from "./api.ts";
import type { Core } from "./core.ts";
import { noteGiven } from "./grace.ts";
import { workItem } from "./journal.ts";
import { release } from "./release.ts";
import { runKey } from "./run-cache.ts";
import { readHeader } from "./runs.ts";
import { lanesOf } from "./sessions.ts";
import { checkWorker } from "./work.ts";

export async function pollWork(
  core: Core,
  caller: Caller,
  worker: WorkerInfo,
  max: number,
  waitMs: number,
  signal: AbortSignal,
): Promise<WorkItem[]> {
  await checkWorker(worker);
  await core.registry.polled(caller, worker);
  const deadline = core.clock.now() + waitMs;
  const sessionId = `poll/${worker.instanceId}`;
  const slots = Array.from({ length: max }, () => ({ sessionId, workerId: worker.workerId }));
  for (;;) {
    const ready = deferred<void>();
    const stop = core.onReady(ready.resolve);
    try {
      const claim = (to: typeof slots, lanes: string[]) =>
        core.writer.claim({
          org: caller.org,
          queues: worker.queues,
          lanes,
          slots: to,
          until: core.clock.now() + LIMITS.leaseMs,
          journalBytes: LIMITS.dispatchJournalBytes,
        });
      const lanes = lanesOf(worker);
      const suspects = (await holdsSuspect(core, caller, sessionId))
        ? []
        : await claim(slots.slice(0, 1), lanes.map(suspectLane));
      for (const { header } of suspects)
        core.suspects.set(sessionId, { runId: header.runId, fence: header.fence });
      const rest = slots.slice(suspects.length);
      const claimed = [...suspects, ...(rest.length === 0 ? [] : await claim(rest, lanes))];
      if (claimed.length > 0 && signal.aborted) {
        const leases = claimed.map(({ header }) => ({
          org: caller.org,
          runId: header.runId,
          fence: header.fence,
          sessionId,
        }));
        await Promise.all(leases.map((lease) => release(core, lease, "unacknowledged")));
        return [];
      }
      if (claimed.length > 0) {
        const ending = claimed.filter(({ header }) => header.state === "CANCELLING");
        await Promise.all(ending.map(({ header }) => noteGiven(core, header)));
        return await Promise.all(
          claimed.map((run) => workItem(core.store, run.header, run.entries)),
        );
      }
      const left = Math.min(deadline - core.clock.now(), POLL_AGAIN_MS);
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
async function holdsSuspect(core: Core, caller: Caller, sessionId: string): Promise<boolean> {
  const given = core.suspects.get(sessionId);
  if (given === undefined) return false;
  const header = await readHeader(core, caller, given.runId).catch(() => undefined);
  const isHeld = header?.fence === given.fence && header.lease?.sessionId === sessionId;
  if (isHeld && isSuspect(header)) return true;
  core.suspects.delete(sessionId);
  return false;
}

/** Nudges make polling fast; this makes it sure. */
const POLL_AGAIN_MS = 1_000;

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

export async function heartbeatLeases(
  core: Core,
  caller: Caller,
  leases: readonly HeldLease[],
): Promise<LeaseAnswer[]> {
  const until = core.clock.now() + LIMITS.leaseMs;
  const renewed = await core.store.renewLeases(caller, leases, until);
  return Promise.all(
    leases.map((lease, index) => leaseAnswer(core, caller, lease, renewed[index])),
  );
}

/** Its lease has lapsed, but nobody else was given the run: it has it again. */
async function goOn(
  core: Core,
  { org, session }: Caller,
  { runId, fence }: HeldLease,
): Promise<Pick<LeasedRun, "lease"> | undefined> {
  try {
    return await core.writer.submit({
      org,
      runId,
      bytes: 300,
      holder: { fence, session },
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

async function leaseAnswer(
  core: Core,
  caller: Caller,
  lease: HeldLease,
  renewed: LeasedRun | undefined,
): Promise<LeaseAnswer> {
  const { runId, fence } = lease;
  const resumed = renewed ?? (await goOn(core, caller, lease));
  const header = await readHeader(core, caller, runId).catch((error: unknown) => {
    if (error instanceof PawlError && error.reason === "NOT_FOUND") return undefined;
    throw error;
  });
  if (resumed !== undefined) {
    core.writer.renewed(runKey(caller.org, runId), fence, resumed.lease);
    const status = header?.intent === "pause" ? "pause" : "renewed";
    // It knows the fence of the clean-up by the answer to a write, and has been heard of now.
    if (
      header?.state === "CANCELLING" &&
      header.fence === fence &&
      header.notes.cleanUp?.since === 0
    )
      await noteGiven(core, header);
    return { runId, status, fence, until: resumed.lease.until };
  }
  const cancelling = header?.state === "CANCELLING" && header.lease !== null;
  // The one lease of a cancelled run, under the new fence, is the asker's if it held the one before.
  if (cancelling && header.fence === fence + 1) {
    await noteGiven(core, header);
    return { runId, status: "cancel", fence: header.fence, until: header.lease?.until ?? 0 };
  }
  return { runId, status: "lost", fence: header?.fence ?? 0, until: 0 };
}
