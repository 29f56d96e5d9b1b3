/** The frames that a worker sends, but for the hot path: those with a reply, those without. */
import type { Reply, WorkerFrame } from "@pawl/proto";
import type { EngineApi, WorkerConnection } from "../engine/engine-api.ts";
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
type Request = Extract<
  Body,
  {
    case:
      | "stepStarted"
      | "stepFailed"
      | "suspendRun"
      | "completeRun"
      | "failRun"
      | "publishEvents"
      | "closeWaits"
      | "beginCleanUp";
  }
>;

/**
 * Hands a request to the engine at once, so that requests keep their order, and returns what to
 * reply. Rejects where the request is malformed or refused.
 */
export async function ask(
  engine: EngineApi,
  caller: Caller,
  body: Request,
): Promise<Reply["result"]> {
  switch (body.case) {
    case "stepStarted": {
      const reply = await engine.steps.start(caller, stepStartedIn(body.value));
      return { case: "stepStarted", value: stepStartedOut(reply) };
    }
    case "stepFailed": {
      const reply = await engine.steps.fail(caller, stepFailedIn(body.value));
      return { case: "stepFailed", value: stepFailedOut(reply) };
    }
    case "suspendRun": {
      const reply = await engine.outcomes.suspend(caller, suspendRunIn(body.value));
      return { case: "suspendRun", value: suspendRunOut(reply) };
    }
    case "completeRun": {
      const reply = await engine.outcomes.complete(caller, completeRunIn(body.value));
      const directive = directiveOut(reply.directive);
      return {
        case: "completeRun",
        value: { $typeName: "pawl.v1.CompleteRunResponse", directive },
      };
    }
    case "failRun": {
      const reply = await engine.outcomes.fail(caller, failRunIn(body.value));
      const directive = directiveOut(reply.directive);
      return { case: "failRun", value: { $typeName: "pawl.v1.FailRunResponse", directive } };
    }
    case "closeWaits": {
      const reply = await engine.outcomes.closeWaits(caller, closeWaitsIn(body.value));
      const directive = directiveOut(reply.directive);
      return { case: "closeWaits", value: { $typeName: "pawl.v1.CloseWaitsResponse", directive } };
    }
    case "beginCleanUp": {
      const reply = await engine.outcomes.beginCleanUp(caller, beginCleanUpIn(body.value));
      const directive = directiveOut(reply.directive);
      return {
        case: "beginCleanUp",
        value: { $typeName: "pawl.v1.BeginCleanUpResponse", directive },
      };
    }
    case "publishEvents": {
      const published = await engine.events.publish(caller, publishEventsIn(body.value));
      return {
        case: "publishEvents",
        value: { $typeName: "pawl.v1.PublishEventsResponse", ...published },
      };
    }
  }
}

/** Applies a frame that steers the connection itself and has no reply. Throws where it is malformed. */
export function steer(worker: WorkerConnection, body: Body): void {
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
