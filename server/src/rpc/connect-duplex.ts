/**
 * A Duplex over Connect's pair of async iterables. Messages that are written wait in a queue
 * until the response iterable is pulled; the writer bounds them by waiting for `done`.
 *
 * States: *open* → *ended* (by us: what is queued still leaves) or *gone* (the call was aborted:
 * nobody reads any more).
 */
import type { Duplex, DuplexReceiver } from "./binding.ts";

export class ConnectDuplex<I, O> implements Duplex<I, O> {
  readonly #requests: AsyncIterable<I>;
  readonly #signal: AbortSignal;
  readonly #queue: { readonly message: O; readonly done: () => void }[] = [];
  #wake: () => void = () => undefined;
  #resumed: PromiseWithResolvers<void> | undefined;
  #end: { readonly error?: unknown } | undefined;
  #gone = false;
  #toldEnded = false;

  /** @param signal of the call: fires when it is over, however that came */
  constructor(requests: AsyncIterable<I>, signal: AbortSignal) {
    this.#requests = requests;
    this.#signal = signal;
    this.#gone = signal.aborted;
  }

  start(receiver: DuplexReceiver<I>): void {
    this.#signal.addEventListener("abort", () => this.#hangUp(receiver), { once: true });
    void this.#deliver(receiver);
  }

  write(message: O, done: () => void): void {
    if (this.#gone || this.#end !== undefined) {
      done();
      return;
    }
    this.#queue.push({ message, done });
    this.#wake();
  }

  end(error?: unknown): void {
    this.#end ??= error === undefined ? {} : { error };
    this.#resumed?.resolve();
    this.#wake();
  }

  pause(): void {
    this.#resumed ??= Promise.withResolvers<void>();
  }

  resume(): void {
    this.#resumed?.resolve();
    this.#resumed = undefined;
  }

  /** What the RPC implementation yields. To be read once. */
  async *responses(): AsyncIterable<O> {
    while (true) {
      const next = this.#queue.shift();
      if (next !== undefined) {
        yield next.message;
        next.done();
      } else if (this.#end !== undefined || this.#gone) {
        if (this.#end?.error !== undefined) throw this.#end.error;
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  async #deliver(receiver: DuplexReceiver<I>): Promise<void> {
    try {
      for await (const request of this.#requests) {
        receiver.message(request);
        if (this.#resumed !== undefined) await this.#resumed.promise;
        if (this.#end !== undefined || this.#gone) break;
      }
    } catch (error) {
      // The stream is broken or its bytes are not a message; Connect delivers nothing after that.
      if (!this.#gone && this.#end === undefined) {
        receiver.undecodable(error instanceof Error ? error : new Error(String(error)));
      }
    } finally {
      this.#tellEnded(receiver);
    }
  }

  #hangUp(receiver: DuplexReceiver<I>): void {
    this.#gone = true;
    this.#resumed?.resolve();
    for (const { done } of this.#queue.splice(0)) done();
    this.#wake();
    this.#tellEnded(receiver);
  }

  #tellEnded(receiver: DuplexReceiver<I>): void {
    if (this.#toldEnded) return;
    this.#toldEnded = true;
    receiver.ended();
  }
}
