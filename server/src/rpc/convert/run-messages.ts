/** Runs and their journal: requests into the model's words, views into the contract's. */
import { create } from "@bufbuild/protobuf";
import {
  type Debounce,
  type ListRunsRequest,
  ParentClosePolicy,
  type Run,
  RunSchema,
  type StartRunRequest,
  StatusReason as StatusReasonProto,
  type RunTimeouts as TimeoutsProto,
} from "@pawl/proto";
import type { ListRuns, RunView, StartRun } from "../../engine/engine-api.ts";
import { BOUNDS } from "../../model/bounds.ts";
import type { Undone } from "../../model/entry.ts";
import { invalid } from "../../model/errors.ts";
import type { OpenWait, RunHeader, RunTimeouts, StatusReason } from "../../model/run.ts";
import { waitIdOf } from "../../model/wait-id.ts";
import { flowIn } from "./admission-messages.ts";
import {
  duration,
  failureOut,
  payloadOut,
  readablePayload,
  statusIn,
  statusOut,
  timestamp,
  timestampOrUnset,
  waitKindOut,
} from "./common-messages.ts";
import {
  checkTags,
  durationMs,
  fence,
  name,
  newRunId,
  number,
  pageSize,
  requiredText,
  runId,
  stepKey,
  text,
  timestampMs,
} from "./fields.ts";

const PRIORITY_DEFAULT = 5;
const PRIORITY_MAX = 9;
const DEFAULT_QUEUE = "default";
const TRACEPARENT_BYTES = 256;
const PAGE_TOKEN_BYTES = 1_024;

function parentIn(request: StartRunRequest): StartRun["parent"] {
  const parent = request.parent;
  if (parent === undefined) return undefined;
  return {
    runId: runId(parent.runId, "parent.run_id"),
    key: stepKey(parent.stepKey, "parent.step_key"),
    fence: fence(request.parentFence, "parent_fence"),
    ...(request.parentClosePolicy === ParentClosePolicy.CANCEL && { close: "cancel" as const }),
  };
}

function debounceIn(
  request: StartRunRequest,
  { key, period, maxWait }: Debounce,
): NonNullable<StartRun["debounce"]> {
  const { runId: id, idempotencyKey, parent, claim, delay, startAt } = request;
  if (id !== "" || idempotencyKey !== "" || parent || claim || delay || startAt) {
    throw invalid(
      "debounce",
      "cannot be combined with run_id, idempotency_key, parent, claim, delay or start_at",
    );
  }
  if (period === undefined) throw invalid("debounce.period", "must be set");
  return {
    key: requiredText("debounce.key", key, BOUNDS.idBytes),
    periodMs: Math.max(1, durationMs("debounce.period", period, BOUNDS.ratePeriodMaxMs)),
    ...(maxWait && {
      maxWaitMs: durationMs("debounce.max_wait", maxWait, BOUNDS.ratePeriodMaxMs),
    }),
  };
}

export function startRunIn(request: StartRunRequest): StartRun {
  if (request.runId !== "" && request.idempotencyKey !== "") {
    throw invalid(
      "idempotency_key",
      "cannot be combined with run_id, because each of them identifies the run",
    );
  }
  if (request.delay !== undefined && request.startAt !== undefined) {
    throw invalid("start_at", "cannot be combined with delay");
  }
  checkTags(request.tags);
  const { timeouts, delay, startAt } = request;
  const parent = parentIn(request);
  const flow = flowIn("flow", request.flow);
  return {
    workflow: requiredText("workflow", request.workflow, BOUNDS.nameBytes),
    input: readablePayload("input", request.input),
    runId: newRunId(request.runId),
    idempotencyKey: text("idempotency_key", request.idempotencyKey, BOUNDS.idBytes),
    queue: name("queue", request.queue) || DEFAULT_QUEUE,
    priority: number("priority", request.priority ?? PRIORITY_DEFAULT, 0, PRIORITY_MAX),
    version: name("version", request.version),
    sessionId: text("session_id", request.sessionId, BOUNDS.idBytes),
    userId: text("user_id", request.userId, BOUNDS.idBytes),
    tags: request.tags,
    ...timeoutsIn("timeouts", timeouts),
    ...(delay && { delayMs: durationMs("delay", delay) }),
    ...(startAt && { startAt: timestampMs("start_at", startAt) }),
    ...(parent && { parent }),
    traceparent: text("traceparent", request.traceparent, TRACEPARENT_BYTES),
    ...(flow && { flow }),
    ...(request.debounce && { debounce: debounceIn(request, request.debounce) }),
    claim: request.claim,
    workerId: text("worker_id", request.workerId, BOUNDS.idBytes),
  };
}

const REASONS: Readonly<Record<StatusReason, StatusReasonProto>> = {
  "": StatusReasonProto.UNSPECIFIED,
  PAUSED_BY_OPERATOR: StatusReasonProto.PAUSED_BY_OPERATOR,
  NON_DETERMINISM: StatusReasonProto.NON_DETERMINISM,
  RETRIES_EXHAUSTED: StatusReasonProto.RETRIES_EXHAUSTED,
  UNKNOWN_OUTCOME: StatusReasonProto.UNKNOWN_OUTCOME,
  CRASH_LOOP: StatusReasonProto.CRASH_LOOP,
  DATA_CORRUPTED: StatusReasonProto.DATA_CORRUPTED,
  RUN_TIMEOUT: StatusReasonProto.RUN_TIMEOUT,
  PAUSING: StatusReasonProto.PAUSING,
  DELAYED: StatusReasonProto.DELAYED,
  DEBOUNCED: StatusReasonProto.DEBOUNCED,
  CONCURRENCY_LIMIT: StatusReasonProto.CONCURRENCY_LIMIT,
  RATE_LIMIT: StatusReasonProto.RATE_LIMIT,
  NO_WORKER: StatusReasonProto.NO_WORKER,
};

export function listRunsIn(request: ListRunsRequest): ListRuns {
  checkTags(request.tags);
  return {
    statuses: request.statuses.map(statusIn),
    workflow: name("workflow", request.workflow),
    tags: request.tags,
    parentRunId: text("parent_run_id", request.parentRunId, BOUNDS.idBytes),
    pageSize: pageSize(request.pageSize, BOUNDS.listPageDefault, BOUNDS.listPageMax),
    pageToken: text("page_token", request.pageToken, PAGE_TOKEN_BYTES),
  };
}

export function runOut(view: RunView): Run {
  const header = view.header;
  return create(RunSchema, {
    runId: header.runId,
    runUid: header.runUid,
    workflow: header.workflow,
    version: header.version,
    status: statusOut(header.status),
    statusReason: REASONS[view.reason],
    statusDetail: view.detail,
    queue: header.queue,
    priority: header.priority,
    tags: { ...header.tags },
    fence: header.fence,
    attempt: header.attempt,
    journalLength: header.seq,
    sessionId: header.options.sessionId ?? "",
    userId: header.options.userId ?? "",
    waits: (view.waits ?? header.waiting?.waits ?? []).map((wait) => openWaitOut(header, wait)),
    ...times(header),
    ...(header.lease !== null && {
      workerId: header.lease.workerId,
      leaseExpiresAt: timestamp(header.lease.until),
    }),
    ...(header.parentRunId !== "" && {
      parent: { runId: header.parentRunId, stepKey: header.parentKey },
    }),
    ...(view.input !== undefined && { input: payloadOut(view.input) }),
    ...(view.output !== undefined && { output: payloadOut(view.output) }),
    ...(view.failure !== undefined && { failure: failureOut(view.failure) }),
    ...(header.notes.undone !== undefined && { undone: undoneOut(header.notes.undone) }),
  });
}

function undoneOut(undone: Undone) {
  return undone === "unknown" ? { unknown: true } : { stepKeys: [...undone] };
}

export function timeoutsIn(field: string, timeouts: TimeoutsProto | undefined): RunTimeouts {
  return {
    ...(timeouts?.run && { runTimeoutMs: durationMs(`${field}.run`, timeouts.run) }),
    ...(timeouts?.queue && { queueTimeoutMs: durationMs(`${field}.queue`, timeouts.queue) }),
  };
}

/** Undefined where there are no limits. */
export function timeoutsOut({ runTimeoutMs, queueTimeoutMs }: RunTimeouts) {
  if (runTimeoutMs === undefined && queueTimeoutMs === undefined) return undefined;
  return {
    ...(runTimeoutMs !== undefined && { run: duration(runTimeoutMs) }),
    ...(queueTimeoutMs !== undefined && { queue: duration(queueTimeoutMs) }),
  };
}

function times(header: RunHeader) {
  const timeouts = timeoutsOut(header.options);
  const startedAt = timestampOrUnset(header.startedAt);
  const endedAt = timestampOrUnset(header.endedAt);
  const startAt = timestampOrUnset(header.startAt);
  return {
    createdAt: timestamp(header.createdAt),
    updatedAt: timestamp(header.updatedAt),
    ...(startAt && { startAt }),
    ...(startedAt && { startedAt }),
    ...(endedAt && { endedAt }),
    ...(timeouts && { timeouts }),
  };
}

function openWaitOut(header: RunHeader, wait: OpenWait) {
  return {
    ...(wait.kind !== "retry" && { waitId: waitIdOf(header, wait.key) }),
    stepKey: wait.key,
    kind: waitKindOut(wait.kind),
    name: wait.name,
    since: timestamp(wait.since),
    ...(wait.due !== undefined && { due: timestamp(wait.due) }),
    childRunId: wait.childRunId ?? "",
  };
}
