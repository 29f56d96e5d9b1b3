import type { RunWrite } from "./runs.ts";

/** Later than anything that is due. */
export const ANY_TIME = Number.MAX_SAFE_INTEGER;

/** Whether the write concerns the run's row and its journal only. */
export function isPlain(write: Omit<RunWrite, "entries">): boolean {
  return (
    write.ready === undefined &&
    write.lease === undefined &&
    write.waits === undefined &&
    write.flow === undefined &&
    !write.dueClear &&
    write.nudge === undefined &&
    write.deltas === undefined &&
    write.duePut.length === 0 &&
    write.dueRemove.length === 0 &&
    write.dueElsewhere.length === 0 &&
    write.payloads.length === 0 &&
    write.payloadRefs.length === 0
  );
}

/** Whether the write only advances a run that is there: a step of a running run. */
export function isHot(write: RunWrite): boolean {
  return (
    write.expect !== null && write.patch === undefined && write.deleteRun !== true && isPlain(write)
  );
}
