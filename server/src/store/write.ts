import type { RunWrite } from "./runs.ts";

/** Whether the write only advances a run that is there: a step of a running run. */
export function isHot({ expect, patch, deleteRun, changes }: RunWrite): boolean {
  return expect !== null && patch === undefined && deleteRun !== true && isEmpty(changes);
}

function isEmpty(changes: RunWrite["changes"]): boolean {
  for (const _ in changes) return false;
  return true;
}
