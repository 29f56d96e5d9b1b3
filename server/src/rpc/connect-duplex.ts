/**
 * A Duplex over Connect's pair of async iterables. Messages that are written wait in a queue
 * until the response iterable is pulled; whoever writes bounds them by waiting for `done`.
 */
import type { Duplex, DuplexReceiver } from "./binding.ts";

export interface ConnectDuplex<I, O> {
  readonly duplex: Duplex<I, O>;
  /** What the RPC implementation yields. */
  readonly responses: AsyncIterable<O>;
}

export function connectDuplex<I, O>(
  requests: AsyncIterable<I>,
  signal: AbortSignal,
): ConnectDuplex<I, O> {
  const queue: { message: O; done: () => void }[] = [];
  let wake: () => void = () => undefined;
  let resumed: PromiseWithResolvers<void> | undefined;
  let end: { error?: unknown } | undefined;
  /** Nobody reads any more. */
  let gone = signal.aborted;
  let toldEnded = false;

  async function deliver(receiver: DuplexReceiver<I>): Promise<void> {
    try {
      for await (const request of requests) {
        receiver.message(request);
        if (resumed !== undefined) await resumed.promise;
        if (end !== undefined || signal.aborted) break;
      }
    } catch (error) {
      // The stream is broken or its bytes are no message; Connect delivers nothing after that.
      if (!signal.aborted && end === undefined) {
        receiver.undecodable(error instanceof Error ? error : new Error(String(error)));
      }
    } finally {
      tellEnded(receiver);
    }
  }

  function tellEnded(receiver: DuplexReceiver<I>): void {
    if (toldEnded) return;
    toldEnded = true;
    receiver.ended();
  }

  function hangUp(receiver: DuplexReceiver<I>): void {
    gone = true;
    resumed?.resolve();
    for (const { done } of queue.splice(0)) done();
    wake();
    tellEnded(receiver);
  }

  async function* responses(): AsyncIterable<O> {
    while (true) {
      const next = queue.shift();
      if (next !== undefined) {
        yield next.message;
        next.done();
      } else if (end !== undefined || gone) {
        if (end?.error !== undefined) throw end.error;
        return;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  }

  return {
    duplex: {
      start(receiver) {
        signal.addEventListener("abort", () => hangUp(receiver), { once: true });
        void deliver(receiver);
      },
      write(message, done) {
        if (gone || end !== undefined) {
          done();
          return;
        }
        queue.push({ message, done });
        wake();
      },
      end(error) {
        end ??= error === undefined ? {} : { error };
        resumed?.resolve();
        wake();
      },
      pause() {
        resumed ??= Promise.withResolvers<void>();
      },
      resume() {
        resumed?.resolve();
        resumed = undefined;
      },
    },
    responses: responses(),
  };
}
