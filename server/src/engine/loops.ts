/** The engine's background work. Each loop reads the store for what to do, so a restart changes nothing. */
import { type Loop, startLoop } from "../lib/loop.ts";
import { LIMITS } from "../model/limits.ts";
import { isTerminal } from "../model/run.ts";
import type { DueItem } from "../store/due.ts";
import type { Core } from "./core.ts";
import { dueFired } from "./decide/due.ts";
import { recordLiveStart } from "./decide/steps.ts";
import type { ChildOutcome } from "./decide/waits.ts";
import { syncAllHeld, syncHeld, syncWaiting } from "./effects.ts";
import { sweepDeltas } from "./events/sweep.ts";
import { admitHeld } from "./flow.ts";
import { type LookForLeases, leaseTimeOf } from "./lease-time.ts";
import { WORKER_SHOWN_MS } from "./registry.ts";
import { release } from "./release.ts";
import { runKey } from "./run-cache.ts";
import { viewOf } from "./view.ts";

export interface Loops {
  readonly due: Loop;
  readonly admit: Loop;
  readonly wake: Loop;
  /** Only looks for what came for runs that are watched. */
  readonly watch: Loop;
  stop(): Promise<void>;
}

const DAY_MS = 86_400_000;
const LEASE_LOOK_MS = 1_000;

/** `onReady` tells pollers that runs have become ready. */
export function startLoops(core: Core, onReady: () => void): Loops {
  const onError = (name: string, error: unknown): void => {
    core.log.warn("loop.failed", { loop: name, error });
  };
  const now = (): number => core.clock.now();
  const start = (name: string, periodMs: number, run: () => Promise<number | undefined>): Loop =>
    startLoop({ name, periodMs, run, now, onError });

  const admit = start("admit", 1_000, () =>
    admitHeld(core, () => {
      core.dispatcher.nudge();
      onReady();
    }),
  );
  const lookForLeases = leaseTimeOf(core.clock, LEASE_LOOK_MS);
  const due = start("due", 1_000, () => fireDue(core));
  const others = [
    start("lease", LEASE_LOOK_MS, () => expireLeases(core, lookForLeases)),
    start("step-start", 50, () => writeStarts(core)),
    start("delivery", 500, () => redeliver(core)),
    start("news", LIMITS.newsMs, async () => {
      await syncWaiting(core);
      return undefined;
    }),
    start("payload", 3_600_000, () => sweep(core)),
    start("delta", 20_000, sweepDeltas(core)),
    // Nudges make dispatch fast; this makes it sure.
    start("dispatch", core.store.replicas ? 500 : 5_000, async () => {
      core.dispatcher.lookForSuspects();
      core.dispatcher.nudge();
      return undefined;
    }),
  ];
  // The periodic run is the truth, wake-ups only make it fast. Alone, only a failed store hides a change.
  const watch = start("watch", 60_000, () => lookAtWatched(core));
  const takeNudged = core.store.replicas ? nudgeTaker(core) : async () => undefined;
  const wake = start("wake", core.store.replicas ? 500 : 5_000, async () => {
    await takeNudged();
    await lookAtWatched(core);
    return undefined;
  });
  return {
    due,
    admit,
    wake,
    watch,
    async stop() {
      await Promise.all([due, admit, wake, watch, ...others].map((loop) => loop.stop()));
    },
  };
}

async function fireDue(core: Core): Promise<number | undefined> {
  for (;;) {
    const now = core.clock.now();
    const { items, nextAt } = await core.store.due(now, LIMITS.dueItems, now + LIMITS.dueHoldMs);
    if (items.length === 0) return nextAt;
    const results = await Promise.allSettled(items.map((item) => fire(core, item)));
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }
}

async function fire(core: Core, item: DueItem): Promise<void> {
  core.metrics.timerLagSeconds.observe(Math.max(0, core.clock.now() - item.at) / 1_000);
  const child = item.kind === "child" ? await childOutcome(core, item) : undefined;
  const isOrphan = item.kind === "parent" && (await hasEnded(core, item.org, item.data));
  await core.writer.submit({
    org: item.org,
    runId: item.runId,
    bytes: 400,
    decide: (draft) => dueFired(draft, item, child, isOrphan),
  });
}

/** Whether a run has ended, or is no more. If it continues, its end makes due what asked for it. */
async function hasEnded(core: Core, org: string, runId: string): Promise<boolean> {
  const [run] = await core.store.loadRuns([{ org, runId, afterSeq: 0xffff_fffe }]);
  return run === undefined || isTerminal(run.header.state);
}

/** What became of a child run; undefined while it continues, for its end will make it due again. */
async function childOutcome(core: Core, item: DueItem): Promise<ChildOutcome | undefined> {
  const caller = { org: item.org };
  const [loaded] = await core.store.loadRuns([
    { org: item.org, runId: item.data, afterSeq: 0xffff_fffe },
  ]);
  if (loaded === undefined) {
    return {
      outcome: "failed",
      failure: {
        type: "ChildNotFound",
        message: `There is no run "${item.data}"; it may have been deleted.`,
      },
    };
  }
  const { header } = loaded;
  if (!isTerminal(header.state)) return undefined;
  const view = await viewOf(core.store, caller, header, core.clock.now(), { served: true }, false);
  const outcome =
    header.state === "COMPLETED" ? "completed" : header.state === "FAILED" ? "failed" : "cancelled";
  const failure = view.failure ?? {
    type: "Cancelled",
    message: `The child run "${header.runId}" was cancelled.`,
  };
  return {
    outcome,
    ...(outcome === "completed" ? {} : { failure }),
    ...(view.output === undefined ? {} : { payload: view.output }),
  };
}

async function expireLeases(core: Core, lookFor: LookForLeases): Promise<number | undefined> {
  const expired = await lookFor((time) => core.store.expiredLeases(time, LIMITS.expiredLeases));
  await Promise.all(
    expired.map(({ org, runId, fence, lease }) =>
      release(core, { org, runId, fence, sessionId: lease.sessionId }, "expired"),
    ),
  );
  return expired.length === LIMITS.expiredLeases ? core.clock.now() : undefined;
}

/** Steps that have run for a while get their start written, so that a crash is seen and counted. */
async function writeStarts(core: Core): Promise<number | undefined> {
  const before = core.clock.now() - LIMITS.startWrittenAfterMs;
  const writes: Promise<void>[] = [];
  for (const session of core.sessions.all()) {
    for (const [key, start] of session.live) {
      // In order of their start: the first young one ends it.
      if (start.at > before) break;
      session.live.delete(key);
      const { command } = start;
      writes.push(
        core.writer.submit({
          org: session.org,
          runId: command.runId,
          bytes: 300,
          decide: (draft) => recordLiveStart(draft, command),
        }),
      );
    }
  }
  await Promise.all(writes);
  return undefined;
}

/** A dispatch that no slot took up in time may be given to another. */
async function redeliver(core: Core): Promise<number | undefined> {
  for (const { session, run } of core.sessions.unacknowledged()) {
    session.stalled = true;
    await release(core, { ...run, sessionId: session.sessionId }, "unacknowledged");
  }
  return undefined;
}

async function sweep(core: Core): Promise<number | undefined> {
  await core.store.sweepWorkers(core.clock.now() - WORKER_SHOWN_MS);
  const swept = await core.store.sweepPayloads(core.clock.now() - DAY_MS, 1_000);
  return swept === 1_000 ? core.clock.now() : undefined;
}

/**
 * Tells the holders here what other replicas did to their runs. The nudges are gone from the store
 * with the look at them: so a failure is made up for by the next one.
 */
function nudgeTaker(core: Core): () => Promise<void> {
  const untold = new Map<string, { org: string; runId: string }>();
  let isDoubtful = false;
  return async () => {
    const wasDoubtful = isDoubtful;
    isDoubtful = true;
    for (const run of await core.store.takeNudges(core.replicaId))
      untold.set(runKey(run.org, run.runId), run);
    if (wasDoubtful) await syncAllHeld(core);
    isDoubtful = false;
    for (const [key, { org, runId }] of untold) {
      await syncHeld(core, org, runId);
      untold.delete(key);
    }
  };
}

async function lookAtWatched(core: Core): Promise<number | undefined> {
  const keys = core.hub.watched();
  if (keys.length > 0) await noticeWatched(core, keys);
  return undefined;
}

/** Wakes the watchers of those runs that have arrived further. */
async function noticeWatched(core: Core, keys: readonly string[]): Promise<void> {
  for (let from = 0; from < keys.length; from += LIMITS.batchCommands) {
    const some = keys.slice(from, from + LIMITS.batchCommands);
    const refs = some.map((key) => {
      const [org = "", runId = ""] = key.split("\n");
      return { org, runId };
    });
    for (const [index, mark] of (await core.store.runMarks(refs)).entries()) {
      const key = some[index];
      if (mark === undefined || key === undefined) continue;
      const { seq, state, delta } = mark;
      core.hub.notice(key, { seq, ...delta }, isTerminal(state));
    }
  }
}

/** Of a session of this server's former life, under whatever name. Pollers and claimers live on. */
function isOurs(core: Core, sessionId: string): boolean {
  if (core.store.replicas) return sessionId.startsWith(`${core.replicaId}/`);
  // Nobody else has the file, and nobody else calls.
  if (core.process !== undefined) return true;
  return !sessionId.startsWith("poll/") && !sessionId.startsWith("claim/");
}

/** After a start: the leases of this server's former life, whose workers did not come back in time. */
export async function releaseForgotten(core: Core): Promise<void> {
  let after: { org: string; runId: string } | undefined;
  for (;;) {
    const page = await core.store.listLeases(after, LIMITS.expiredLeases);
    for (const { org, runId, fence, lease } of page) {
      after = { org, runId };
      const ours = isOurs(core, lease.sessionId);
      if (!ours || core.sessions.holder(runKey(org, runId)) !== undefined) continue;
      await release(core, { org, runId, fence, sessionId: lease.sessionId }, "restarted");
    }
    if (page.length < LIMITS.expiredLeases) return;
  }
}
