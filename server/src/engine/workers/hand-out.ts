import { BOUNDS } from "../../model/bounds.ts";
import type { Entry } from "../../model/entry.ts";
import { runKey } from "../../model/ids.ts";
import type { RunHeader } from "../../model/run.ts";
import type { ClaimedRun } from "../../store/runs.ts";
import { type EffectsParts, syncHeld } from "../effects.ts";
import { noteClaimed } from "../observability/engine-metrics.ts";
import { traceClaimed } from "../observability/engine-traces.ts";
import { release } from "./release-lease.ts";

const JOURNAL = { entries: BOUNDS.journalPageEntries, bytes: BOUNDS.dispatchJournalBytes };

/** Sends a run to the worker that was given it in the commit that made it ready. */
export async function handOut(
  parts: EffectsParts,
  header: RunHeader,
  whole: Entry[] | undefined,
  deliver: (run: ClaimedRun) => Promise<void>,
): Promise<void> {
  const { org, runId, fence, seq } = header;
  if (whole !== undefined) {
    noteGivenOut(parts, { header, entries: whole });
    await deliver({ header, entries: whole });
    return;
  }
  try {
    const { entries } = await parts.store.readJournal({ org }, runId, 0, JOURNAL);
    const run = { header, entries: entries.filter((entry) => entry.seq <= seq) };
    noteGivenOut(parts, run);
    await deliver(run);
  } catch (error) {
    const connectionId = header.lease?.connectionId ?? "";
    await release(parts, { org, runId, fence, connectionId }, "unacknowledged");
    throw error;
  }
  // What was done to it before its worker was known to hold it, nobody was told.
  const now = parts.writer.cached(runKey(org, runId))?.header;
  const isSame = now?.fence === fence && now.seq === seq && now.intent === header.intent;
  if (!isSame) await syncHeld(parts, org, runId);
}

function noteGivenOut({ metrics, tracing }: EffectsParts, run: ClaimedRun): void {
  noteClaimed(metrics, run);
  if (tracing !== undefined) traceClaimed(tracing, run);
}
