import { timestampNow } from "@bufbuild/protobuf/wkt";
import { encode, payloadOf } from "../codec/payload.ts";
import type { NewEventInit } from "./link.ts";
import type { Run } from "./run.ts";
import type { StepBody } from "./step-body.ts";

/** What an event has besides its payload, about. */
const envelopeBytes = 100;

/** An event of live output, and about how large it is; `body`: the attempt of the step that sends it. */
function newEvent(
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

/** Sends live output of a run; `body` is the attempt of the step that it belongs to, if any. */
export function publish(run: Run, type: string, value: unknown, body: StepBody | undefined): void {
  if (run.left) return;
  // At the level of the workflow a replay would send it again.
  if (body === undefined && run.deliveries.replaying) return;
  if (body !== undefined) body.sequence += 1;
  const { event, bytes } = newEvent(type, value, body);
  run.link.publish(run.runId, run.fence, event, bytes);
}
