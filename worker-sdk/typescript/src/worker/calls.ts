/** Requests of a session that wait for their replies, to be sent again on a new stream. */
import type { Reply } from "@pawl/proto";
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
  settle(result: Reply["result"]): void;
}

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
    send: (frame: FrameInit, bytes: number) => void,
  ): Promise<ResultOf<C>> {
    const id = this.#nextId;
    this.#nextId = id === idsMax ? 1 : id + 1;
    const frame: FrameInit = { id, body };
    const promise = new Promise<ResultOf<C>>((resolve, reject) => {
      const settle = (result: Reply["result"]): void => {
        if (result.case === "error") reject(errorFromFrame(result.value));
        else if (result.case === expected) resolve(result.value as ResultOf<C>);
        else reject(unavailableError(`the server answered a request with "${result.case}"`));
      };
      this.#pending.set(id, { runId, frame, bytes, settle });
    });
    send(frame, bytes);
    return promise;
  }

  /** Hands a reply to whoever waits for it; false if nobody does. */
  settle(reply: Reply): boolean {
    const pending = this.#pending.get(reply.id);
    if (pending === undefined) return false;
    this.#pending.delete(reply.id);
    pending.settle(reply.result);
    return true;
  }

  /** Sends all again, in their order. */
  resend(send: (frame: FrameInit, bytes: number) => void): void {
    for (const { frame, bytes } of this.#pending.values()) send(frame, bytes);
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
