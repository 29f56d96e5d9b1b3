import { timestampNow } from "@bufbuild/protobuf/wkt";
import { encode, payloadOf } from "../codec/payload.ts";
import type { NewEventInit } from "./link.ts";
import type { StepBody } from "./step-body.ts";

/** What an event has besides its payload, about. */
const envelopeBytes = 100;

/** An event of live output, and about how large it is; `body`: the attempt of the step that sends it. */
export function newEvent(
  type: string,
  value: unknown,
  body: StepBody | undefined,
): { event: NewEventInit; bytes: number } {
  const encoded = encode(value, `an event "${type}"`);
  const event: NewEventInit = {
    type,
    payload: payloadOf(encoded),
    sourceTimestamp: timestampNow(),
  };
  if (body !== undefined) {
    event.stepKey = body.operation.key;
    event.attempt = body.attempt;
    event.sequence = body.sequence;
  }
  return { event, bytes: encoded.data.length + envelopeBytes };
}
