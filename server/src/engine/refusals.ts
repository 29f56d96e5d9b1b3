/**
 * Runs that a worker refused, or could not continue with. A run whose journal is damaged is paused;
 * any other is offered again, each time after a longer pause, so that nobody is kept busy by it.
 */
import { PawlError } from "../model/errors.ts";
import { LIMITS } from "../model/limits.ts";
import type { Core } from "./core.ts";
import { pauseDamaged } from "./decide/leases.ts";
import { Draft } from "./draft.ts";
import { WHOLE_PAGE } from "./journal.ts";
import { release } from "./release.ts";
import { runKey } from "./run-cache.ts";
import { readHeader } from "./runs.ts";
import { emptyState } from "./state.ts";

/** How often runs were refused lately. In memory only: a restart starts anew, with short pauses. */
export class Refusals {
  readonly #runs = new Map<string, { count: number; at: number }>();

  /** Counts one more; returns how long to wait before the run is offered again, in ms. */
  note(key: string, now: number): number {
    const before = this.#runs.get(key);
    const recent = before !== undefined && now - before.at < LIMITS.refusalForgottenMs;
    const count = recent ? before.count + 1 : 1;
    // Last in the map is the latest: what is forgotten stands first.
    this.#runs.delete(key);
    this.#runs.set(key, { count, at: now });
    for (const [other, { at }] of this.#runs) {
      if (this.#runs.size <= LIMITS.refusedRuns && now - at < LIMITS.refusalForgottenMs) break;
      this.#runs.delete(other);
    }
    return Math.min(LIMITS.refusalPauseMs * 2 ** (count - 1), LIMITS.refusalPauseMaxMs);
  }
}

interface RefusedLease {
  readonly org: string;
  readonly runId: string;
  readonly fence: number;
  readonly sessionId: string;
}

/** Takes back a run that its holder refuses. */
export async function refuse(core: Core, lease: RefusedLease): Promise<void> {
  const pauseMs = core.refusals.note(runKey(lease.org, lease.runId), core.clock.now());
  try {
    const damaged = await damagedEntry(core, lease);
    if (damaged !== undefined && (await pause(core, lease, damaged))) return;
  } catch (error) {
    core.log.warn("run.refusal_unread", {
      run_id: lease.runId,
      error,
    });
  }
  await release(core, lease, "refused", pauseMs);
}

/** Reads the whole journal; returns which entry is damaged, if one is. */
async function damagedEntry(core: Core, lease: RefusedLease): Promise<string | undefined> {
  let after = 0;
  for (let more = true; more; ) {
    try {
      const page = await core.store.readJournal(lease, lease.runId, after, WHOLE_PAGE);
      after = page.entries.at(-1)?.seq ?? after;
      more = page.more && page.entries.length > 0;
    } catch (error) {
      if (error instanceof PawlError && error.reason === "DATA_CORRUPTED")
        return error.metadata.seq ?? "?";
      throw error;
    }
  }
  return undefined;
}

/**
 * Past the writer, which could not read such a run. The run's version is compared as usual; false
 * where it has changed.
 */
async function pause(core: Core, lease: RefusedLease, entry: string): Promise<boolean> {
  const { org, runId, fence } = lease;
  const key = runKey(org, runId);
  core.writer.evict(key);
  const header = await readHeader(core, lease, runId);
  const moment = { now: core.clock.now(), random: 0 };
  const draft = new Draft(emptyState(header), moment, false);
  if (!pauseDamaged(draft, fence, entry)) return false;
  const batch = { now: moment.now, writes: [draft.toWrite(undefined)], claims: [] };
  const { confirmed } = await core.store.commit(batch);
  core.writer.evict(key);
  if (confirmed[0] !== true) return false;
  core.hub.notify(key, false);
  core.log.error("run.corrupted", { run_id: runId, entry });
  return true;
}
