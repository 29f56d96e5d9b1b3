/** The table of routes under /v1. What is here is served, and is in /openapi.json. */
import {
  PayloadService,
  RunService,
  SignalService,
  WorkerService,
  WorkflowService,
} from "@pawl/proto";
import { allEventsRoute, eventsRoute, RUN_ID } from "./event-routes.ts";
import { payloadRoute } from "./payload-route.ts";
import type { Route } from "./route.ts";
import { rpcRoute } from "./rpc-route.ts";
import { getRunRoute, startRoute } from "./start-routes.ts";
import { stepRoute, stepsRoute } from "./step-routes.ts";

const runs = RunService.method;
const REASON = "For the record and for people.";
const TRANSITION = ["NOT_FOUND", "ILLEGAL_TRANSITION"] as const;
const PAGE_SIZE = "1 to 500; 50 by default.";
const PAGE_TOKEN = "`nextPageToken` of the page before.";

const runRoutes: readonly Route[] = [
  startRoute,
  rpcRoute({
    ...{ method: "GET", path: "/v1/runs", rpc: runs.listRuns, id: "listRuns", tag: "Runs" },
    summary: "List runs, newest first",
    about: {
      states: "Runs in this state; may be repeated, or a list with commas.",
      workflow: "Runs of this workflow.",
      tags: "Runs with this tag, as KEY=VALUE; may be repeated: all of them.",
      parentRunId: "Children of this run.",
      pageSize: PAGE_SIZE,
      pageToken: PAGE_TOKEN,
    },
    errors: [],
  }),
  getRunRoute,
  rpcRoute({
    ...{ method: "DELETE", path: "/v1/runs/{runId}", rpc: runs.deleteRun, id: "deleteRun" },
    tag: "Runs",
    summary: "Delete a run that has ended",
    about: { runId: RUN_ID },
    errors: TRANSITION,
  }),
  rpcRoute({
    ...{ method: "GET", path: "/v1/runs/{runId}/journal", rpc: runs.getJournal, id: "getJournal" },
    tag: "Runs",
    summary: "Read a run's journal",
    about: {
      runId: RUN_ID,
      afterSeq: "Entries after this one: `seq` of the last one of the page before.",
      pageSize: "1 to 1,000; 1,000 by default, and at most about 1 MiB.",
    },
    errors: ["NOT_FOUND"],
  }),
  rpcRoute({
    ...{ method: "POST", path: "/v1/runs/{runId}/cancel", rpc: runs.cancelRun, id: "cancelRun" },
    tag: "Runs",
    summary: "Cancel a run",
    description: "At once where no worker holds it, else through the worker. Again is fine.",
    result: "run",
    about: {
      runId: RUN_ID,
      reason: REASON,
      grace: "How long the worker may clean up, such as `30s`; 10s by default, 1h at most.",
    },
    errors: TRANSITION,
  }),
  rpcRoute({
    ...{ method: "POST", path: "/v1/runs/{runId}/pause", rpc: runs.pauseRun, id: "pauseRun" },
    tag: "Runs",
    summary: "Pause a run at its next step boundary",
    result: "run",
    about: { runId: RUN_ID, reason: REASON },
    errors: TRANSITION,
  }),
  rpcRoute({
    ...{ method: "POST", path: "/v1/runs/{runId}/resume", rpc: runs.resumeRun, id: "resumeRun" },
    tag: "Runs",
    summary: "Let a paused run continue",
    result: "run",
    about: { runId: RUN_ID },
    errors: TRANSITION,
  }),
  rpcRoute({
    ...{ method: "POST", path: "/v1/runs/{runId}/retry", rpc: runs.retryRun, id: "retryRun" },
    tag: "Runs",
    summary: "Let a failed run continue from its failed step",
    result: "run",
    about: { runId: RUN_ID },
    errors: TRANSITION,
  }),
  rpcRoute({
    ...{ method: "PATCH", path: "/v1/runs/{runId}/tags", rpc: runs.updateTags, id: "updateTags" },
    tag: "Runs",
    summary: "Set and remove tags",
    result: "run",
    about: { runId: RUN_ID, set: "Tags to set, by key.", remove: "Keys of tags to remove." },
    errors: ["NOT_FOUND"],
  }),
];

const signals = SignalService.method;

const inboxRoutes: readonly Route[] = [
  rpcRoute({
    ...{ method: "POST", path: "/v1/runs/{runId}/signals/{name}", rpc: signals.sendSignal },
    id: "sendSignal",
    tag: "Signals",
    summary: "Send a signal",
    description: "Kept when it comes before the wait; first in, first out per name.",
    bodyIs: "payload",
    idempotency: "signalId",
    about: {
      runId: RUN_ID,
      name: "The signal's name.",
      payload: "The signal's value: JSON, or raw bytes; none at all is no value.",
      signalId: "Chosen by the sender: the same signal again is received once.",
      actor: "Who sends it, for the record.",
    },
    errors: ["NOT_FOUND", "RUN_TERMINAL", "IDEMPOTENCY_CONFLICT", "PAYLOAD_TOO_LARGE"],
  }),
  rpcRoute({
    ...{ method: "GET", path: "/v1/runs/{runId}/signals", rpc: signals.listSignals },
    id: "listSignals",
    tag: "Signals",
    summary: "List the signals that a run was sent, oldest first",
    about: { runId: RUN_ID, pageSize: PAGE_SIZE, pageToken: PAGE_TOKEN },
    errors: ["NOT_FOUND"],
  }),
];

const WAIT_ID = "The wait's id (run id, `#`, step key), percent-encoded.";
const ACTOR = "Who does it, for the record.";

const waitRoutes: readonly Route[] = [
  rpcRoute({
    ...{ method: "GET", path: "/v1/waits", rpc: signals.listWaits, id: "listWaits", tag: "Waits" },
    summary: "List open waits over all runs, oldest first: questions, timers, signals, children",
    about: {
      kinds: "Waits of this kind; may be repeated. USER: questions to people.",
      assignee: "Only questions that name this assignee.",
      includeUnassigned: "With `assignee`: also questions that anybody may answer.",
      workflow: "Of runs of this workflow.",
      runId: "Of this run.",
      pageSize: PAGE_SIZE,
      pageToken: PAGE_TOKEN,
    },
    errors: [],
  }),
  rpcRoute({
    ...{ method: "GET", path: "/v1/waits/{waitId}", rpc: signals.getWait, id: "getWait" },
    tag: "Waits",
    summary: "Get a wait, open or resolved, and what it was resolved with",
    about: { waitId: WAIT_ID },
    errors: ["NOT_FOUND"],
  }),
  rpcRoute({
    ...{ method: "POST", path: "/v1/waits/{waitId}/answer", rpc: signals.resolveWait },
    id: "answerWait",
    tag: "Waits",
    summary: "Answer a question, or resolve a callback",
    idempotency: "resolutionId",
    about: {
      waitId: WAIT_ID,
      resolutionId: "Chosen by the caller: the same answer again is taken once.",
      answer:
        "For a text and a choice a string, for an approval true or false, for a multichoice a list of strings, for a form an object; for a callback anything.",
      skip: "true, instead of an answer: declines to answer, where the question allows it.",
      actor: "Who answers.",
      comment: "Why.",
    },
    errors: [
      "NOT_FOUND",
      "INVALID_ANSWER",
      "WAIT_ALREADY_RESOLVED",
      "WAIT_CLOSED",
      "PERMISSION_DENIED",
      "RUN_TERMINAL",
    ],
  }),
  rpcRoute({
    ...{ method: "POST", path: "/v1/waits/{waitId}/cancel", rpc: signals.cancelWait },
    id: "cancelWait",
    tag: "Waits",
    summary: "End a wait without what it waits for",
    result: "wait",
    about: { waitId: WAIT_ID, actor: ACTOR, comment: "Why." },
    errors: ["NOT_FOUND", "WAIT_ALREADY_RESOLVED", "RUN_TERMINAL"],
  }),
  rpcRoute({
    ...{ method: "POST", path: "/v1/waits/{waitId}/links", rpc: signals.createAnswerLink },
    id: "createAnswerLink",
    tag: "Waits",
    summary: "Make a URL under which one person can answer a question once",
    about: {
      waitId: WAIT_ID,
      assignee: "Who will answer; one of the question's assignees, where it has any.",
      expiresIn: "How long it can be used; 7d by default, 365d at most.",
    },
    errors: [
      "NOT_FOUND",
      "WAIT_ALREADY_RESOLVED",
      "WAIT_CLOSED",
      "PERMISSION_DENIED",
      "RUN_TERMINAL",
    ],
  }),
];

const fleetRoutes: readonly Route[] = [
  rpcRoute({
    ...{ method: "GET", path: "/v1/workflows", rpc: WorkflowService.method.listWorkflows },
    id: "listWorkflows",
    tag: "Workflows",
    summary: "List the workflows that workers have registered",
    about: {},
    errors: [],
  }),
  rpcRoute({
    ...{ method: "GET", path: "/v1/workflows/{name}", rpc: WorkflowService.method.getWorkflow },
    id: "getWorkflow",
    tag: "Workflows",
    summary: "Get a workflow",
    result: "workflow",
    about: { name: "The workflow's name." },
    errors: ["NOT_FOUND"],
  }),
  rpcRoute({
    ...{ method: "GET", path: "/v1/workers", rpc: WorkerService.method.listWorkers },
    id: "listWorkers",
    tag: "Workers",
    summary: "List the workers seen in the last hour, connected ones first",
    about: {},
    errors: [],
  }),
];

export const ROUTES: readonly Route[] = [
  ...runRoutes,
  eventsRoute,
  allEventsRoute,
  stepsRoute,
  stepRoute,
  ...inboxRoutes,
  ...waitRoutes,
  ...fleetRoutes,
  payloadRoute(PayloadService.method.getPayload),
];
