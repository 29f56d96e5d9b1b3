import { BOUNDS } from "../../model/bounds.ts";
import type { EntryMeta } from "../../model/entry.ts";
import { invalid, PawlError } from "../../model/errors.ts";
import {
  isTerminal,
  type Lease,
  NEW_RUN,
  type RunHeader,
  type RunOptions,
} from "../../model/run.ts";
import type { RunLimits } from "../admission/admission.ts";
import { Draft, type Moment } from "../draft.ts";
import { emptyState } from "../journal/run-memory.ts";
import type { StartRun } from "../runs/run-types.ts";
import { debounceOf, tagsOf } from "./debounce-rules.ts";
import { checkFence } from "./fence-rules.ts";

/** A start whose ids and digests are settled. */
export interface StartCommand {
  readonly org: string;
  readonly start: StartRun;
  readonly runId: string;
  readonly runUid: string;
  readonly inputDigest: string;
  readonly limits: RunLimits;
  /** The lease to give, with `claim`. */
  readonly claim: Lease | undefined;
}

export interface StartReply {
  readonly existing: boolean;
  readonly claimed: boolean;
}

/** The draft of a run that does not exist yet. */
export function newRun(command: StartCommand, moment: Moment): Draft {
  const { start } = command;
  const delayMs = start.debounce?.periodMs ?? start.delayMs;
  const startAt = start.startAt ?? (delayMs === undefined ? 0 : moment.now + delayMs);
  const header: RunHeader = {
    ...NEW_RUN,
    org: command.org,
    runId: command.runId,
    runUid: command.runUid,
    workflow: start.workflow,
    version: start.version,
    queue: start.queue,
    priority: start.priority,
    reason: start.debounce === undefined ? "" : "DEBOUNCED",
    fence: firstFence(start, moment.random),
    seq: 0,
    inputDigest: command.inputDigest,
    parentRunId: start.parent?.runId ?? "",
    parentKey: start.parent?.key ?? "",
    createdAt: moment.now,
    startAt,
    updatedAt: moment.now,
    options: { ...optionsOf(start), ...command.limits, ...debounceOf(start, moment.now) },
    tags: tagsOf(start),
  };
  const draft = new Draft(emptyState(header), moment, true);
  const meta: EntryMeta = { name: start.workflow };
  if (start.parent !== undefined)
    meta.details = { parent_run_id: start.parent.runId, parent_step_key: start.parent.key };
  if (Object.keys(header.tags).length > 0)
    meta.details = { ...meta.details, tags: JSON.stringify(header.tags) };
  draft.append("run.started", "", 0, meta, start.input);
  if (start.runTimeoutMs !== undefined) draft.due.put("run", "", moment.now + start.runTimeoutMs);
  // The parent may have ended since it made its child known.
  if (start.parent?.close === "cancel") draft.due.put("parent", "", moment.now, start.parent.runId);
  if (command.claim !== undefined && startAt <= moment.now) {
    draft.give(command.claim);
    return draft;
  }
  const readyAt = Math.max(startAt, moment.now);
  if (start.queueTimeoutMs !== undefined)
    draft.due.put("queue", "", readyAt + start.queueTimeoutMs);
  if (startAt > moment.now) draft.due.put("start", "", startAt);
  else draft.makeReady(moment.now);
  return draft;
}

/** Far from where fences of either life can meet, and half of what fits a column. */
const FIRST_FENCES = 2 ** 30;

/**
 * Where others may have had the run id before, in a run that was deleted since, the count of fences
 * starts somewhere by chance: a worker that still executes that one writes under another fence.
 */
function firstFence({ runId, idempotencyKey, debounce }: StartRun, random: number): number {
  const isNewId = runId === "" && idempotencyKey === "" && debounce === undefined;
  return isNewId ? 1 : 1 + Math.floor(random * FIRST_FENCES);
}

function optionsOf(start: StartRun): RunOptions {
  return {
    ...(start.sessionId === "" ? {} : { sessionId: start.sessionId }),
    ...(start.userId === "" ? {} : { userId: start.userId }),
    ...(start.traceparent === "" ? {} : { traceparent: start.traceparent }),
    ...(start.runTimeoutMs === undefined ? {} : { runTimeoutMs: start.runTimeoutMs }),
    ...(start.queueTimeoutMs === undefined ? {} : { queueTimeoutMs: start.queueTimeoutMs }),
    ...(start.idempotencyKey === "" ? {} : { idempotencyKey: start.idempotencyKey }),
    ...(start.parent?.close === "cancel" ? { parentClose: start.parent.close } : {}),
  };
}

/**
 * Written down before the child is made, under the fence of who makes it: whenever the parent ends
 * from now on, the child hears of it.
 */
export function noteChild(draft: Draft, fence: number, stepKey: string, childRunId: string): void {
  const { header, state } = draft;
  checkFence(draft, fence);
  if (state.children.has(childRunId)) return;
  if (state.children.size >= BOUNDS.childrenPerRun) {
    throw invalid(
      "parent_close_policy",
      `the run has started ${BOUNDS.childrenPerRun} children already that are cancelled with it, which is the limit`,
    );
  }
  draft.takeBack();
  draft.append("workflow.child.started", "", 0, {
    childRunId,
    fence,
    worker: header.lease?.workerId ?? "",
    details: { step_key: stepKey },
  });
}

/** A start of a run that is there already: the same again, or a conflict. */
export function startAgain(draft: Draft, command: StartCommand): StartReply {
  const { header } = draft;
  const { start } = command;
  const same =
    header.workflow === start.workflow &&
    header.version === start.version &&
    header.inputDigest === command.inputDigest &&
    header.parentRunId === (start.parent?.runId ?? "") &&
    header.parentKey === (start.parent?.key ?? "");
  if (!same) throw taken(header, command);
  if (command.claim === undefined || isTerminal(header.status))
    return { existing: true, claimed: false };
  // This very call was committed, and the answer of the store was lost.
  if (header.lease?.connectionId === command.claim.connectionId)
    return { existing: true, claimed: true };
  if (header.lease !== null) throw leased(header);
  const isHeld = header.reason !== "";
  if (header.status !== "QUEUED" || header.startAt > draft.now || isHeld)
    return { existing: true, claimed: false };
  draft.removeReady();
  draft.give(command.claim);
  return { existing: true, claimed: true };
}

function taken(header: RunHeader, command: StartCommand): PawlError {
  const byKey = command.start.idempotencyKey !== "";
  const differences = [
    ...(header.workflow === command.start.workflow ? [] : [`workflow "${header.workflow}"`]),
    ...(header.version === command.start.version ? [] : [`version "${header.version}"`]),
    ...(header.inputDigest === command.inputDigest ? [] : ["other input"]),
    ...(header.parentRunId === (command.start.parent?.runId ?? "") ? [] : ["another parent"]),
  ];
  const what = byKey
    ? `The idempotency key "${command.start.idempotencyKey}"`
    : `The run id "${header.runId}"`;
  return new PawlError(
    byKey ? "IDEMPOTENCY_CONFLICT" : "RUN_EXISTS",
    `${what} names a run with ${differences.join(" and ") || "another parent step"}. Nothing was started; choose another id, or read that run.`,
    {
      metadata: {
        run_id: header.runId,
        recorded_workflow: header.workflow,
        recorded_parent_run_id: header.parentRunId,
        recorded_parent_step_key: header.parentKey,
        attempted_workflow: command.start.workflow,
        recorded_input_digest: header.inputDigest,
        attempted_input_digest: command.inputDigest,
      },
    },
  );
}

function leased(header: RunHeader): PawlError {
  const expires = new Date(header.lease?.until ?? 0).toISOString();
  const holder = header.lease?.workerId ?? "";
  return new PawlError(
    "RUN_LEASED",
    `Run "${header.runId}" is being executed by "${holder}" until ${expires} at least. Wait for it, or try again then.`,
    { metadata: { run_id: header.runId, holder, expires_at: expires }, retryAfterMs: 1_000 },
  );
}
