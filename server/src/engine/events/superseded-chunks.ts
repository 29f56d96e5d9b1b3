/** Chunks of deltas go once what they belong to has ended, and those who watched had time to come back. */

import { unpackSteps } from "../../model/delta.ts";
import { isTerminal } from "../../model/run.ts";
import type { ChunkName, DeltaHead } from "../../store/deltas.ts";
import type { LoadedRun } from "../../store/runs.ts";
import { type RunMemory, stateOf } from "../journal/run-memory.ts";

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
  if (isTerminal(header.status)) return header.endedAt < before ? old : [];
  const state = stateOf(header, run.entries);
  const latest = chunks.at(-1);
  return old.filter(
    (chunk) =>
      chunk !== latest &&
      unpackSteps(chunk.steps).every(([key, attempt]) => ended(state, key, attempt, before)),
  );
}

/** Whether the journal says how the attempt ended, and has for a while. */
function ended(state: RunMemory, key: string, attempt: number, before: number): boolean {
  const step = state.steps.get(key);
  if (step === undefined || step.at >= before) return false;
  if (step.attempt > attempt) return true;
  return step.attempt === attempt && step.status !== "started" && step.status !== "waiting";
}
