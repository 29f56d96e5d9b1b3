/** Requests of a session that wait for their replies, to be sent again on a new stream. */
import type { Reply } from "@pawl/proto";
import { PawlError } from "../errors.ts";
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
  /** How many streams ended in an error while it was the largest request without an answer. */
  endings: number;
  settle(result: Reply["result"]): void;
  reject(error: PawlError): void;
}

/** Takes a frame to be sent; false where there is no stream. */
type Send = (frame: FrameInit, bytes: number) => boolean;

/** The one after it is the heartbeats'. */
const idsMax = 0xffff_fffe;

export class Calls {
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;

  /** Notes a request; `send` gets its frame now, and again after each reconnection. */
  open<C extends ResultCase>(
    runId: string,
    body: FrameInit["body"] & object,
    bytes: number,
    expected: C,
    send: Send,
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
      pending.sent = send(frame, bytes);
    });
  }

  /** Hands a reply to the waiting caller; false if nobody does. */
  settle(reply: Reply): boolean {
    const pending = this.#pending.get(reply.id);
    if (pending === undefined) return false;
    this.#pending.delete(reply.id);
    pending.settle(reply.result);
    return true;
  }

  /** Sends all again, in their order. */
  resend(send: Send): void {
    for (const pending of this.#pending.values()) {
      pending.sent = send(pending.frame, pending.bytes);
    }
  }

  /** Fails the request of that id, which cannot be sent; false if nobody waits for it. */
  refuse(id: number, error: PawlError): boolean {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.reject(error);
    return pending !== undefined;
  }

  /**
   * A stream ended in an error that is not a lost connection. Proxies end it so when a message, or all
   * of a stream's together, is over their limit: the largest request that got no answer may never get
   * through. It fails when that has happened a few times. (The answers to others may be cut off with it.)
   */
  streamRefused(error: Error): PawlError | undefined {
    let suspect: [number, Pending] | undefined;
    for (const entry of this.#pending) {
      const [, { sent, bytes }] = entry;
      if (sent && bytes > (suspect?.[1].bytes ?? limits.suspectFrameBytes)) suspect = entry;
    }
    if (suspect === undefined) return undefined;
    const [id, pending] = suspect;
    pending.endings += 1;
    if (pending.endings < limits.suspectFrameTries) return undefined;
    const refusal = new PawlError({
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
  }

  get size(): number {
    return this.#pending.size;
  }
}
