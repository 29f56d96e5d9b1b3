/**
 * Requests of a session that wait for their replies, to be sent again on a new stream.
 *
 * After a stream was refused they are sent again a few at a time: a large one only when nothing else
 * is without an answer. So each gets through that can, and if that stream is refused as well, it is
 * known whose fault it was.
 */
import type { Reply } from "@pawl/proto";
import { RequestError } from "../errors.ts";
import { limits } from "../limits.ts";
import { errorFromFrame, unavailableError } from "../transport/status.ts";
import type { FrameInit } from "./outbox.ts";

type Results = {
  [R in Reply["result"] as Exclude<R["case"], undefined | "error">]: R extends { value: infer V }
    ? V
    : never;
};
type ResultCase = keyof Results;
export type ResultOf<C extends ResultCase> = Results[C];

interface Pending {
  readonly runId: string;
  readonly frame: FrameInit;
  readonly bytes: number;
  /** It left on the stream that is open, or was the last. */
  sent: boolean;
  /** How many streams ended in an error while it was the only large request on them without an answer. */
  endings: number;
  settle(result: Reply["result"]): void;
  reject(error: RequestError): void;
}

/** Takes a frame to be sent; false where there is no stream. */
type Send = (frame: FrameInit, bytes: number) => boolean;

/** The one after it is the heartbeats'. */
const idsMax = 0xffff_fffe;

export class Calls {
  readonly #send: Send;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  /** A stream was refused, and not all requests have been sent again since. */
  #careful = false;

  constructor(send: Send) {
    this.#send = send;
  }

  /** Notes a request; its frame is sent now, and again after each reconnection. */
  open<C extends ResultCase>(
    runId: string,
    body: FrameInit["body"] & object,
    bytes: number,
    expected: C,
  ): Promise<ResultOf<C>> {
    const id = this.#nextId;
    this.#nextId = id === idsMax ? 1 : id + 1;
    const frame: FrameInit = { id, body };
    return new Promise<ResultOf<C>>((resolve, reject) => {
      const settle = (result: Reply["result"]): void => {
        if (result.case === "error") reject(errorFromFrame(result.value));
        else if (result.case === expected) resolve(result.value as ResultOf<C>);
        else reject(unavailableError(`the server answered a request with "${result.case}"`));
      };
      const pending = { runId, frame, bytes, sent: false, endings: 0, settle, reject };
      this.#pending.set(id, pending);
      if (!this.#careful) pending.sent = this.#send(frame, bytes);
    });
  }

  /** Hands a reply to the waiting caller; false if nobody does. */
  settle(reply: Reply): boolean {
    const pending = this.#pending.get(reply.id);
    if (pending === undefined) return false;
    this.#pending.delete(reply.id);
    pending.settle(reply.result);
    if (this.#careful) this.#sendSome();
    return true;
  }

  /** Sends all again on a new stream, in their order. */
  resend(): void {
    for (const pending of this.#pending.values()) pending.sent = false;
    this.#sendSome();
  }

  #sendSome(): void {
    let open = 0;
    for (const { sent, bytes } of this.#pending.values()) if (sent) open += bytes;
    for (const pending of this.#pending.values()) {
      if (pending.sent) continue;
      open += pending.bytes;
      if (this.#careful && open > pending.bytes && open > limits.suspectFrameBytes) return;
      pending.sent = this.#send(pending.frame, pending.bytes);
      if (!pending.sent) return;
    }
    this.#careful = false;
  }

  /** Fails the request of that id, which cannot be sent; false if nobody waits for it. */
  refuse(id: number, error: RequestError): boolean {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.reject(error);
    if (this.#careful) this.#sendSome();
    return pending !== undefined;
  }

  /**
   * A stream ended in an error that is not a lost connection. Proxies end it so when a message, or all
   * of a stream's together, is over their limit: a large request that got no answer may never get
   * through. It fails when that has happened a few times while no other could be the reason.
   */
  streamRefused(error: Error): RequestError | undefined {
    const large = [...this.#pending].filter(
      ([, { sent, bytes }]) => sent && bytes > limits.suspectFrameBytes,
    );
    const [suspect] = large;
    this.#careful = suspect !== undefined;
    if (suspect === undefined || large.length > 1) return undefined;
    const [id, pending] = suspect;
    pending.endings += 1;
    if (pending.endings < limits.suspectFrameTries) return undefined;
    const refusal = new RequestError({
      reason: "PAYLOAD_TOO_LARGE",
      message: `a message of ${pending.bytes} bytes ended the connection ${pending.endings} times (${error.message}); a proxy on the way may bound request bodies, as nginx does with client_max_body_size`,
      code: 3,
      cause: error,
    });
    this.refuse(id, refusal);
    return refusal;
  }

  /** Forgets the requests of a run that is gone; their promises never settle. */
  forget(runId: string): void {
    for (const [id, pending] of this.#pending) {
      if (pending.runId === runId) this.#pending.delete(id);
    }
    if (this.#careful) this.#sendSome();
  }

  get size(): number {
    return this.#pending.size;
  }
}
