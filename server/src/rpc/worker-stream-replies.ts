/**
 * Replies that are made in several turns of the event loop, such as by reading a payload. What they tell
 * of may be in the journal before what quicker ones tell of, so they have their place before them.
 */
import type { ServerFrame } from "@pawl/proto";
import type { Outbox, Place } from "./worker-stream-outbox.ts";

export interface AwaitedReply {
  readonly key: string;
  place: Place | undefined;
}

export class Replies {
  readonly #outbox: Outbox;
  readonly #awaited = new Map<string, AwaitedReply>();

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  /** A request about a step or wait has arrived. */
  expect(runId: string, stepKey: string): AwaitedReply {
    const reply = { key: keyOf(runId, stepKey), place: undefined };
    this.#awaited.set(reply.key, reply);
    return reply;
  }

  /** What was asked for is on record. */
  reserve(runId: string, stepKey: string, seq: number): void {
    const reply = this.#awaited.get(keyOf(runId, stepKey));
    if (reply !== undefined) reply.place ??= this.#outbox.reserve(runId, seq);
  }

  send(reply: AwaitedReply | undefined, frame: ServerFrame, bytes: number): void {
    if (reply?.place === undefined) this.#outbox.push(frame, bytes);
    else this.#outbox.fill(reply.place, frame, bytes);
  }

  /** It was sent, or there is none. */
  settle(reply: AwaitedReply): void {
    if (this.#awaited.get(reply.key) === reply) this.#awaited.delete(reply.key);
    if (reply.place !== undefined) this.#outbox.fill(reply.place);
  }
}

function keyOf(runId: string, stepKey: string): string {
  return `${runId}\n${stepKey}`;
}
