import type { EntryMeta, Failure, Undone } from "../../model/entry.ts";
import type { RunStatus } from "../../model/run.ts";
import type { Draft } from "../draft.ts";

/**
 * Ends a run: no lease, no queue, nothing due, the parent told. The caller appends the entry.
 *
 * @param undone what its clean-up did not get done
 */
export function endRun(draft: Draft, status: RunStatus, undone?: Undone): void {
  const header = draft.header;
  const queued = header.status === "QUEUED" || header.status === "CANCELLING";
  if (queued && header.lease === null) draft.removeReady();
  const { cancelReason } = header.notes;
  const notes = {
    ...(cancelReason === undefined ? {} : { cancelReason }),
    ...(undone === undefined ? {} : { undone }),
  };
  draft.patch({ status, reason: "", intent: "none", endedAt: draft.now, waiting: null, notes });
  draft.dropLease();
  draft.due.clear();
  unlistWaits(draft);
  for (const child of draft.state.children) {
    const key = `${header.runId}\n${header.seq}`;
    const row = { kind: "parent" as const, key, at: draft.now, data: header.runId };
    draft.due.putElsewhere(child, row);
  }
  if (header.parentRunId !== "") {
    // A key of its own for each end: a row put now must not go with one that is being fired.
    const key = `${header.runId}\n${header.seq}`;
    const row = { kind: "child" as const, key, at: draft.now, data: header.runId };
    draft.due.putElsewhere(header.parentRunId, row);
  }
}

/** Nobody waits for anything any more. */
function unlistWaits(draft: Draft): void {
  if (draft.state.openWaits === 0) return;
  for (const [key, step] of draft.state.steps) if (step.status === "waiting") draft.waits.list(key);
}

const NOTED_CHARS = 200;

/** Notes on the run's row why it failed. */
export function noteFailure(draft: Draft, { type, message }: Failure): void {
  const [line = ""] = (message === "" ? type : `${type}: ${message}`).split("\n", 1);
  const failure = line.slice(0, NOTED_CHARS).toWellFormed().replaceAll("\0", " ");
  draft.patch({ notes: { ...draft.header.notes, failure } });
}

export function failRun(draft: Draft, failure: Failure, meta: EntryMeta, undone?: Undone): void {
  endRun(draft, "FAILED", undone);
  noteFailure(draft, failure);
  const left = undone === undefined ? {} : { undone };
  draft.append("run.failed", "", 0, { ...meta, ...left, failure });
}
