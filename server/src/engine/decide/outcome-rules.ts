import { BOUNDS } from "../../model/bounds.ts";
import type { EntryMeta, Failure } from "../../model/entry.ts";
import { invalid } from "../../model/errors.ts";
import type { OpenWait, RunHeader, WaitTree } from "../../model/run.ts";
import type { Draft } from "../draft.ts";
import { isForgotten, type RunMemory, type StepRecord, satisfied } from "../journal/run-memory.ts";
import type { CompleteRun, FailRun, SuspendRun } from "../outcomes/outcome-types.ts";
import type { Directive } from "../steps/step-types.ts";
import { endCleanUp, isOfCompensation, undoneOf } from "./clean-up.ts";
import { checkFence, directive } from "./fence-rules.ts";
import { closeLosers } from "./readiness.ts";
import { endRun, failRun } from "./run-end.ts";
import { noteProgress } from "./step-meta.ts";
import { closeOpen } from "./wait-changes.ts";
import { checkWait, createWait } from "./wait-rules.ts";

/** `duplicateOf` names the entry of the same outcome made before, for its payload to be compared. */
export interface OutcomeDecision {
  readonly directive: Directive;
  readonly duplicateOf: number | undefined;
}

export function completeRun(draft: Draft, command: CompleteRun): OutcomeDecision {
  const { header, state } = draft;
  if (header.status === "COMPLETED" && state.outcomeFence === command.fence) {
    return { directive: "yield", duplicateOf: state.outcomeSeq };
  }
  // Reported at the end of a clean-up, and now again.
  const isCleaned =
    header.status === "CANCELLED" || (header.status === "FAILED" && state.timeout !== undefined);
  if (isCleaned && state.outcomeFence === command.fence) {
    return { directive: "yield", duplicateOf: undefined };
  }
  checkFence(draft, command.fence);
  draft.takeBack();
  const meta: EntryMeta = { fence: command.fence, worker: header.lease?.workerId ?? "" };
  if (header.status === "CANCELLING") {
    endCleanUp(draft, meta, true);
    return { directive: "yield", duplicateOf: undefined };
  }
  if (command.unconsumed.length > 0)
    meta.details = { unconsumed_step_keys: JSON.stringify(command.unconsumed.slice(0, 100)) };
  endRun(draft, "COMPLETED");
  draft.append("run.completed", "", 0, meta, command.output);
  return { directive: "yield", duplicateOf: undefined };
}

export function failRunByWorker(draft: Draft, command: FailRun): OutcomeDecision {
  const { header, state } = draft;
  const done =
    header.status === "FAILED" || header.status === "CANCELLED" || header.status === "PAUSED";
  if (done && state.outcomeFence === command.fence)
    return { directive: "yield", duplicateOf: undefined };
  checkFence(draft, command.fence);
  draft.takeBack();
  const meta: EntryMeta = {
    fence: command.fence,
    worker: header.lease?.workerId ?? "",
    failure: command.failure,
  };
  if (header.status === "CANCELLING") {
    // Code that does not fit the journal cannot clean up; code that does can, by a retry.
    endCleanUp(draft, meta, command.nonDeterminism === undefined);
    return { directive: "yield", duplicateOf: undefined };
  }
  const failedKeys =
    command.failedStepKeys.length > 0
      ? command.failedStepKeys
      : lastFailed(draft.state, command.failure);
  if (failedKeys.length > 0) meta.failedKeys = failedKeys;
  if (command.nonDeterminism !== undefined) {
    const { stepKey, recorded, attempted, likelyCause } = command.nonDeterminism;
    meta.reason = "NON_DETERMINISM";
    meta.details = { step_key: stepKey, recorded, attempted, likely_cause: likelyCause };
    pauseNow(draft, "NON_DETERMINISM", meta);
    return { directive: "yield", duplicateOf: undefined };
  }
  failRun(draft, command.failure, meta, undoneOf(draft, true));
  return { directive: "yield", duplicateOf: undefined };
}

/**
 * The steps through which a run failed, where its worker does not say: the latest with that failure,
 * and within it. An error of the code's own came through none.
 */
function lastFailed({ steps }: RunMemory, failure: Failure): string[] {
  const keys: string[] = [];
  for (let scope = ""; ; scope = `${keys[0]}/`) {
    let last: string | undefined;
    let seq = 0;
    for (const [key, step] of steps) {
      if (step.failure === undefined || step.seq < seq || !key.startsWith(scope)) continue;
      const isFailed = step.status === "failed" || step.status === "resolved";
      if (!isFailed || !isThrough(failure, step.failure) || isOfCompensation(key)) continue;
      last = key;
      seq = step.seq;
    }
    if (last === undefined) return keys;
    keys.unshift(last);
  }
}

function isThrough(failure: Failure, of: Failure): boolean {
  if (failure.message === of.message) return true;
  return failure.cause !== undefined && isThrough(failure.cause, of);
}

/** Takes the lease away and stops the run until somebody resumes it. */
export function pauseNow(draft: Draft, reason: RunHeader["reason"], meta: EntryMeta): void {
  if (draft.header.status === "QUEUED") draft.removeReady();
  draft.patch({ status: "PAUSED", reason, intent: "none" });
  draft.raiseFence();
  draft.dropLease();
  draft.append("run.paused", "", 0, { reason: draft.header.notes.pauseReason ?? reason, ...meta });
}

export interface SuspendDecision {
  readonly resumed: boolean;
  readonly directive: Directive;
  /** Entries of the waits that are resolved already. */
  readonly resolvedSeqs: readonly number[];
}

/**
 * Gives the run back until its tree is satisfied; or not, when it is already.
 *
 * @param by `stopping`: the worker stops its runs wherever they are: without a tree, it does not
 *   wait. `version`: of its code, where that is known
 */
export function suspendRun(
  draft: Draft,
  command: SuspendRun,
  by: { readonly stopping?: boolean; readonly version?: string } = {},
): SuspendDecision {
  const { header, state } = draft;
  const again =
    header.status === "WAITING" || header.status === "PAUSED" || header.status === "QUEUED";
  if (again && state.outcomeFence === command.fence)
    return { resumed: false, directive: "yield", resolvedSeqs: [] };
  checkFence(draft, command.fence);
  if (header.status === "CANCELLING")
    return { resumed: true, directive: "cancel", resolvedSeqs: [] };
  for (const [before, wait] of command.waits.entries())
    checkWait(draft, wait.kind, wait.wait, before);
  if (command.tree !== undefined) checkTree(command.tree, 0);

  draft.takeBack();
  const worker = header.lease?.workerId ?? "";
  for (const wait of command.waits) {
    const step = state.steps.get(wait.key);
    if (step !== undefined && !isForgotten(step)) continue;
    createWait(draft, (step?.attempt ?? 0) + 1, command.fence, worker, wait);
  }
  const meta: EntryMeta = { fence: command.fence, worker };
  noteProgress(draft);
  if (header.intent === "pause") {
    // Without a tree it stopped wherever it was: other branches than the waiting ones may continue.
    const { tree } = command;
    draft.patch({ waiting: tree === undefined ? null : { tree, waits: openWaits(draft) } });
    if (tree !== undefined) setRetryTimers(draft, tree);
    pauseNow(draft, "PAUSED_BY_OPERATOR", meta);
    return { resumed: false, directive: "yield", resolvedSeqs: [] };
  }
  const stopped =
    (by.stopping === true || header.intent === "resume") && command.waits.length === 0;
  const tree = command.tree ?? (stopped ? undefined : anyOpen(draft));
  if (tree === undefined) return giveBack(draft, meta);
  if (satisfied(state, tree, draft.now)) {
    return { resumed: true, directive: directive(header), resolvedSeqs: resolvedIn(draft, tree) };
  }
  if (command.held !== undefined) withdraw(draft, tree, command.held, by.version);
  suspend(draft, tree, meta);
  return { resumed: false, directive: "yield", resolvedSeqs: [] };
}

/** Closes what is open, and what the code that suspended itself no longer asks for. */
function withdraw(draft: Draft, tree: WaitTree, held: readonly string[], version = ""): void {
  const wanted = new Set([...held, ...keysOf(tree)]);
  const open = [...draft.state.steps].filter(([, step]) => step.status === "waiting");
  for (const [key] of open) if (!wanted.has(key)) closeOpen(draft, key, "withdrawn", version);
}

function keysOf(tree: WaitTree): string[] {
  return "key" in tree ? [tree.key] : tree.members.flatMap(keysOf);
}

function suspend(draft: Draft, tree: WaitTree, meta: EntryMeta): void {
  closeLosers(draft, tree);
  const waits = openWaits(draft);
  draft.patch({ status: "WAITING", intent: "none", waiting: { tree, waits } });
  draft.raiseFence();
  draft.dropLease();
  setRetryTimers(draft, tree);
  draft.append("workflow.waiting", "", 0, {
    ...meta,
    details: { waits: JSON.stringify(waits.slice(0, 100).map((wait) => wait.key)) },
  });
}

/** Nothing to wait for: another worker continues at once (a worker that drains). */
function giveBack(draft: Draft, meta: EntryMeta): SuspendDecision {
  draft.patch({ status: "QUEUED", intent: "none" });
  draft.raiseFence();
  draft.dropLease();
  draft.append("workflow.waiting", "", 0, { ...meta, reason: "GIVEN_BACK" });
  draft.makeReady(draft.header.createdAt, true);
  return { resumed: false, directive: "yield", resolvedSeqs: [] };
}

function anyOpen(draft: Draft): WaitTree | undefined {
  const members: WaitTree[] = [];
  for (const [key, step] of draft.state.steps) {
    if (step.status === "waiting" || step.status === "backoff") members.push({ key });
  }
  return members.length === 0 ? undefined : { needed: 1, members };
}

/** The first of them, for people: a list of all would be rewritten with every one that is resolved. */
export function openWaits(draft: Draft): OpenWait[] {
  const waits: OpenWait[] = [];
  for (const [key, step] of draft.state.steps) {
    if (waits.length >= BOUNDS.shownWaits) break;
    if (step.status === "waiting" || step.status === "backoff") waits.push(openWait(key, step));
  }
  return waits;
}

function openWait(key: string, step: StepRecord): OpenWait {
  const kind =
    step.status === "backoff" || step.kind === "step" || step.kind === "value"
      ? "retry"
      : step.kind;
  return {
    key,
    kind,
    name: step.name,
    since: step.status === "waiting" ? step.firstAt : step.at,
    ...(step.until === 0 ? {} : { due: step.until }),
    ...(step.childRunId === "" ? {} : { childRunId: step.childRunId }),
  };
}

/** A step's next attempt wakes a suspended run; while a worker holds the run, it needs no timer. */
export function setRetryTimers(draft: Draft, tree: WaitTree): void {
  if ("key" in tree) {
    const step = draft.state.steps.get(tree.key);
    if (step?.status === "backoff") draft.due.put("retry", tree.key, step.until);
    return;
  }
  for (const member of tree.members) setRetryTimers(draft, member);
}

function resolvedIn(draft: Draft, tree: WaitTree): number[] {
  if (!("key" in tree)) return tree.members.flatMap((member) => resolvedIn(draft, member));
  const step = draft.state.steps.get(tree.key);
  return step?.status === "resolved" ? [step.seq] : [];
}

const TREE_DEPTH_MAX = 32;

function checkTree(tree: WaitTree, depth: number): void {
  if (depth > TREE_DEPTH_MAX)
    throw invalid("tree", `is nested deeper than ${TREE_DEPTH_MAX} groups`);
  if ("key" in tree) return;
  if (tree.members.length === 0)
    throw invalid("tree", "a group has no members, so nothing could ever wake the run");
  if (tree.needed > tree.members.length) {
    throw invalid("tree", `a group needs ${tree.needed} of ${tree.members.length} members`);
  }
  for (const member of tree.members) checkTree(member, depth + 1);
}
