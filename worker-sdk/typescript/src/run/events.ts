import { timestampNow } from "@bufbuild/protobuf/wkt";
import { DeltaPolicy } from "@pawl/proto";
import { encode, payloadOf } from "../codec/payload.ts";
import { countMax, wholeNumber } from "../lib/options.ts";
import { checkText } from "./keys.ts";
import type { NewEventInit } from "./link.ts";
import type { Run } from "./run.ts";
import type { StepBody } from "./step-body.ts";
import type { Keep } from "./stream-event.ts";

/** What an event has besides its payload, about. */
const envelopeBytes = 100;

const policies = {
  ephemeral: DeltaPolicy.EPHEMERAL,
  buffered: DeltaPolicy.BUFFERED,
  durable: DeltaPolicy.DURABLE,
} as const;

/** Where an event belongs. */
export interface EventPlace {
  /** The attempt of the step that sends it, if any. */
  readonly body: StepBody | undefined;
  /** The event or scope that it belongs to; empty: the step, or the run. */
  readonly parentEventId?: string | undefined;
  /** Its own id, where others name it as their parent. */
  readonly eventId?: string | undefined;
  /** Tells parallel streams of one step apart. */
  readonly contentIndex?: number | undefined;
  readonly keep?: Keep | undefined;
}

/** Sends live output of a run. */
export function publish(run: Run, type: string, value: unknown, place: EventPlace): void {
  const { body } = place;
  if (run.left || body?.operation.isAborted === true) return;
  if (body === undefined) run.said += 1;
  // At the level of the workflow a replay would send it again; what comes after the last record is new.
  const { replaying, lastSeq } = run.deliveries;
  if (body === undefined && replaying && lastSeq < run.memo.lastRecordSeq) return;
  const { contentIndex, parentEventId, eventId } = place;
  if (contentIndex !== undefined) wholeNumber("contentIndex", contentIndex, 0, countMax);
  if (parentEventId !== undefined) checkText(`the parent of an event "${type}"`, parentEventId);
  if (eventId !== undefined) checkText(`the id of an event "${type}"`, eventId);
  const encoded = encode(value, `an event "${type}"`);
  const event: NewEventInit = {
    type,
    payload: payloadOf(encoded),
    sourceAt: timestampNow(),
  };
  // Counted from the beginning of the code, so that the server knows what it says a second time.
  if (body === undefined) event.sequence = run.said;
  else {
    body.sequence += 1;
    event.stepKey = body.operation.key;
    event.attempt = body.attempt;
    event.sequence = body.sequence;
  }
  if (parentEventId !== undefined) event.parentEventId = parentEventId;
  if (eventId !== undefined) event.eventId = eventId;
  if (contentIndex !== undefined) event.contentIndex = contentIndex;
  if (place.keep !== undefined) event.policy = policies[place.keep];
  const bytes = encoded.data.length + envelopeBytes;
  const number = run.link.publish(run.runId, run.fence, event, bytes);
  if (body !== undefined) body.operation.deltas = number;
}
