/** Events and signals, both ways. */
import { create } from "@bufbuild/protobuf";
import {
  type Event,
  EventClass,
  EventSchema,
  type NewEvent as NewEventProto,
  type SendSignalRequest,
  type Signal,
  SignalSchema,
  type WatchRunRequest,
} from "@pawl/proto";
import type { NewEvent, RunEvent, SignalView, WatchRun } from "../../engine/api.ts";
import { invalid } from "../../model/errors.ts";
import { LIMITS } from "../../model/limits.ts";
import type { Payload } from "../../model/payload.ts";
import { payloadIn, payloadOut, readablePayload, timestamp, timestampOrUnset } from "./common.ts";
import { name, requiredText, runId, text, timestampMs } from "./field.ts";
import { entryOut } from "./run.ts";

const CURSOR_BYTES = 1_024;
const EVENTS_MAX = 10_000;

function newEventIn(event: NewEventProto): NewEvent {
  return {
    type: requiredText("events.type", event.type, LIMITS.nameBytes),
    key: text("events.step_key", event.stepKey, LIMITS.stepKeyBytes),
    attempt: event.attempt,
    contentIndex: event.contentIndex,
    sequence: event.sequence,
    sourceAt:
      event.sourceTimestamp === undefined
        ? 0
        : timestampMs("events.source_timestamp", event.sourceTimestamp),
    parentEventId: text("events.parent_event_id", event.parentEventId, LIMITS.idBytes),
    payload: event.payload === undefined ? undefined : payloadIn("events.payload", event.payload),
  };
}

export function newEventsIn(events: readonly NewEventProto[]): NewEvent[] {
  if (events.length > EVENTS_MAX) throw invalid("events", `has over ${EVENTS_MAX} items`);
  return events.map(newEventIn);
}

export function cursorIn(value: string): string {
  return text("after_cursor", value, CURSOR_BYTES);
}

export function watchRunIn(request: WatchRunRequest): WatchRun {
  if (request.fromNow && request.afterCursor !== "") {
    throw invalid("from_now", "cannot be combined with after_cursor");
  }
  for (const value of request.classes) {
    if (value !== EventClass.CHECKPOINT && value !== EventClass.DELTA) {
      throw invalid("classes", `${value} is not a class of events`);
    }
  }
  const all = request.classes.length === 0;
  return {
    runId: runId(request.runId),
    checkpoints: all || request.classes.includes(EventClass.CHECKPOINT),
    deltas: all || request.classes.includes(EventClass.DELTA),
    afterCursor: cursorIn(request.afterCursor),
    fromNow: request.fromNow,
    waitForStart: request.waitForStart,
  };
}

export function eventOut(event: RunEvent): Event {
  const { entry, delta } = event;
  const source = timestampOrUnset(delta?.sourceAt);
  const served = timestampOrUnset(event.serverAt);
  return create(EventSchema, {
    cursor: event.cursor,
    runId: event.runId,
    eventId: event.eventId,
    type: event.type,
    class: event.class === "delta" ? EventClass.DELTA : EventClass.CHECKPOINT,
    ...(served && { serverTimestamp: served }),
    stepKey: entry?.key ?? delta?.key ?? "",
    attempt: entry?.attempt ?? delta?.attempt ?? 0,
    parentEventId: delta?.parentEventId ?? "",
    contentIndex: delta?.contentIndex ?? 0,
    sequence: delta?.sequence ?? 0,
    ...(source && { sourceTimestamp: source }),
    ...(delta?.payload !== undefined && { payload: payloadOut(delta.payload) }),
    ...(entry !== undefined && { entry: entryOut(entry) }),
  });
}

export interface SignalIn {
  readonly runId: string;
  readonly name: string;
  readonly signalId: string;
  readonly payload: Payload;
  readonly actor: string;
}

export function sendSignalIn(request: SendSignalRequest): SignalIn {
  return {
    runId: runId(request.runId),
    name: requiredText("name", request.name, LIMITS.nameBytes),
    signalId: text("signal_id", request.signalId, LIMITS.idBytes),
    payload: readablePayload("payload", request.payload),
    actor: name("actor", request.actor),
  };
}

export function signalOut(view: SignalView): Signal {
  return create(SignalSchema, {
    name: view.name,
    signalId: view.signalId,
    payload: payloadOut(view.payload),
    actor: view.actor,
    receivedAt: timestamp(view.receivedAt),
    consumedBy: view.consumedBy,
  });
}
