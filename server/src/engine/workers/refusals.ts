/**
 * Runs that a worker refused, or could not continue with. A run whose journal is damaged is paused;
 * any other is offered again, each time after a longer pause, so that nobody is kept busy by it.
 */

import type { Hub } from "../../hub/hub.ts";
import type { Clock } from "../../lib/clock.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { PawlError } from "../../model/errors.ts";
import { runKey } from "../../model/ids.ts";
import { pauseDamaged } from "../decide/lease-rules.ts";
import { Draft } from "../draft.ts";
import type { NewEvent } from "../events/event-types.ts";
import { WHOLE_PAGE } from "../journal/journal-reads.ts";
import { emptyState } from "../journal/run-memory.ts";
import { readHeader } from "../runs/read-header.ts";
import type { HolderLease, ReleaseParts } from "./release-lease.ts";
import { release } from "./release-lease.ts";

export interface RefusalsParts extends ReleaseParts {
  readonly clock: Clock;
  readonly hub: Hub<NewEvent>;
}

/** Takes back what workers refuse. */
export class Refusals {
  readonly #parts: RefusalsParts;
  /** How often runs were refused lately. In memory only: a restart starts anew, with short pauses. */
  readonly #runs = new Map<string, { count: number; at: number }>();

  constructor(parts: RefusalsParts) {
    this.#parts = parts;
  }

  /** Takes back a run that its holder refuses. */
  async refuse(lease: HolderLease): Promise<void> {
    const pauseMs = this.#note(runKey(lease.org, lease.runId), this.#parts.clock.now());
    try {
      const damaged = await this.#damagedEntry(lease);
      if (damaged !== undefined && (await this.#pause(lease, damaged))) return;
    } catch (error) {
      this.#parts.log.warn("run.refusal_unread", {
        run_id: lease.runId,
        error,
      });
    }
    await release(this.#parts, lease, "refused", pauseMs);
  }

  /** Reads the whole journal; returns which entry is damaged, if one is. */
  async #damagedEntry(lease: HolderLease): Promise<string | undefined> {
    let after = 0;
    for (let more = true; more; ) {
      try {
        const page = await this.#parts.store.readJournal(lease, lease.runId, after, WHOLE_PAGE);
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
  async #pause(lease: HolderLease, entry: string): Promise<boolean> {
    const { org, runId, fence } = lease;
    const key = runKey(org, runId);
    this.#parts.writer.evict(key);
    const header = await readHeader(this.#parts.store, lease, runId);
    const moment = { now: this.#parts.clock.now(), random: 0 };
    const draft = new Draft(emptyState(header), moment, false);
    if (!pauseDamaged(draft, fence, entry)) return false;
    const batch = { now: moment.now, writes: [draft.toWrite(undefined)], claims: [] };
    const { confirmed } = await this.#parts.store.commit(batch);
    this.#parts.writer.evict(key);
    if (confirmed[0] !== true) return false;
    this.#parts.hub.wakeAfterCommit(key, false);
    this.#parts.log.error("run.corrupted", { run_id: runId, entry });
    return true;
  }

  /** Counts one more; returns how long to wait before the run is offered again, in ms. */
  #note(key: string, now: number): number {
    const before = this.#runs.get(key);
    const recent = before !== undefined && now - before.at < BOUNDS.refusalForgottenMs;
    const count = recent ? before.count + 1 : 1;
    // Last in the map is the latest: what is forgotten stands first.
    this.#runs.delete(key);
    this.#runs.set(key, { count, at: now });
    for (const [other, { at }] of this.#runs) {
      if (this.#runs.size <= BOUNDS.refusedRuns && now - at < BOUNDS.refusalForgottenMs) break;
      this.#runs.delete(other);
    }
    return Math.min(BOUNDS.refusalPauseMs * 2 ** (count - 1), BOUNDS.refusalPauseMaxMs);
  }
}
