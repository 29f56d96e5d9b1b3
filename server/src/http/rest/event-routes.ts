/** Events of a run, as a stream or as a page, and of all runs. */
import {
  EventSchema,
  EventService,
  ListEventsRequestSchema,
  ListEventsResponseSchema,
  WatchRunRequestSchema,
  WatchRunsRequestSchema,
} from "@pawl/proto";
import { BOUNDS } from "../../model/bounds.ts";
import { invalid } from "../../model/errors.ts";
import { plain } from "../../rpc/plain.ts";
import { streamEvents, streamRuns } from "./event-stream.ts";
import type { Schemas } from "./json-schema.ts";
import { parseDuration, readMessage } from "./read.ts";
import type { RestExchange } from "./rest-exchange.ts";
import {
  fieldOf,
  JSON_TYPE,
  type Operation,
  type Parameter,
  parameterOf,
  queryText,
  type Route,
  readQuery,
  type Services,
  textParameter,
} from "./route.ts";

export const EVENT_STREAM = "text/event-stream";
export const RUN_ID = "The run's id, percent-encoded.";

export const HEARTBEAT = textParameter(
  "heartbeat",
  "query",
  "Of a stream: how often a quiet one sends a comment; 1s to 60s, 15s by default.",
  { type: "string", examples: ["15s"] },
);

export const STREAM = {
  [EVENT_STREAM]: (schemas: Schemas) => ({
    type: "string",
    description:
      "Server-Sent Events: `id:` is the event's cursor, `event:` its type, and `data:` the JSON of " +
      "an Event. Ends after the run's last event. `stream.error` carries a Problem.",
    contentMediaType: EVENT_STREAM,
    contentSchema: schemas.ref(EventSchema),
  }),
};

/** In ms, as the client asks. */
export function heartbeatOf(exchange: RestExchange): number {
  const text = queryText(exchange.search, "heartbeat");
  if (text === undefined) return BOUNDS.eventStreamHeartbeatMs;
  const ms = parseDuration("heartbeat", text);
  if (ms < 1_000 || ms > BOUNDS.eventStreamHeartbeatMaxMs) {
    throw invalid("heartbeat", `is ${text}; it must be between 1s and 60s`);
  }
  return ms;
}

const watchField = (name: string) => fieldOf(WatchRunRequestSchema, name);

const eventParameters: readonly Parameter[] = [
  parameterOf(watchField("runId"), "path", RUN_ID),
  textParameter(
    "after",
    "query",
    "Continue after the event with this cursor. Default: from the start.",
  ),
  textParameter("Last-Event-ID", "header", "The same, as browsers send it; overrides `after`."),
  parameterOf(
    watchField("classes"),
    "query",
    "`checkpoint` (the journal) or `delta` (live output). Default: both.",
  ),
  parameterOf(watchField("fromNow"), "query", "For a stream: only events from now on."),
  parameterOf(
    watchField("waitForStart"),
    "query",
    "For a stream: wait for a run that does not exist yet, instead of 404.",
  ),
  parameterOf(
    watchField("includeChildren"),
    "query",
    "For a stream: include events of all descendant runs; `runId` identifies the source.",
  ),
  HEARTBEAT,
  parameterOf(
    fieldOf(ListEventsRequestSchema, "pageSize"),
    "query",
    "For a page: 1 to 1,000. Default: 200.",
  ),
];

const eventsOperation: Operation = {
  method: "GET",
  path: "/v1/runs/{runId}/events",
  id: "watchRun",
  tag: "Events",
  summary: "Follow a run, or read its events",
  description:
    "Returns a stream of Server-Sent Events: past events first, then live ones, until the run has " +
    "ended. With `Accept: application/json` it returns a page of past events instead.",
  parameters: eventParameters,
  answers: [
    {
      status: 200,
      description: "The stream, or a page.",
      content: {
        ...STREAM,
        [JSON_TYPE]: (schemas) => schemas.ref(ListEventsResponseSchema),
      },
    },
    { status: 204, description: "The run has ended, and there are no (more) events." },
  ],
  errors: ["NOT_FOUND", "CURSOR_EXPIRED", "SLOW_CONSUMER", "RATE_LIMITED"],
};

const WATCH_NAMES = ["classes", "fromNow", "waitForStart", "includeChildren"];

export const eventsRoute: Route = {
  operation: eventsOperation,
  async serve(exchange, services) {
    const runId = exchange.params.runId ?? "";
    const after = exchange.header("last-event-id") || (queryText(exchange.search, "after") ?? "");
    if (exchange.accepts(JSON_TYPE) && !exchange.accepts(EVENT_STREAM)) {
      await sendPage(exchange, services, runId, after);
      return;
    }
    const others = ["after", "heartbeat"];
    const json = readQuery(WatchRunRequestSchema, WATCH_NAMES, exchange.search, others);
    // A browser comes back to the URL that it started with, and to its place.
    const cameBack = exchange.header("last-event-id") ? { fromNow: false } : {};
    const fields = { ...json, ...cameBack, runId, afterCursor: after };
    const request = readMessage(WatchRunRequestSchema, fields);
    const heartbeatMs = heartbeatOf(exchange);
    await streamEvents(exchange, services, { request, heartbeatMs, refuses: true });
  },
};

async function sendPage(
  exchange: RestExchange,
  services: Services,
  runId: string,
  afterCursor: string,
): Promise<void> {
  const names = ["pageSize", "classes"];
  const json = readQuery(ListEventsRequestSchema, names, exchange.search, ["after"]);
  const request = readMessage(ListEventsRequestSchema, { ...json, runId, afterCursor });
  const page = await services.unary(EventService.method.listEvents).call(request, exchange.context);
  exchange.json(200, plain(ListEventsResponseSchema, page));
}

const RUNS_NAMES = ["workflow", "tags", "statuses", "types"];
const runsField = (name: string) => fieldOf(WatchRunsRequestSchema, name);

export const allEventsRoute: Route = {
  operation: {
    method: "GET",
    path: "/v1/events",
    id: "watchRuns",
    tag: "Events",
    summary: "Follow the checkpoints of all runs, for exporters",
    description:
      "Returns a stream of Server-Sent Events that does not end by itself: each checkpoint at " +
      "least once, in order within its run; `eventId` identifies duplicates. If several events " +
      "arrive together, the last of them has the `id:` to continue from.",
    parameters: [
      parameterOf(runsField("workflow"), "query", "Runs of this workflow."),
      parameterOf(runsField("tags"), "query", "Runs with this tag, as KEY=VALUE; may be repeated."),
      parameterOf(runsField("statuses"), "query", "Runs with this status; may be repeated."),
      parameterOf(runsField("types"), "query", "Events of this type; may be repeated."),
      textParameter("after", "query", "Continue after this id. Default: from now on."),
      textParameter("Last-Event-ID", "header", "The same, as browsers send it; overrides `after`."),
      HEARTBEAT,
    ],
    answers: [{ status: 200, description: "The stream.", content: STREAM }],
    errors: ["CURSOR_EXPIRED", "SLOW_CONSUMER", "RATE_LIMITED"],
  },
  async serve(exchange, services) {
    const { search } = exchange;
    const json = readQuery(WatchRunsRequestSchema, RUNS_NAMES, search, ["after", "heartbeat"]);
    const afterCursor = exchange.header("last-event-id") || (queryText(search, "after") ?? "");
    const request = readMessage(WatchRunsRequestSchema, { ...json, afterCursor });
    const heartbeatMs = heartbeatOf(exchange);
    await streamRuns(exchange, services, { request, heartbeatMs, refuses: true });
  },
};
