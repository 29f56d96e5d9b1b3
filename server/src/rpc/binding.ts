/**
 * What an RPC is to the transports: its descriptor and one function. The services are lists of
 * bindings; each transport mounts all of them. A binding hides the message types behind bytes
 * (gRPC) or behind Connect's router, so that a transport needs to know no single message.
 */
import type {
  DescMessage,
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  Message,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { create, fromBinary, isMessage, toBinary } from "@bufbuild/protobuf";
import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { permitFor } from "../auth/permissions.ts";
import { BOUNDS } from "../model/bounds.ts";
import type { Caller } from "../model/caller.ts";
import { invalid } from "../model/errors.ts";
import { ConnectDuplex } from "./connect-duplex.ts";
import { messageTooLarge, responseTooLarge } from "./convert/fields.ts";

export interface CallContext {
  readonly caller: Caller;
  /** By which the caller reached the server, such as `127.0.0.1:8000`; empty: unknown. */
  readonly host: string;
  /** Fires when the caller hangs up, its deadline passes, or the server shuts down. */
  readonly signal: AbortSignal;
}

/** What a transport does around each call that comes through Connect. */
export interface ConnectHooks {
  /** Called when the handler is about to run; returns the context of the call. */
  begin(context: HandlerContext): Promise<CallContext>;
  /** The error to be thrown instead. No context: the call was refused before it had one. */
  fail(error: unknown, context: CallContext | undefined, method: DescMethod): unknown;
}

/** One bidirectional stream as a handler sees it: messages come by callback, in order. */
export interface Duplex<I, O> {
  /** Starts the delivery; to be called once, before anything else. */
  start(receiver: DuplexReceiver<I>): void;
  /**
   * Sends one message. `done` is called once it has left this process, or the stream is gone.
   */
  write(message: O, done: () => void): void;
  /** Closes the stream: in order after what was written, or with an error. */
  end(error?: unknown): void;
  /** Stops the delivery of messages until `resume`; a few may still come. */
  pause(): void;
  resume(): void;
}

export interface DuplexReceiver<I> {
  message(message: I): void;
  /** A message came that cannot be decoded; the stream continues. */
  undecodable(error: Error): void;
  /** The other side closed the stream or is gone. Called once. */
  ended(): void;
}

/** The same stream before decoding and after encoding. */
export type RawDuplex = Duplex<Uint8Array, Uint8Array>;

interface Mountable {
  readonly method: DescMethod;
  connect(router: ConnectRouter, hooks: ConnectHooks): void;
}

export interface UnaryBinding extends Mountable {
  readonly kind: "unary";
  invoke(request: Uint8Array, context: CallContext): Promise<Uint8Array>;
  /** The same with whole messages, for callers in this process. */
  call(request: Message, context: CallContext): Promise<Message>;
}

export interface ServerStreamBinding extends Mountable {
  readonly kind: "server_streaming";
  invoke(request: Uint8Array, context: CallContext): AsyncIterable<Uint8Array>;
  /** The same with whole messages, for callers in this process. */
  call(request: Message, context: CallContext): AsyncIterable<Message>;
}

export interface ClientStreamBinding extends Mountable {
  readonly kind: "client_streaming";
  invoke(requests: AsyncIterable<Uint8Array>, context: CallContext): Promise<Uint8Array>;
}

export interface DuplexBinding extends Mountable {
  readonly kind: "bidi_streaming";
  open(stream: RawDuplex, context: CallContext): void;
}

export type Binding = UnaryBinding | ServerStreamBinding | ClientStreamBinding | DuplexBinding;

export function decode<I extends DescMessage>(schema: I, bytes: Uint8Array): MessageShape<I> {
  if (bytes.byteLength > BOUNDS.messageBytes) throw messageTooLarge(bytes.byteLength);
  try {
    return fromBinary(schema, bytes);
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw invalid("message", `is not a valid ${schema.typeName}: ${said}`);
  }
}

function whole<O extends DescMessage>(schema: O, message: MessageInitShape<O>): MessageShape<O> {
  return isMessage(message, schema) ? message : create(schema, message);
}

/** The request of a caller in this process, which must be of the method's own type. */
function own<I extends DescMessage>(schema: I, request: Message): MessageShape<I> {
  if (isMessage(request, schema)) return request;
  throw new Error(`${request.$typeName} is not a ${schema.typeName}.`);
}

function encode<O extends DescMessage>(schema: O, message: MessageInitShape<O>): Uint8Array {
  const bytes = toBinary(schema, whole(schema, message));
  if (bytes.byteLength > BOUNDS.messageBytes) throw responseTooLarge(bytes.byteLength);
  return bytes;
}

/** What was encoded for one stream, for others that send the same message. */
const shared = new WeakMap<object, Uint8Array>();

export function unary<I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O>,
  handler: (request: MessageShape<I>, context: CallContext) => Promise<MessageInitShape<O>>,
): UnaryBinding {
  const permit = permitFor(method);
  return {
    kind: "unary",
    method,
    async invoke(request, context) {
      permit(context.caller);
      return encode(method.output, await handler(decode(method.input, request), context));
    },
    async call(request, context) {
      permit(context.caller);
      return whole(method.output, await handler(own(method.input, request), context));
    },
    connect(router, hooks) {
      router.rpc(method, async (request: MessageShape<I>, handlerContext: HandlerContext) => {
        let context: CallContext | undefined;
        try {
          context = await hooks.begin(handlerContext);
          permit(context.caller);
          return await handler(request, context);
        } catch (error) {
          throw hooks.fail(error, context, method);
        }
      });
    },
  };
}

export function serverStream<I extends DescMessage, O extends DescMessage>(
  method: DescMethodServerStreaming<I, O>,
  handler: (request: MessageShape<I>, context: CallContext) => AsyncIterable<MessageInitShape<O>>,
): ServerStreamBinding {
  const permit = permitFor(method);
  return {
    kind: "server_streaming",
    method,
    async *invoke(request, context) {
      permit(context.caller);
      for await (const message of handler(decode(method.input, request), context)) {
        let bytes = shared.get(message);
        if (bytes === undefined) {
          bytes = encode(method.output, message);
          shared.set(message, bytes);
        }
        yield bytes;
      }
    },
    async *call(request, context) {
      permit(context.caller);
      for await (const message of handler(own(method.input, request), context)) {
        yield whole(method.output, message);
      }
    },
    connect(router, hooks) {
      router.rpc(
        method,
        async function* (request: MessageShape<I>, handlerContext: HandlerContext) {
          let context: CallContext | undefined;
          try {
            context = await hooks.begin(handlerContext);
            permit(context.caller);
            yield* handler(request, context);
            // A stream that was cut off by the server's end must not look like its own.
            context.signal.throwIfAborted();
          } catch (error) {
            throw hooks.fail(error, context, method);
          }
        },
      );
    },
  };
}

export function clientStream<I extends DescMessage, O extends DescMessage>(
  method: DescMethodClientStreaming<I, O>,
  handler: (
    requests: AsyncIterable<MessageShape<I>>,
    context: CallContext,
  ) => Promise<MessageInitShape<O>>,
): ClientStreamBinding {
  async function* decoded(
    requests: AsyncIterable<Uint8Array>,
    { signal }: CallContext,
  ): AsyncIterable<MessageShape<I>> {
    for await (const request of requests) {
      signal.throwIfAborted();
      yield decode(method.input, request);
    }
  }
  const permit = permitFor(method);
  return {
    kind: "client_streaming",
    method,
    async invoke(requests, context) {
      permit(context.caller);
      return encode(method.output, await handler(decoded(requests, context), context));
    },
    connect(router, hooks) {
      router.rpc(
        method,
        async (requests: AsyncIterable<MessageShape<I>>, handlerContext: HandlerContext) => {
          let context: CallContext | undefined;
          try {
            context = await hooks.begin(handlerContext);
            permit(context.caller);
            return await handler(requests, context);
          } catch (error) {
            throw hooks.fail(error, context, method);
          }
        },
      );
    },
  };
}

export function duplex<I extends DescMessage, O extends DescMessage>(
  method: DescMethodBiDiStreaming<I, O>,
  handler: (stream: Duplex<MessageShape<I>, MessageInitShape<O>>, context: CallContext) => void,
): DuplexBinding {
  const permit = permitFor(method);
  return {
    kind: "bidi_streaming",
    method,
    open(stream, context) {
      permit(context.caller);
      handler(decodingDuplex(method, stream), context);
    },
    connect(router, hooks) {
      router.rpc(
        method,
        async function* (requests: AsyncIterable<MessageShape<I>>, handlerContext: HandlerContext) {
          let context: CallContext | undefined;
          try {
            context = await hooks.begin(handlerContext);
            permit(context.caller);
            const stream = new ConnectDuplex<MessageShape<I>, MessageInitShape<O>>(
              requests,
              context.signal,
            );
            handler(stream, context);
            yield* stream.responses();
          } catch (error) {
            throw hooks.fail(error, context, method);
          }
        },
      );
    },
  };
}

function decodingDuplex<I extends DescMessage, O extends DescMessage>(
  method: DescMethodBiDiStreaming<I, O>,
  raw: RawDuplex,
): Duplex<MessageShape<I>, MessageInitShape<O>> {
  return {
    start(receiver) {
      raw.start({
        message(bytes) {
          let message: MessageShape<I>;
          try {
            message = decode(method.input, bytes);
          } catch (error) {
            receiver.undecodable(error instanceof Error ? error : new Error(String(error)));
            return;
          }
          receiver.message(message);
        },
        undecodable: (error) => receiver.undecodable(error),
        ended: () => receiver.ended(),
      });
    },
    write: (message, done) => raw.write(encode(method.output, message), done),
    end: (error) => raw.end(error),
    pause: () => raw.pause(),
    resume: () => raw.resume(),
  };
}
