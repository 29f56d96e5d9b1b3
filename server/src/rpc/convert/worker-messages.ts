/** Workers, leases, dispatched work and the outcomes of runs, both ways. */
import { create, type JsonObject } from "@bufbuild/protobuf";
import {
  type BeginCleanUpRequest,
  type CloseWaitsRequest,
  type CompleteRunRequest,
  type FailRunRequest,
  type Heartbeat,
  type Lease,
  type LeaseResult,
  LeaseResultSchema,
  LeaseStatus,
  type SuspendRunRequest,
  type SuspendRunResponse,
  SuspendRunResponseSchema,
  type WaitTree as WaitTreeProto,
  type Worker,
  type WorkerInfo as WorkerInfoProto,
  WorkerSchema,
  type Workflow,
  WorkflowSchema,
  type WorkflowSpec as WorkflowSpecProto,
  type WorkItem as WorkItemProto,
  WorkItemSchema,
} from "@pawl/proto";
import type {
  BeginCleanUp,
  CloseWaits,
  CompleteRun,
  FailRun,
  HeldLease,
  LeaseAnswer,
  SuspendReply,
  SuspendRun,
  WorkerInfo,
  WorkerView,
  WorkflowSpec,
  WorkflowView,
  WorkItem,
} from "../../engine/engine-api.ts";
import { startTags } from "../../engine/journal/journal-reads.ts";
import { flowText, NO_FLOW } from "../../model/admission.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { invalid } from "../../model/errors.ts";
import { timeoutsFrom, timeoutsText, type WaitTree } from "../../model/run.ts";
import { flowIn, flowOut } from "./admission-messages.ts";
import {
  directiveOut,
  failureIn,
  jsonIn,
  payloadOut,
  requiredPayload,
  stepKindIn,
  timestamp,
} from "./common-messages.ts";
import { entryOut } from "./entry-codec.ts";
import { fence, name, number, requiredText, runId, stepKey, text } from "./fields.ts";
import { timeoutsIn, timeoutsOut } from "./run-messages.ts";
import { waitSpecIn } from "./step-messages.ts";

const QUEUES_MAX = 100;
const LABELS_MAX = 64;
const LEASES_MAX = 10_000;
const STEP_KEYS_MAX = 10_000;
const CLOSED_MAX = 1_000;
const TREE_DEPTH_MAX = 32;
const DESCRIPTION_BYTES = 16 * 1024;

function document(field: string, value: string): string {
  text(field, value, BOUNDS.documentBytes);
  if (value === "") return value;
  jsonIn(field, Buffer.from(value));
  return value;
}

function workflowSpecIn(spec: WorkflowSpecProto, index: number): WorkflowSpec {
  const field = (part: string): string => `worker.workflows[${index}].${part}`;
  return {
    name: requiredText(field("name"), spec.name, BOUNDS.nameBytes),
    version: name(field("version"), spec.version),
    description: text(field("description"), spec.description, DESCRIPTION_BYTES),
    inputSchema: document(field("input_schema"), spec.inputSchema),
    outputSchema: document(field("output_schema"), spec.outputSchema),
    metadata:
      spec.metadata === undefined ? "" : document(field("metadata"), JSON.stringify(spec.metadata)),
    flow: flowText({ ...NO_FLOW, ...flowIn(field("flow"), spec.flow) }),
    timeouts: timeoutsText(timeoutsIn(field("timeouts"), spec.timeouts)),
  };
}

function atMost(field: string, count: number, max: number): void {
  if (count > max) throw invalid(field, `has ${count} items; at most ${max} are allowed`);
}

export function workerInfoIn(worker: WorkerInfoProto | undefined): WorkerInfo {
  if (worker === undefined) throw invalid("worker", "must be set");
  if (worker.workflows.length === 0) {
    throw invalid("worker.workflows", "must name at least one workflow, to be given work");
  }
  atMost("worker.workflows", worker.workflows.length, BOUNDS.workflows);
  atMost("worker.queues", worker.queues.length, QUEUES_MAX);
  atMost("worker.labels", Object.keys(worker.labels).length, LABELS_MAX);
  for (const [key, value] of Object.entries(worker.labels)) {
    text("worker.labels", key, BOUNDS.nameBytes);
    text("worker.labels", value, BOUNDS.tagValueBytes);
  }
  const queues = worker.queues.map((queue) =>
    requiredText("worker.queues", queue, BOUNDS.nameBytes),
  );
  return {
    workerId: requiredText("worker.worker_id", worker.workerId, BOUNDS.idBytes),
    instanceId: requiredText("worker.instance_id", worker.instanceId, BOUNDS.idBytes),
    language: name("worker.language", worker.language),
    sdkVersion: name("worker.sdk_version", worker.sdkVersion),
    buildVersion: name("worker.build_version", worker.buildVersion),
    workflows: worker.workflows.map(workflowSpecIn),
    queues: queues.length === 0 ? ["default"] : queues,
    labels: worker.labels,
    slots: worker.slots,
  };
}

export function leasesIn(leases: readonly Lease[]): HeldLease[] {
  atMost("leases", leases.length, LEASES_MAX);
  return leases.map((lease) => ({
    runId: runId(lease.runId, "leases.run_id"),
    fence: fence(lease.fence, "leases.fence"),
  }));
}

/** The runs that a worker says it holds; undefined if it does not say. */
export function heldIn({ held }: Heartbeat): HeldLease[] | undefined {
  return held === undefined ? undefined : leasesIn(held.leases);
}

const LEASE_STATUSES: Readonly<Record<LeaseAnswer["status"], LeaseStatus>> = {
  renewed: LeaseStatus.RENEWED,
  lost: LeaseStatus.LOST,
  cancel: LeaseStatus.CANCEL,
  pause: LeaseStatus.PAUSE,
};

export function leaseResultOut(answer: LeaseAnswer): LeaseResult {
  return create(LeaseResultSchema, {
    runId: answer.runId,
    status: LEASE_STATUSES[answer.status],
    fence: answer.fence,
    ...(answer.status !== "lost" && { expiresAt: timestamp(answer.until) }),
  });
}

export function leaseOut(runId: string, fence: number, attempt: number, until: number) {
  return {
    $typeName: "pawl.v1.Lease" as const,
    runId,
    fence,
    attempt,
    expiresAt: timestamp(until),
  };
}

export function workItemOut(item: WorkItem): WorkItemProto {
  const header = item.header;
  return create(WorkItemSchema, {
    lease: leaseOut(header.runId, header.fence, header.attempt, item.leaseUntil),
    workflow: header.workflow,
    version: header.version,
    input: payloadOut(item.input),
    journal: item.journal.map(entryOut),
    journalMore: item.more,
    journalLength: header.seq,
    tags: { ...startTags(item) },
    sessionId: header.options.sessionId ?? "",
    userId: header.options.userId ?? "",
    ...(header.parentRunId !== "" && {
      parent: { runId: header.parentRunId, stepKey: header.parentKey },
    }),
    traceparent: header.options.traceparent ?? "",
    createdAt: timestamp(header.createdAt),
    cancelling: header.status === "CANCELLING" || header.intent === "cancel",
    confirmStarts: item.confirmStarts ?? false,
    runUid: header.runUid,
    careful: item.careful ?? false,
  });
}

function waitTreeIn(tree: WaitTreeProto, depth: number, budget: { left: number }): WaitTree {
  if (depth > TREE_DEPTH_MAX) throw invalid("tree", `is over ${TREE_DEPTH_MAX} levels deep`);
  budget.left -= 1;
  if (budget.left < 0) throw invalid("tree", `has over ${BOUNDS.openWaitsPerRun} nodes`);
  switch (tree.node.case) {
    case "stepKey":
      return { key: stepKey(tree.node.value, "tree.step_key") };
    case "group": {
      const group = tree.node.value;
      const count = group.members.length;
      if (count === 0) throw invalid("tree.group.members", "must not be empty");
      const needed = group.needed === 0 ? count : group.needed;
      return {
        needed: number("tree.group.needed", needed, 1, count),
        members: group.members.map((member) => waitTreeIn(member, depth + 1, budget)),
        ...(group.exclusive && { exclusive: true }),
      };
    }
    default:
      throw invalid("tree", "has a node without `step_key` or `group`");
  }
}

export function suspendRunIn(request: SuspendRunRequest): SuspendRun {
  atMost("waits", request.waits.length, BOUNDS.openWaitsPerRun);
  const budget = { left: BOUNDS.openWaitsPerRun };
  return {
    runId: runId(request.runId),
    fence: fence(request.fence),
    unconsumed: stepKeysIn("unconsumed_step_keys", request.unconsumedStepKeys),
    waits: request.waits.map((wait) => {
      const kind = stepKindIn(wait.kind);
      const spec = waitSpecIn(kind, wait.wait);
      if (spec === undefined) throw invalid("waits.kind", `${kind} is not a kind of wait`);
      return {
        key: stepKey(wait.stepKey, "waits.step_key"),
        name: name("waits.name", wait.name),
        kind,
        wait: spec,
      };
    }),
    tree: request.tree === undefined ? undefined : waitTreeIn(request.tree, 1, budget),
    held: request.held && stepKeysIn("held.step_keys", request.held.stepKeys),
  };
}

export function closeWaitsIn(request: CloseWaitsRequest): CloseWaits {
  atMost("step_keys", request.stepKeys.length, CLOSED_MAX);
  return {
    runId: runId(request.runId),
    fence: fence(request.fence),
    keys: stepKeysIn("step_keys", request.stepKeys),
  };
}

export function beginCleanUpIn(request: BeginCleanUpRequest): BeginCleanUp {
  return {
    runId: runId(request.runId),
    fence: fence(request.fence),
    compensations: stepKeysIn("compensations", request.compensations),
  };
}

export function suspendRunOut(reply: SuspendReply): SuspendRunResponse {
  return create(SuspendRunResponseSchema, {
    resumed: reply.resumed,
    directive: directiveOut(reply.directive),
    resolved: reply.resolved.map(entryOut),
  });
}

function stepKeysIn(field: string, keys: readonly string[]): string[] {
  atMost(field, keys.length, STEP_KEYS_MAX);
  return keys.map((key) => stepKey(key, field));
}

export function completeRunIn(request: CompleteRunRequest): CompleteRun {
  return {
    runId: runId(request.runId),
    fence: fence(request.fence),
    output: requiredPayload("output", request.output),
    unconsumed: stepKeysIn("unconsumed_step_keys", request.unconsumedStepKeys),
    traced: request.traced,
  };
}

export function failRunIn(request: FailRunRequest): FailRun {
  const problem = request.nonDeterminism;
  const part = (field: string, value: string): string =>
    text(`non_determinism.${field}`, value, BOUNDS.failureMessageBytes);
  return {
    runId: runId(request.runId),
    fence: fence(request.fence),
    failure: failureIn("failure", request.failure),
    failedStepKeys: stepKeysIn("failed_step_keys", request.failedStepKeys),
    traced: request.traced,
    nonDeterminism:
      problem === undefined
        ? undefined
        : {
            stepKey: part("step_key", problem.stepKey),
            recorded: part("recorded", problem.recorded),
            attempted: part("attempted", problem.attempted),
            likelyCause: part("likely_cause", problem.likelyCause),
          },
  };
}

/** What a worker or an earlier version of this server registered as JSON text of an object. */
function structOut(json: string): JsonObject | undefined {
  return json === "" ? undefined : (JSON.parse(json) as JsonObject);
}

function workflowSpecOut(spec: WorkflowSpec) {
  const metadata = structOut(spec.metadata);
  const timeouts = timeoutsOut(timeoutsFrom(spec.timeouts));
  return {
    name: spec.name,
    version: spec.version,
    description: spec.description,
    inputSchema: spec.inputSchema,
    outputSchema: spec.outputSchema,
    ...(metadata && { metadata }),
    ...(spec.flow === "" ? {} : { flow: flowOut(spec.flow) }),
    ...(timeouts && { timeouts }),
  };
}

export function workflowOut(view: WorkflowView): Workflow {
  return create(WorkflowSchema, {
    spec: workflowSpecOut(view.spec),
    versions: [...view.versions],
    servedBy: [...view.servedBy],
    lastRegisteredAt: timestamp(view.registeredAt),
  });
}

export function workerOut(view: WorkerView): Worker {
  const info = view.info;
  return create(WorkerSchema, {
    info: {
      workerId: info.workerId,
      instanceId: info.instanceId,
      language: info.language,
      sdkVersion: info.sdkVersion,
      buildVersion: info.buildVersion,
      workflows: info.workflows.map(workflowSpecOut),
      queues: [...info.queues],
      labels: { ...info.labels },
      slots: info.slots,
    },
    connected: view.connected,
    lastSeen: timestamp(view.seenAt),
    inFlight: view.inFlight,
  });
}
