/** Any Connect transport: in process, or over HTTP. */
import type {
  DescMessage,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { create, toBinary } from "@bufbuild/protobuf";
import { ConnectError, type Transport as ConnectTransport } from "@connectrpc/connect";
import type { RequestError } from "../errors.ts";
import { errorFromStatus, unencodable } from "./status.ts";
import type { CallOptions, Duplex, DuplexHandlers, Transport } from "./transport.ts";

function translate(error: unknown): RequestError {
  const known = ConnectError.from(error);
  const details = known.details.map((detail) =>
    "desc" in detail
      ? {
          type: detail.desc.typeName,
          value: toBinary(detail.desc, create(detail.desc, detail.value)),
        }
      : { type: detail.type, value: detail.value },
  );
  return errorFromStatus(known.code, known.rawMessage, details, error);
}

/** Why the message cannot be sent, if it cannot: the library's own error does not distinguish that. */
function encodingProblem<I extends DescMessage>(
  schema: I,
  message: MessageInitShape<I>,
): RequestError | undefined {
  try {
    toBinary(schema, create(schema, message));
    return undefined;
  } catch (error) {
    return unencodable(error);
  }
}

async function* each<T>(items: Iterable<T>): AsyncIterable<T> {
  yield* items;
}

interface Outbound<T> {
  readonly item: T;
  readonly onSent: (() => void) | undefined;
}

/** Messages to be sent, as the async iterable that Connect reads. */
class Outgoing<T> implements AsyncIterable<T> {
  readonly #queue: Outbound<T>[] = [];
  #wake: (() => void) | undefined;
  #ended = false;

  get length(): number {
    return this.#queue.length;
  }

  push(item: T, onSent: (() => void) | undefined): void {
    if (this.#ended) {
      onSent?.();
      return;
    }
    this.#queue.push({ item, onSent });
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** Nobody reads any more. */
  abandon(): void {
    this.end();
    for (const { onSent } of this.#queue.splice(0)) onSent?.();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (;;) {
      const next = this.#queue.shift();
      if (next !== undefined) {
        // The reader that asks for the next message has dealt with it.
        try {
          yield next.item;
        } finally {
          next.onSent?.();
        }
      } else {
        if (this.#ended) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    }
  }
}

/**
 * A transport over one of Connect's, such as the in-process one of a server that
 * is embedded in this program. `close` does nothing: the transport is its owner's.
 */
export function fromConnectTransport(transport: ConnectTransport): Transport {
  return new ConnectAdapter(transport);
}

class ConnectAdapter implements Transport {
  readonly #transport: ConnectTransport;

  constructor(transport: ConnectTransport) {
    this.#transport = transport;
  }

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    { abortSignal, timeoutMs }: CallOptions = {},
  ): Promise<MessageShape<O>> {
    try {
      const response = await this.#transport.unary(
        method,
        abortSignal,
        timeoutMs,
        undefined,
        request,
      );
      return response.message;
    } catch (error) {
      throw encodingProblem(method.input, request) ?? translate(error);
    }
  }

  async *serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    { abortSignal, timeoutMs }: CallOptions = {},
  ): AsyncIterable<MessageShape<O>> {
    const controller = new AbortController();
    const linked =
      abortSignal === undefined
        ? controller.signal
        : AbortSignal.any([abortSignal, controller.signal]);
    try {
      const response = await this.#transport.stream(
        method,
        linked,
        timeoutMs,
        undefined,
        each([request]),
      );
      yield* response.message;
    } catch (error) {
      throw translate(error);
    } finally {
      controller.abort();
    }
  }

  async clientStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodClientStreaming<I, O>,
    requests: Iterable<MessageInitShape<I>>,
    { abortSignal, timeoutMs }: CallOptions = {},
  ): Promise<MessageShape<O>> {
    try {
      const response = await this.#transport.stream(
        method,
        abortSignal,
        timeoutMs,
        undefined,
        each(requests),
      );
      for await (const message of response.message) return message;
    } catch (error) {
      throw translate(error);
    }
    throw translate(new ConnectError("the server answered with nothing"));
  }

  duplex<I extends DescMessage, O extends DescMessage>(
    method: DescMethodBiDiStreaming<I, O>,
    handlers: DuplexHandlers<MessageShape<O>>,
  ): Duplex<MessageShape<I>> {
    const controller = new AbortController();
    const outgoing = new Outgoing<MessageInitShape<I>>();
    const read = async (): Promise<void> => {
      try {
        const response = await this.#transport.stream(
          method,
          controller.signal,
          undefined,
          undefined,
          outgoing,
        );
        for await (const message of response.message) handlers.onMessage(message);
        handlers.onEnd(undefined);
      } catch (error) {
        handlers.onEnd(translate(error));
      } finally {
        outgoing.abandon();
      }
    };
    void read();
    return {
      send: (message, onSent) => {
        const problem = encodingProblem(method.input, message);
        if (problem !== undefined) throw problem;
        outgoing.push(message, onSent);
      },
      get congested() {
        return outgoing.length > 16;
      },
      end: () => outgoing.end(),
      cancel: () => controller.abort(),
    };
  }

  close(): void {
    // Its owner closes it.
  }
}
