/** The table of routes under /v1. What is here is served, and is in /openapi.json. */
import {
  KeyService,
  PayloadService,
  RunService,
  ServerService,
  SignalService,
  WaitService,
  WorkerService,
  WorkflowService,
} from "@pawl/proto";
import { allEventsRoute, eventsRoute, RUN_ID } from "./event-routes.ts";
import { payloadRoute } from "./payload-route.ts";
import type { Route } from "./route.ts";
import { rpcRoute } from "./rpc-route.ts";
import { getRunRoute, startRoute } from "./start-routes.ts";
import { stepRoutes } from "./step-routes.ts";

const runs = RunService.method;
const REASON = "Shown in the run's history.";
const TRANSITION = ["NOT_FOUND", "ILLEGAL_TRANSITION"] as const;
const PAGE_SIZE = "1 to 500. Default: 50.";
const PAGE_TOKEN = "The `nextPageToken` of the previous page.";

const runRoutes: readonly Route[] = [
  startRoute,
  rpcRoute({
    ...{ method: "GET", path: "/v1/runs", rpc: runs.listRuns, id: "listRuns", tag: "Runs" },
    summary: "List runs, newest first",
    about: {
      statuses: "Runs with this status; may be repeated or comma-separated.",
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
    summary: "Delete an ended run",
    about: { runId: RUN_ID },
    errors: TRANSITION,
  }),
  rpcRoute({
    ...{ method: "GET", path: "/v1/runs/{runId}/journal", rpc: runs.getJournal, id: "getJournal" },
    tag: "Runs",
    summary: "Read a run's journal",
    about: {
      runId: RUN_ID,
      afterSeq: "Only entries after this one: the `seq` of the last entry of the previous page.",
      pageSize: "1 to 1,000; 1,000 by default, and at most about 1 MiB.",
    },
    errors: ["NOT_FOUND"],
  }),
  rpcRoute({
    ...{ method: "POST", path: "/v1/runs/{runId}/cancel", rpc: runs.cancelRun, id: "cancelRun" },
    tag: "Runs",
    summary: "Cancel a run",
    description:
      "A run that has started is cleaned up first; one that has not ends immediately. Idempotent.",
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
    summary: "Resume a paused run",
    result: "run",
    about: { runId: RUN_ID },
    errors: TRANSITION,
  }),
  rpcRoute({
    ...{ method: "POST", path: "/v1/runs/{runId}/retry", rpc: runs.retryRun, id: "retryRun" },
    tag: "Runs",
    summary: "Retry a failed run from the step that failed",
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
    description: "A signal that arrives before the wait is kept; first in, first out per name.",
    bodyIs: "payload",
    idempotency: "signalId",
    about: {
      runId: RUN_ID,
      name: "The signal's name.",
      payload: "The signal's value: JSON or raw bytes; an empty body means no value.",
      signalId: "Idempotency id: repeating it does not send the signal twice.",
      actor: "Who sends it; shown in the run's history.",
    },
    errors: ["NOT_FOUND", "RUN_TERMINAL", "IDEMPOTENCY_CONFLICT", "PAYLOAD_TOO_LARGE"],
  }),
  rpcRoute({
    ...{ method: "GET", path: "/v1/runs/{runId}/signals", rpc: signals.listSignals },
    id: "listSignals",
    tag: "Signals",
    summary: "List the signals sent to a run, oldest first",
    about: { runId: RUN_ID, pageSize: PAGE_SIZE, pageToken: PAGE_TOKEN },
    errors: ["NOT_FOUND"],
  }),
];

const waits = WaitService.method;

const WAIT_ID = "The wait's id, as lists of waits have it.";
const ACTOR = "Who does it, for the record.";

const ANSWER = {
  resolutionId: "Idempotency id: repeating it does not answer twice.",
  answer:
    "For a text and a choice a string, for an approval true or false, for a multichoice a list of strings, for a form an object; for a callback anything.",
  skip: "true instead of an answer: declines to answer, if the question allows it.",
  actor: "Who answers.",
  comment: "Shown in the run's history.",
};
const ANSWER_ERRORS = [
  "NOT_FOUND",
  "INVALID_ANSWER",
  "WAIT_ALREADY_RESOLVED",
  "WAIT_CLOSED",
  "PERMISSION_DENIED",
  "RUN_TERMINAL",
] as const;

const waitRoutes: readonly Route[] = [
  rpcRoute({
    ...{ method: "GET", path: "/v1/waits", rpc: waits.listWaits, id: "listWaits", tag: "Waits" },
    summary: "List open waits across runs, oldest first: questions, timers, signals, children",
    about: {
      kinds: "Waits of this kind; may be repeated. `user`: questions to people.",
      assignee: "Only questions that name this assignee.",
      includeUnassigned: "With `assignee`: also questions without assignees.",
      workflow: "Of runs of this workflow.",
      runId: "Of this run.",
      pageSize: PAGE_SIZE,
      pageToken: PAGE_TOKEN,
    },
    errors: [],
  }),
  rpcRoute({
    ...{ method: "GET", path: "/v1/waits/{waitId}", rpc: waits.getWait, id: "getWait" },
    tag: "Waits",
    summary: "Get a wait, open or resolved, and the value that resolved it",
    about: { waitId: WAIT_ID },
    errors: ["NOT_FOUND"],
  }),
  rpcRoute({
    ...{ method: "POST", path: "/v1/waits/{waitId}/answer", rpc: waits.answerWait },
    id: "answerWait",
    tag: "Waits",
    summary: "Answer a question, or resolve a callback",
    idempotency: "resolutionId",
    without: ["runId", "stepKey"],
    about: { waitId: WAIT_ID, ...ANSWER },
    errors: ANSWER_ERRORS,
  }),
  rpcRoute({
    ...{ method: "POST", path: "/v1/runs/{runId}/answer", rpc: waits.answerWait },
    id: "answerRun",
    tag: "Waits",
    summary: "Answer a run's only open question",
    description:
      "If several are open, nothing is answered, and `open_waits` in the problem's metadata lists them.",
    idempotency: "resolutionId",
    without: ["waitId", "stepKey"],
    about: { runId: RUN_ID, ...ANSWER },
    errors: ANSWER_ERRORS,
  }),
  rpcRoute({
    ...{ method: "POST", path: "/v1/waits/{waitId}/cancel", rpc: waits.cancelWait },
    id: "cancelWait",
    tag: "Waits",
    summary: "Cancel a wait",
    result: "wait",
    about: { waitId: WAIT_ID, actor: ACTOR, comment: "Shown in the run's history." },
    errors: ["NOT_FOUND", "WAIT_ALREADY_RESOLVED", "RUN_TERMINAL"],
  }),
  rpcRoute({
    ...{ method: "POST", path: "/v1/waits/{waitId}/links", rpc: waits.createWaitLink },
    id: "createWaitLink",
    tag: "Waits",
    summary: "Create a URL with which one person can answer a question once",
    about: {
      waitId: WAIT_ID,
      assignee: "Who will answer; one of the question's assignees, if it has any.",
      expiresIn: "How long it can be used. Default: 7d, at most 365d.",
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
    summary: "List the registered workflows",
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

const serverRoute = rpcRoute({
  ...{ method: "GET", path: "/v1/server", rpc: ServerService.method.getServer, id: "getServer" },
  tag: "Server",
  summary: "Get the server's version and addresses",
  about: {},
  errors: [],
});

const keys = KeyService.method;
const KEY_ID = "The key's id, which lists show; not the key itself.";

const keyRoutes: readonly Route[] = [
  rpcRoute({
    ...{ method: "POST", path: "/v1/auth/apikeys", rpc: keys.createKey, id: "createKey" },
    tag: "Keys",
    summary: "Create an API key",
    description: "The answer is the only place that has the key itself, as `text`.",
    status: 201,
    about: { expiresIn: "After which it no longer works, such as `2160h`. Default: never." },
    errors: ["NAME_TAKEN"],
  }),
  rpcRoute({
    ...{ method: "GET", path: "/v1/auth/apikeys", rpc: keys.listKeys, id: "listKeys" },
    tag: "Keys",
    summary: "List API keys, newest first",
    about: {},
    errors: [],
  }),
  rpcRoute({
    ...{ method: "DELETE", path: "/v1/auth/apikeys/{keyId}", rpc: keys.revokeKey, id: "revokeKey" },
    tag: "Keys",
    summary: "Revoke an API key",
    about: { keyId: KEY_ID },
    errors: ["NOT_FOUND"],
  }),
  rpcRoute({
    ...{ method: "POST", path: "/v1/auth/apikeys/{keyId}/rotate", rpc: keys.rotateKey },
    id: "rotateKey",
    tag: "Keys",
    summary: "Replace an API key by a new one",
    about: {
      keyId: KEY_ID,
      overlap: "How long the old key continues to work, such as `1h`. Default: `24h`.",
    },
    errors: ["NOT_FOUND", "ILLEGAL_TRANSITION"],
  }),
];

export const ROUTES: readonly Route[] = [
  ...runRoutes,
  eventsRoute,
  allEventsRoute,
  ...stepRoutes,
  ...inboxRoutes,
  ...waitRoutes,
  ...fleetRoutes,
  ...keyRoutes,
  serverRoute,
  payloadRoute(PayloadService.method.getPayload),
];
