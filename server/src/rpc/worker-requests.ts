/** The frames that a worker sends, but for the hot path: those with a reply, those without. */
import type { Reply, WorkerFrame } from "@pawl/proto";
import type { EngineApi, OutcomeReply, WorkerConnection } from "../engine/engine-api.ts";
import { BOUNDS } from "../model/bounds.ts";
import type { Caller } from "../model/caller.ts";
import { invalid } from "../model/errors.ts";
import { directiveOut } from "./convert/common-messages.ts";
import { publishEventsIn } from "./convert/event-messages.ts";
import { fence, runId, text } from "./convert/fields.ts";
import {
  stepFailedIn,
  stepFailedOut,
  stepStartedIn,
  stepStartedOut,
} from "./convert/step-messages.ts";
import {
  beginCleanUpIn,
  closeWaitsIn,
  completeRunIn,
  failRunIn,
  suspendRunIn,
  suspendRunOut,
} from "./convert/worker-messages.ts";

type Body = WorkerFrame["body"];
type Result = Reply["result"];

/** The requests that a worker can send as a call or as a frame; a completed step has a path of its own. */
type Name = Exclude<Extract<Body["case"], Result["case"]>, "stepCompleted" | undefined>;
type Request<N extends Name> = Extract<Body, { case: N }>;

/** Reads a request, hands it to the engine, and writes what the engine returns. */
type Requests = {
  readonly [N in Name]: (
    engine: EngineApi,
    caller: Caller,
    request: Request<N>["value"],
  ) => Promise<Extract<Result, { case: N }>>;
};

/** Both transports use these: the unary RPCs and the stream. */
export const WORKER_REQUESTS: Requests = {
  async stepStarted({ steps }, caller, request) {
    const reply = await steps.start(caller, stepStartedIn(request));
    return { case: "stepStarted", value: stepStartedOut(reply) };
  },
  async stepFailed({ steps }, caller, request) {
    const reply = await steps.fail(caller, stepFailedIn(request));
    return { case: "stepFailed", value: stepFailedOut(reply) };
  },
  async suspendRun({ outcomes }, caller, request) {
    const reply = await outcomes.suspend(caller, suspendRunIn(request));
    return { case: "suspendRun", value: suspendRunOut(reply) };
  },
  async completeRun({ outcomes }, caller, request) {
    const directive = next(await outcomes.complete(caller, completeRunIn(request)));
    return { case: "completeRun", value: { $typeName: "pawl.v1.CompleteRunResponse", directive } };
  },
  async failRun({ outcomes }, caller, request) {
    const directive = next(await outcomes.fail(caller, failRunIn(request)));
    return { case: "failRun", value: { $typeName: "pawl.v1.FailRunResponse", directive } };
  },
  async closeWaits({ outcomes }, caller, request) {
    const directive = next(await outcomes.closeWaits(caller, closeWaitsIn(request)));
    return { case: "closeWaits", value: { $typeName: "pawl.v1.CloseWaitsResponse", directive } };
  },
  async beginCleanUp({ outcomes }, caller, request) {
    const directive = next(await outcomes.beginCleanUp(caller, beginCleanUpIn(request)));
    return {
      case: "beginCleanUp",
      value: { $typeName: "pawl.v1.BeginCleanUpResponse", directive },
    };
  },
  async publishEvents({ events }, caller, request) {
    const published = await events.publish(caller, publishEventsIn(request));
    return {
      case: "publishEvents",
      value: { $typeName: "pawl.v1.PublishEventsResponse", ...published },
    };
  },
};

function next({ directive }: OutcomeReply): ReturnType<typeof directiveOut> {
  return directiveOut(directive);
}

/**
 * Hands a request to the engine at once, so that requests keep their order, and returns what to
 * reply. Rejects where the request is malformed or refused.
 */
export function handleRequest<N extends Name>(
  engine: EngineApi,
  caller: Caller,
  body: { [K in N]: { readonly case: K; readonly value: Request<K>["value"] } }[N],
): Promise<Result> {
  return WORKER_REQUESTS[body.case](engine, caller, body.value);
}

/** Applies a frame that steers the connection itself and has no reply. Throws where it is malformed. */
export function applyControlFrame(worker: WorkerConnection, body: Body): void {
  switch (body.case) {
    case "credits":
      worker.credits(body.value.count);
      return;
    case "dispatchAck":
      worker.ack(runId(body.value.runId), fence(body.value.fence));
      return;
    case "nack": {
      const reason = text("reason", body.value.reason, BOUNDS.failureMessageBytes);
      worker.nack(runId(body.value.runId), fence(body.value.fence), reason);
      return;
    }
    case "draining":
      worker.draining();
      return;
    case "pong":
      return;
    case "hello":
      throw invalid("hello", "was already sent; a connection has exactly one Hello");
    default:
      throw invalid("body", "is a frame that this server does not know");
  }
}
