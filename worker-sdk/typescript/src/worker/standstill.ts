import type { Logger } from "../lib/logger.ts";
import type { Culprit } from "../lib/loop-watch.ts";
import type { RunTable } from "./run-table.ts";

const namedMax = 3;

/** Says in the log that this process stood still, and which step it was, as far as that is known. */
export function tellOfStandstill(
  logger: Logger,
  runs: RunTable,
  ms: number,
  culprit: Culprit | undefined,
): void {
  const suspects = culprit === undefined ? runs.stepsUnderWay() : [culprit];
  const keys = suspects.slice(0, namedMax).map(({ stepKey }) => stepKey);
  const which = suspects.length > namedMax ? `one of ${suspects.length} steps` : keys.join(", ");
  const what = which === "" ? "" : ` (${keys.length > 1 ? "one of the steps" : "step"} ${which})`;
  const runIds = [...new Set(suspects.slice(0, namedMax).map(({ runId }) => runId))];
  const hint =
    culprit === undefined
      ? "the process may also have been suspended"
      : "long computations belong in a worker thread, or in pieces with awaits between them";
  logger.warn(`the event loop was blocked for ${ms} ms${what}`, { runs: runIds, hint });
}
