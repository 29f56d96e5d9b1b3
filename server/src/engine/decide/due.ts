import { LIMITS } from "../../model/limits.ts";
import { isTerminal } from "../../model/run.ts";
import type { DueItem, DueRow } from "../../store/due.ts";
import type { Draft } from "../draft.ts";
import { remind } from "./answers.ts";
import { graceOver } from "./clean-up.ts";
import { failRun } from "./common.ts";
import { cancelRun, timeOut } from "./lifecycle.ts";
import { attemptTimedOut } from "./step-results.ts";
import { resolve } from "./wait-changes.ts";
import { type ChildOutcome, childEnded } from "./waits.ts";
import { wake } from "./wake.ts";

/**
 * `child`: what became of it, for a row of that kind; undefined while it continues. `isOrphan`: for a
 * row of the kind `parent`, whether that has ended.
 */
export function dueFired(
  draft: Draft,
  row: DueRow & Pick<DueItem, "heldUntil">,
  child: ChildOutcome | undefined,
  isOrphan = false,
): void {
  draft.removeFired(row);
  if (isTerminal(draft.header.state)) return;
  switch (row.kind) {
    case "start":
      if (draft.header.state !== "QUEUED") return;
      if (draft.header.reason === "DEBOUNCED") draft.patch({ reason: "" });
      // One that has started was refused, and has passed its gates.
      if (draft.header.startedAt === 0) draft.makeReady(draft.header.startAt);
      else draft.makeReady(draft.now, true);
      return;
    case "wait":
      waitDue(draft, row.key);
      return;
    case "remind":
      remind(draft, row.key);
      return;
    case "retry":
      retryDue(draft, row.key);
      return;
    case "attempt":
      attemptTimedOut(draft, row.key, Number(row.data));
      return;
    case "run":
      timeOut(draft);
      return;
    case "queue":
      queueTimedOut(draft);
      return;
    case "grace":
      graceOver(draft);
      return;
    case "child":
      if (child !== undefined) childEnded(draft, row.data, child);
      return;
    case "parent":
      if (isOrphan) cancelChild(draft, `The parent run "${row.data}" has ended.`);
      return;
    case "unwanted":
      cancelChild(draft, `The parent run "${row.data}" no longer waits for it.`);
      return;
  }
}

function cancelChild(draft: Draft, reason: string): void {
  if (draft.header.options.parentClose === "cancel") cancelRun(draft, reason, LIMITS.cancelGraceMs);
}

function waitDue(draft: Draft, key: string): void {
  const step = draft.state.steps.get(key);
  if (step?.status !== "waiting" || step.until === 0) return;
  if (step.until > draft.now) {
    // The clock was set back since the row was read; without the row, nobody would come again.
    draft.putDue("wait", key, step.until);
    return;
  }
  resolve(draft, key, step.kind === "sleep" ? "fired" : "timed_out", {});
  wake(draft);
}

/** As a wait's timer: a row that was read too early is put back, also for a paused run to wait on. */
function retryDue(draft: Draft, key: string): void {
  const step = draft.state.steps.get(key);
  const early = step?.status === "backoff" && step.until > draft.now;
  if (early && draft.header.waiting !== null) draft.putDue("retry", key, step.until);
  else wake(draft);
}

function queueTimedOut(draft: Draft): void {
  if (draft.header.state !== "QUEUED" || draft.header.startedAt !== 0) return;
  const limit = draft.header.options.queueTimeoutMs ?? 0;
  failRun(
    draft,
    { type: "QueueTimeout", message: `No worker took the run within ${limit} ms.` },
    {},
  );
  draft.raiseFence();
}
