/** Starting a run, and getting one: the routes that can wait for the outcome, or stream. */
import { create, isMessage, type Message } from "@bufbuild/protobuf";
import {
  RunSchema,
  RunService,
  type StartRunRequest,
  StartRunRequestSchema,
  StartRunResponseSchema,
  WaitRunRequestSchema,
  WaitRunResponseSchema,
  WatchRunRequestSchema,
} from "@pawl/proto";
import { BOUNDS } from "../../model/bounds.ts";
import { duration } from "../../rpc/convert/common-messages.ts";
import { plain } from "../../rpc/plain.ts";
import { EVENT_STREAM, HEARTBEAT, heartbeatOf, RUN_ID, STREAM } from "./event-routes.ts";
import { streamEvents } from "./event-stream.ts";
import type { Schemas } from "./json-schema.ts";
import { parseDuration } from "./read.ts";
import type { RestExchange } from "./rest-exchange.ts";
import {
  JSON_TYPE,
  type Operation,
  queryText,
  type Route,
  type Services,
  textParameter,
} from "./route.ts";
import { operationOf, type RpcRoute, readRequest } from "./rpc-route.ts";

const WAIT = textParameter(
  "wait",
  "query",
  "Respond when the run has ended, or after this long (at most 60s), whichever comes first.",
  { type: "string", examples: ["30s"] },
);

const KEY = ": a template in which `{customerId}` stands for that property of the input.";

const START: RpcRoute = {
  method: "POST",
  path: "/v1/workflows/{workflow}/runs",
  rpc: RunService.method.startRun,
  id: "startRun",
  tag: "Runs",
  summary: "Start a run",
  description:
    "The body is the workflow's input. Idempotent by `runId` or `Idempotency-Key`: a request with " +
    "the same content returns the existing run. With `Accept: text/event-stream` the response is " +
    "the stream of the run's events.",
  bodyIs: "input",
  idempotency: "idempotencyKey",
  without: ["parent", "parentFence", "parentClosePolicy", "traceparent", "claim", "workerId"],
  about: {
    workflow: "The workflow's name.",
    input: "The input: JSON or raw bytes; an empty body means no input.",
    runId: "1 to 200 bytes of letters, digits and -_.:~%/@. Default: a new UUIDv7.",
    idempotencyKey: "Instead of a run id: identifies the start within the organization.",
    queue: "The queue of the run. Default: `default`.",
    priority: "0 to 9, higher first. Default: 5.",
    version: "Pins the run to a version of the workflow. Default: any.",
    sessionId: "The user's conversation, recorded and shown in lists.",
    userId: "The user, recorded and shown in lists.",
    tags: "A tag, as KEY=VALUE; may be repeated.",
    delay: "The run does not start before this delay has passed. Not with `startAt`.",
    startAt: "The run does not start before this time. Not with `delay`.",
    "timeouts.run": "Time limit of the run; when exceeded, it is cleaned up and fails.",
    "timeouts.queue": "How long the run may wait for its first worker; then it fails.",
    "flow.concurrency.limit": "Maximum number of concurrent runs of the workflow, 1 to 100,000.",
    "flow.concurrency.key": `Runs with different keys are limited separately${KEY}`,
    "flow.rate.limit": "Maximum number of starts in any period, 1 to 100,000.",
    "flow.rate.period": "The period of the rate, 1 ms to 31 days.",
    "flow.rate.key": `Runs with different keys are limited separately${KEY}`,
    "flow.fairnessKey": `Queued runs are started round-robin across these keys${KEY}`,
    "debounce.key": "Merges starts with this key that arrive within the period into one run.",
    "debounce.period":
      "The run starts once no further start has arrived for this long, with the latest input.",
    "debounce.maxWait": "The run starts at the latest this long after the first start.",
  },
  errors: [
    "NOT_FOUND",
    "RUN_EXISTS",
    "IDEMPOTENCY_CONFLICT",
    "INVALID_INPUT",
    "PAYLOAD_TOO_LARGE",
    "RATE_LIMITED",
  ],
};

const startBase = operationOf(START);
const startedSchema = (schemas: Schemas) =>
  schemas.add("StartedRun", {
    allOf: [schemas.ref(RunSchema)],
    type: "object",
    properties: {
      existing: { type: "boolean", description: "Whether the run existed before this call." },
    },
    required: ["existing"],
  });
const location = { Location: "The path of the run." };

const startOperation: Operation = {
  ...startBase,
  parameters: [
    ...startBase.parameters,
    WAIT,
    textParameter("traceparent", "header", "W3C trace context."),
    HEARTBEAT,
  ],
  answers: [
    {
      status: 200,
      description: "The run already existed, ended within `wait`, or is streamed.",
      content: { [JSON_TYPE]: startedSchema, ...STREAM },
      headers: location,
    },
    {
      status: 201,
      description: "Started.",
      content: { [JSON_TYPE]: startedSchema },
      headers: location,
    },
    {
      status: 202,
      description: "It has not ended within `wait`.",
      content: { [JSON_TYPE]: startedSchema },
      headers: location,
    },
  ],
};

export const startRoute: Route = {
  operation: startOperation,
  async serve(exchange, services) {
    const waitMs = waitOf(exchange);
    const heartbeatMs = heartbeatOf(exchange);
    const request = await readRequest(START, exchange, ["wait", "heartbeat"]);
    const traced = withTrace(request, exchange.header("traceparent"));
    const started = await services.unary(START.rpc).call(traced, exchange.context);
    if (!isMessage(started, StartRunResponseSchema) || started.run === undefined) {
      throw new Error("A start was answered without a run.");
    }
    const { run, existing } = started;
    const headers = { location: `/v1/runs/${encodeURIComponent(run.runId)}` };
    if (exchange.accepts(EVENT_STREAM)) {
      const watch = create(WatchRunRequestSchema, { runId: run.runId });
      const named = { ...headers, "content-location": `${headers.location}/events` };
      await streamEvents(exchange, services, { request: watch, heartbeatMs, headers: named });
      return;
    }
    if (waitMs === undefined) {
      exchange.json(existing ? 200 : 201, { ...plain(RunSchema, run), existing }, headers);
      return;
    }
    const now = await waitFor(exchange, services, run.runId, waitMs);
    exchange.json(now.endedAt ? 200 : 202, { ...plain(RunSchema, now), existing }, headers);
  },
};

function withTrace(request: Message, traceparent: string): Message {
  if (!isMessage(request, StartRunRequestSchema) || traceparent === "") return request;
  const traced: StartRunRequest = { ...request, traceparent };
  return traced;
}

function waitOf(exchange: RestExchange): number | undefined {
  const text = queryText(exchange.search, "wait");
  if (text === undefined) return undefined;
  return Math.min(parseDuration("wait", text), BOUNDS.waitRunMs);
}

async function waitFor(exchange: RestExchange, services: Services, runId: string, ms: number) {
  const request = create(WaitRunRequestSchema, { runId, timeout: duration(ms) });
  const response = await services.unary(RunService.method.waitRun).call(request, exchange.context);
  if (!isMessage(response, WaitRunResponseSchema) || response.run === undefined) {
    throw new Error("A wait was answered without a run.");
  }
  return response.run;
}

const GET_RUN: RpcRoute = {
  method: "GET",
  path: "/v1/runs/{runId}",
  rpc: RunService.method.getRun,
  id: "getRun",
  tag: "Runs",
  summary: "Get a run",
  result: "run",
  about: {
    runId: RUN_ID,
    view: "`basic`: without input, output and failure. `full`: with them, which is the default.",
  },
  errors: ["NOT_FOUND"],
};
const getBase = operationOf(GET_RUN);

export const getRunRoute: Route = {
  operation: {
    ...getBase,
    parameters: [...getBase.parameters, WAIT],
  },
  async serve(exchange, services) {
    const waitMs = waitOf(exchange);
    const request = await readRequest(GET_RUN, exchange, ["wait"]);
    if (waitMs !== undefined)
      await waitFor(exchange, services, exchange.params.runId ?? "", waitMs);
    const response = await services.unary(GET_RUN.rpc).call(request, exchange.context);
    exchange.json(200, plain(GET_RUN.rpc.output, response).run ?? null);
  },
};
