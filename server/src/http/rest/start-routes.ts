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
import { LIMITS } from "../../model/limits.ts";
import { duration } from "../../rpc/convert/common.ts";
import { EVENT_STREAM, HEARTBEAT, heartbeatOf, RUN_ID, STREAM } from "./event-routes.ts";
import { streamEvents } from "./event-stream.ts";
import type { Exchange } from "./exchange.ts";
import { plain } from "./plain.ts";
import { parseDuration } from "./read.ts";
import {
  JSON_TYPE,
  type Operation,
  queryText,
  type Route,
  type Services,
  textParameter,
} from "./route.ts";
import { operationOf, type RpcRoute, readRequest } from "./rpc-route.ts";
import type { Schemas } from "./schema.ts";

const WAIT = textParameter(
  "wait",
  "query",
  "Answer when the run has ended, or after this long (at most 60s), whichever comes first.",
  { type: "string", examples: ["30s"] },
);

const KEY = ": a text in which `{customerId}` stands for that property of the input.";

const START: RpcRoute = {
  method: "POST",
  path: "/v1/workflows/{workflow}/runs",
  rpc: RunService.method.startRun,
  id: "startRun",
  tag: "Runs",
  summary: "Start a run",
  description:
    "The body is the workflow's input. Idempotent by `runId` or `Idempotency-Key`: the same " +
    "content again answers with the run that is there. With `Accept: text/event-stream` the " +
    "answer is the stream of the run's events.",
  bodyIs: "input",
  idempotency: "idempotencyKey",
  without: ["parent", "parentFence", "parentClosePolicy", "traceparent", "claim", "workerId"],
  about: {
    workflow: "The workflow's name.",
    input: "The input: JSON, or raw bytes; none at all is no input.",
    runId: "1 to 200 bytes of letters, digits and -_.:~%/@; a UUIDv7 by default.",
    idempotencyKey: "Instead of a run id: names the run for the whole organization.",
    queue: "`default` by default.",
    priority: "0 to 9, higher first; 5 by default.",
    version: "Pins the run to a version of the workflow.",
    sessionId: "For the record, and for lists.",
    userId: "For the record, and for lists.",
    tags: "A tag, as KEY=VALUE; may be repeated.",
    delay: "Not before this long from now; or",
    startAt: "not before this moment.",
    "timeouts.run": "From now to the end; over it the run is cleaned up and has failed.",
    "timeouts.queue": "From being ready to the first lease; over it the run has failed.",
    "flow.concurrency.limit":
      "How many runs of the workflow may be under way at once, 1 to 100,000.",
    "flow.concurrency.key": `What has such a limit of its own${KEY}`,
    "flow.rate.limit": "How many may start in any period, 1 to 100,000.",
    "flow.rate.period": "Of the rate, 1 ms to 31 days.",
    "flow.rate.key": `What has such a rate of its own${KEY}`,
    "flow.fairnessKey": `What takes turns where the concurrency holds runs back${KEY}`,
    "debounce.key": "Joins this start with those of this key that come within the period.",
    "debounce.period": "The run starts when none has arrived for so long, with the last input.",
    "debounce.maxWait": "It starts this long after its first start at the latest.",
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
      existing: { type: "boolean", description: "The run was there before this call." },
    },
    required: ["existing"],
  });
const location = { Location: "Where the run is." };

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
      description: "The run was there already, has ended within `wait`, or is streamed.",
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

function waitOf(exchange: Exchange): number | undefined {
  const text = queryText(exchange.search, "wait");
  if (text === undefined) return undefined;
  return Math.min(parseDuration("wait", text), LIMITS.waitRunMs);
}

async function waitFor(exchange: Exchange, services: Services, runId: string, ms: number) {
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
  about: { runId: RUN_ID },
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
