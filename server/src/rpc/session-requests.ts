/** The frames that a worker sends, but for the hot path: those with a reply, those without. */
import type { Reply, WorkerFrame } from "@pawl/proto";
import type { EngineApi, WorkerSession } from "../engine/api.ts";
import type { Caller } from "../model/caller.ts";
import { invalid } from "../model/errors.ts";
import { LIMITS } from "../model/limits.ts";
import { directiveOut } from "./convert/common.ts";
import { firstIn, newEventsIn } from "./convert/event.ts";
import { fence, runId, text } from "./convert/field.ts";
import { stepFailedIn, stepFailedOut, stepStartedIn, stepStartedOut } from "./convert/step.ts";
import {
  beginCleanUpIn,
  closeWaitsIn,
  completeRunIn,
  failRunIn,
  suspendRunIn,
  suspendRunOut,
} from "./convert/worker.ts";

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
      const reply = await engine.stepStarted(caller, stepStartedIn(body.value));
      return { case: "stepStarted", value: stepStartedOut(reply) };
    }
    case "stepFailed": {
      const reply = await engine.stepFailed(caller, stepFailedIn(body.value));
      return { case: "stepFailed", value: stepFailedOut(reply) };
    }
    case "suspendRun": {
      const reply = await engine.suspendRun(caller, suspendRunIn(body.value));
      return { case: "suspendRun", value: suspendRunOut(reply) };
    }
    case "completeRun": {
      const reply = await engine.completeRun(caller, completeRunIn(body.value));
      const directive = directiveOut(reply.directive);
      return {
        case: "completeRun",
        value: { $typeName: "pawl.v1.CompleteRunResponse", directive },
      };
    }
    case "failRun": {
      const reply = await engine.failRun(caller, failRunIn(body.value));
      const directive = directiveOut(reply.directive);
      return { case: "failRun", value: { $typeName: "pawl.v1.FailRunResponse", directive } };
    }
    case "closeWaits": {
      const reply = await engine.closeWaits(caller, closeWaitsIn(body.value));
      const directive = directiveOut(reply.directive);
      return { case: "closeWaits", value: { $typeName: "pawl.v1.CloseWaitsResponse", directive } };
    }
    case "beginCleanUp": {
      const reply = await engine.beginCleanUp(caller, beginCleanUpIn(body.value));
      const directive = directiveOut(reply.directive);
      return {
        case: "beginCleanUp",
        value: { $typeName: "pawl.v1.BeginCleanUpResponse", directive },
      };
    }
    case "publishEvents": {
      const { value } = body;
      const events = newEventsIn(value.events);
      const published = await engine.publishEvents(
        caller,
        runId(value.runId),
        fence(value.fence),
        events,
        firstIn(value.first, events.length),
      );
      return {
        case: "publishEvents",
        value: { $typeName: "pawl.v1.PublishEventsResponse", ...published },
      };
    }
  }
}

/** Applies a frame that steers the session itself and has no reply. Throws where it is malformed. */
export function steer(worker: WorkerSession, body: Body): void {
  switch (body.case) {
    case "credits":
      worker.credits(body.value.count);
      return;
    case "dispatchAck":
      worker.ack(runId(body.value.runId), fence(body.value.fence));
      return;
    case "nack": {
      const reason = text("reason", body.value.reason, LIMITS.failureMessageBytes);
      worker.nack(runId(body.value.runId), fence(body.value.fence), reason);
      return;
    }
    case "draining":
      worker.draining();
      return;
    case "pong":
      return;
    case "hello":
      throw invalid("hello", "was already sent; a session has exactly one Hello");
    default:
      throw invalid("body", "is a frame that this server does not know");
  }
}
