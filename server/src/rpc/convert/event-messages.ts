/** Events and signals, both ways. */
import { isUtf8 } from "node:buffer";
import { create } from "@bufbuild/protobuf";
import {
  DeltaPolicy,
  type Event,
  EventClass,
  EventSchema,
  type ListEventsRequest,
  type ListSignalsRequest,
  type NewEvent as NewEventProto,
  type Payload as PayloadProto,
  type PublishEventsRequest,
  type SendSignalRequest,
  type Signal,
  SignalSchema,
  type WatchRunRequest,
  type WatchRunsRequest,
} from "@pawl/proto";
import type {
  ListEvents,
  ListSignals,
  NewEvent,
  PublishEvents,
  RunEvent,
  SignalView,
  WatchRun,
  WatchRuns,
} from "../../engine/engine-api.ts";
import { BOUNDS } from "../../model/bounds.ts";
import type { DeltaPolicy as DeltaPolicyName } from "../../model/delta.ts";
import { ENTRY_TYPES } from "../../model/entry.ts";
import { invalid, PawlError } from "../../model/errors.ts";
import type { Payload } from "../../model/payload.ts";
import {
  payloadIn,
  payloadOut,
  readablePayload,
  statusIn,
  timestamp,
  timestampOrUnset,
} from "./common-messages.ts";
import { entryOut } from "./entry-codec.ts";
import {
  fence,
  name,
  pageSize,
  payloadTooLarge,
  requiredText,
  runId,
  text,
  timestampMs,
} from "./fields.ts";

const EVENT_PAGE_DEFAULT = 200;
const EVENT_PAGE_MAX = 1_000;
/** One has a place for each child under way. */
const CURSOR_BYTES = 16_384;
const EVENTS_MAX = 10_000;
const NUMBER_MAX = 0x7fff_fffe;
/** A run id, a slash and a step key. */
const PARENT_BYTES = BOUNDS.idBytes + 1 + BOUNDS.stepKeyBytes;

/** Throws where it cannot be taken. */
function newEventIn(event: NewEventProto): NewEvent {
  return {
    type: requiredText("events.type", event.type, BOUNDS.nameBytes),
    key: text("events.step_key", event.stepKey, BOUNDS.stepKeyBytes),
    attempt: event.attempt,
    contentIndex: event.contentIndex,
    sequence: event.sequence,
    sourceAt: event.sourceAt === undefined ? 0 : timestampMs("events.source_at", event.sourceAt),
    parentEventId: text("events.parent_event_id", event.parentEventId, PARENT_BYTES),
    eventId: text("events.event_id", event.eventId, BOUNDS.idBytes),
    policy: policyIn(event.policy),
    payload: event.payload === undefined ? undefined : deltaPayload(event.payload),
  };
}

const POLICIES: readonly DeltaPolicyName[] = ["buffered", "ephemeral", "buffered", "durable"];

function policyIn(value: DeltaPolicy): DeltaPolicyName {
  const policy = POLICIES[value];
  if (policy === undefined) throw invalid("events.policy", `${value} is not known to this server`);
  return policy;
}

function policyOut(policy: DeltaPolicyName): DeltaPolicy {
  if (policy === "ephemeral") return DeltaPolicy.EPHEMERAL;
  return policy === "durable" ? DeltaPolicy.DURABLE : DeltaPolicy.BUFFERED;
}

function deltaPayload(value: PayloadProto): Payload {
  const payload = payloadIn("events.payload", value);
  const size = payload.data?.byteLength ?? 0;
  if (size > BOUNDS.deltaPayloadBytes)
    throw payloadTooLarge("events.payload", size, BOUNDS.deltaPayloadBytes);
  // Watchers decode it without being asked: JSON in name only is told as the bytes that it is.
  return isReadable(payload) ? payload : { ...payload, encoding: "bytes" };
}

function isReadable({ encoding, data }: Payload): boolean {
  if (data === undefined || (encoding !== "json" && encoding !== "json+pawl")) return true;
  if (!isUtf8(data)) return false;
  try {
    JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("utf8"));
    return true;
  } catch {
    return false;
  }
}

/** The number of the first event, 0 where the server is to count. */
function firstIn(first: number, count: number): number {
  if (first + count > NUMBER_MAX) throw invalid("first", "leads beyond 2,147,483,646 events");
  return first;
}

/**
 * One that cannot be taken costs no other: `undefined` stands in its place, and is a gap to watchers.
 * Throws where none can be taken.
 */
function newEventsIn(events: readonly NewEventProto[]): (NewEvent | undefined)[] {
  if (events.length > EVENTS_MAX) throw invalid("events", `has over ${EVENTS_MAX} items`);
  let refusal: PawlError | undefined;
  const taken = events.map((event) => {
    try {
      return newEventIn(event);
    } catch (error) {
      if (!(error instanceof PawlError)) throw error;
      refusal ??= error;
      return undefined;
    }
  });
  if (refusal !== undefined && taken.every((event) => event === undefined)) throw refusal;
  return taken;
}

export function cursorIn(value: string): string {
  return text("after_cursor", value, CURSOR_BYTES);
}

function classesIn(classes: readonly EventClass[]): { checkpoints: boolean; deltas: boolean } {
  for (const value of classes) {
    if (value !== EventClass.CHECKPOINT && value !== EventClass.DELTA) {
      throw invalid("classes", `${value} is not a class of events`);
    }
  }
  const all = classes.length === 0;
  return {
    checkpoints: all || classes.includes(EventClass.CHECKPOINT),
    deltas: all || classes.includes(EventClass.DELTA),
  };
}

export function listEventsIn(request: ListEventsRequest): ListEvents {
  return {
    runId: runId(request.runId),
    ...classesIn(request.classes),
    afterCursor: cursorIn(request.afterCursor),
    pageSize: pageSize(request.pageSize, EVENT_PAGE_DEFAULT, EVENT_PAGE_MAX),
  };
}

export function watchRunIn(request: WatchRunRequest): WatchRun {
  if (request.fromNow && request.afterCursor !== "") {
    throw invalid("from_now", "cannot be combined with after_cursor");
  }
  return {
    runId: runId(request.runId),
    ...classesIn(request.classes),
    afterCursor: cursorIn(request.afterCursor),
    fromNow: request.fromNow,
    waitForStart: request.waitForStart,
    includeChildren: request.includeChildren,
  };
}

const TYPES_MAX = 100;
const FILTER_TAGS_MAX = 8;

export function watchRunsIn(request: WatchRunsRequest): WatchRuns {
  if (request.types.length > TYPES_MAX) throw invalid("types", `has over ${TYPES_MAX} items`);
  if (Object.keys(request.tags).length > FILTER_TAGS_MAX)
    throw invalid("tags", `has over ${FILTER_TAGS_MAX} items`);
  return {
    workflow: name("workflow", request.workflow),
    tags: { ...request.tags },
    statuses: request.statuses.map(statusIn),
    types: request.types.map(typeIn),
    afterCursor: cursorIn(request.afterCursor),
  };
}

function typeIn(value: string): string {
  if (ENTRY_TYPES.some((known) => known === value)) return value;
  const shown = value.slice(0, 100);
  throw invalid("types", `"${shown}" is not a type of checkpoints, such as run.completed`);
}

export function eventOut(event: RunEvent): Event {
  const { entry, delta } = event;
  const source = timestampOrUnset(delta?.sourceAt);
  const at = timestampOrUnset(event.serverAt);
  return create(EventSchema, {
    cursor: event.cursor,
    runId: event.runId,
    eventId: event.eventId,
    type: event.type,
    class: event.class === "delta" ? EventClass.DELTA : EventClass.CHECKPOINT,
    ...(at && { at }),
    stepKey: entry?.key ?? delta?.key ?? "",
    attempt: entry?.attempt ?? delta?.attempt ?? 0,
    parentEventId: event.parentEventId,
    ...(event.merged !== undefined && { merged: event.merged }),
    ...(delta !== undefined && { policy: policyOut(delta.policy) }),
    contentIndex: delta?.contentIndex ?? 0,
    sequence: delta?.sequence ?? 0,
    ...(source && { sourceAt: source }),
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
    name: requiredText("name", request.name, BOUNDS.nameBytes),
    signalId: text("signal_id", request.signalId, BOUNDS.idBytes),
    payload: readablePayload("payload", request.payload),
    actor: name("actor", request.actor),
  };
}

const PAGE_TOKEN_BYTES = 64;

export function listSignalsIn(request: ListSignalsRequest): ListSignals {
  return {
    runId: runId(request.runId),
    pageSize: pageSize(request.pageSize, BOUNDS.listPageDefault, BOUNDS.listPageMax),
    pageToken: text("page_token", request.pageToken, PAGE_TOKEN_BYTES),
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

export function publishEventsIn(request: PublishEventsRequest): PublishEvents {
  const events = newEventsIn(request.events);
  return {
    runId: runId(request.runId),
    fence: fence(request.fence),
    events,
    first: firstIn(request.first, events.length),
  };
}
