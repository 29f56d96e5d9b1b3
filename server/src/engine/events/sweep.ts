/** Chunks of deltas go once what they belong to has ended, and those who watched had time to come back. */

import { unpackSteps } from "../../model/delta.ts";
import { LIMITS } from "../../model/limits.ts";
import { isTerminal } from "../../model/run.ts";
import type { ChunkName, DeltaHead } from "../../store/deltas.ts";
import type { LoadedRun } from "../../store/runs.ts";
import type { Core } from "../core.ts";
import { type RunState, stateOf } from "../state.ts";

const RUNS = 100;

/**
 * What of a run's chunks is of no more use. Those of an attempt that a crash ended stay until the
 * run ends: they tell a watcher that comes back what to take back.
 */
export function superseded(
  run: LoadedRun,
  chunks: readonly DeltaHead[],
  before: number,
): ChunkName[] {
  const { header } = run;
  const old = chunks.filter((chunk) => !chunk.keep && chunk.at < before);
  if (old.length === 0) return [];
  if (isTerminal(header.state)) return header.endedAt < before ? old : [];
  const state = stateOf(header, run.entries);
  const latest = chunks.at(-1);
  return old.filter(
    (chunk) =>
      chunk !== latest &&
      unpackSteps(chunk.steps).every(([key, attempt]) => ended(state, key, attempt, before)),
  );
}

/** Whether the journal says how the attempt ended, and has for a while. */
function ended(state: RunState, key: string, attempt: number, before: number): boolean {
  const step = state.steps.get(key);
  if (step === undefined || step.at >= before) return false;
  if (step.attempt > attempt) return true;
  return step.attempt === attempt && step.status !== "started" && step.status !== "waiting";
}

/** Goes through the runs that have such chunks, some at a time. */
export function sweepDeltas(core: Core): () => Promise<number | undefined> {
  let after: { org: string; runId: string } | undefined;
  return async () => {
    const runs = await core.store.deltaRuns(after, RUNS);
    after = runs.length < RUNS ? undefined : runs.at(-1);
    const before = core.clock.now() - LIMITS.deltaGraceMs;
    for (const { org, runId } of runs) {
      const [run] = await core.store.loadRuns([{ org, runId, afterSeq: 0 }]);
      const chunks = await core.store.deltaHeads({ org }, runId);
      const gone = run === undefined ? chunks : superseded(run, chunks, before);
      if (gone.length > 0) await core.store.deleteDeltas({ org }, runId, gone);
    }
    return runs.length === RUNS ? core.clock.now() + 100 : undefined;
  };
}
