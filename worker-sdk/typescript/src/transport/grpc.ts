/** gRPC by grpc-js, over the protobuf-es descriptors. */
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodBiDiStreaming,
  type DescMethodClientStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { StatusSchema } from "@pawl/proto/google/rpc/status_pb.js";
import { RequestError, UsageError } from "../errors.ts";
import { limits } from "../limits.ts";
import { discoveredTarget } from "./discovery.ts";
import { errorFromStatus, unavailableError, unencodable, unreachable } from "./status.ts";
import type { CallOptions, Duplex, DuplexHandlers, Transport } from "./transport.ts";

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** Messages are encoded before they reach the library, for which one that cannot be ends its call. */
function encoded<D extends DescMessage>(schema: D, message: MessageShape<D>): Buffer {
  try {
    const bytes = toBinary(schema, message);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  } catch (error) {
    throw unencodable(error);
  }
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}

function deserializer<D extends DescMessage>(schema: D) {
  return (bytes: Buffer): MessageShape<D> => fromBinary(schema, bytes);
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "details" in error && "metadata" in error;
}

function translate(error: unknown, url: string): RequestError {
  if (!isServiceError(error)) {
    return new RequestError({ reason: "INTERNAL", message: String(error), code: 13, cause: error });
  }
  const [packed] = error.metadata.get("grpc-status-details-bin");
  if (!(packed instanceof Buffer)) {
    // Nothing that a Pawl server said.
    const problem = unreachable(error.code, error.details, url);
    if (problem !== undefined) return unavailableError(problem, error);
  }
  const details = packed instanceof Buffer ? fromBinary(StatusSchema, packed).details : [];
  return errorFromStatus(
    error.code,
    error.details,
    details.map((detail) => ({ type: detail.typeUrl, value: detail.value })),
    error,
  );
}

function deadline(options: CallOptions | undefined): { deadline?: number } {
  return options?.timeoutMs === undefined ? {} : { deadline: Date.now() + options.timeoutMs };
}

/** Cancels a call when the signal aborts; returns the end of listening. */
function linkSignal(signal: AbortSignal | undefined, call: { cancel(): void }): () => void {
  if (signal === undefined) return () => undefined;
  const cancel = () => call.cancel();
  if (signal.aborted) cancel();
  signal.addEventListener("abort", cancel);
  return () => signal.removeEventListener("abort", cancel);
}

/**
 * The target that grpc-js wants: of `http://host:port` and `https://host:port`, which may be the HTTP or the
 * gRPC address of a server, one that finds out; of `grpc://host:port`, `grpcs://host:port` and `host:port`
 * that address.
 */
export function grpcTarget(url: string): { address: string; secure: boolean } {
  if (!url.includes("://")) return { address: url, secure: false };
  const parsed = new URL(url);
  if (!["http:", "https:", "grpc:", "grpcs:"].includes(parsed.protocol)) {
    throw new UsageError(
      `"${url}" is not the address of a server; write http://host:port or https://host:port`,
    );
  }
  const secure = parsed.protocol === "https:" || parsed.protocol === "grpcs:";
  if (parsed.protocol.startsWith("http")) return { address: discoveredTarget(parsed), secure };
  const port = parsed.port || (secure ? "443" : "50051");
  return { address: `${parsed.hostname}:${port}`, secure };
}

/** A transport for a Pawl server by its address, such as `http://127.0.0.1:8000`. */
export function createGrpcTransport(url: string): Transport {
  const { address, secure } = grpcTarget(url);
  return new GrpcTransport(
    new Client(address, secure ? credentials.createSsl() : credentials.createInsecure(), {
      "grpc.max_receive_message_length": 2 * limits.sessionMessageBytesMax,
      "grpc.max_send_message_length": 2 * limits.sessionMessageBytesMax,
      "grpc.keepalive_time_ms": 20_000,
      "grpc.keepalive_timeout_ms": 10_000,
      // Reconnecting is paced by the callers; a long pause of the channel would add to theirs.
      "grpc.initial_reconnect_backoff_ms": 50,
      "grpc.min_reconnect_backoff_ms": 50,
      "grpc.max_reconnect_backoff_ms": 500,
      // Nothing is kept to be sent again, which is up to the callers; and a write is done when it has
      // reached the socket, not when it has been put aside.
      "grpc.per_rpc_retry_buffer_size": 0,
    }),
    url.replace(/^grpc/, "http"),
  );
}

class GrpcTransport implements Transport {
  readonly prefersFrames = true;
  readonly #client: Client;
  readonly #url: string;
  readonly #key = process.env.PAWL_API_KEY ?? "";

  constructor(client: Client, url: string) {
    this.#client = client;
    this.#url = url;
  }

  /** With each call, since grpc-js sends credentials of its own over TLS only. */
  #metadata(): Metadata {
    const metadata = new Metadata();
    if (this.#key !== "") metadata.set("authorization", `Bearer ${this.#key}`);
    return metadata;
  }

  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options?: CallOptions,
  ): Promise<MessageShape<O>> {
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        pathOf(method),
        asIs,
        deserializer(method.output),
        encoded(method.input, create(method.input, request)),
        this.#metadata(),
        deadline(options),
        (error, response) => {
          unlink();
          if (error !== null) reject(translate(error, this.#url));
          else if (response === undefined)
            reject(translate(new Error("an answer without content"), this.#url));
          else resolve(response);
        },
      );
      const unlink = linkSignal(options?.abortSignal, call);
    });
  }

  async *serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    options?: CallOptions,
  ): AsyncIterable<MessageShape<O>> {
    const call = this.#client.makeServerStreamRequest(
      pathOf(method),
      asIs,
      deserializer(method.output),
      encoded(method.input, create(method.input, request)),
      this.#metadata(),
      deadline(options),
    );
    const unlink = linkSignal(options?.abortSignal, call);
    try {
      for await (const message of call) yield message as MessageShape<O>;
    } catch (error) {
      throw translate(error, this.#url);
    } finally {
      unlink();
      // A reader who leaves early makes the call fail, and nobody is left to hear of it.
      call.on("error", () => undefined);
      call.cancel();
    }
  }

  clientStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodClientStreaming<I, O>,
    requests: Iterable<MessageInitShape<I>>,
    options?: CallOptions,
  ): Promise<MessageShape<O>> {
    return new Promise((resolve, reject) => {
      const messages = Array.from(requests, (request) =>
        encoded(method.input, create(method.input, request)),
      );
      const call = this.#client.makeClientStreamRequest(
        pathOf(method),
        asIs,
        deserializer(method.output),
        this.#metadata(),
        deadline(options),
        (error, response) => {
          unlink();
          if (error !== null) reject(translate(error, this.#url));
          else if (response === undefined)
            reject(translate(new Error("an answer without content"), this.#url));
          else resolve(response);
        },
      );
      const unlink = linkSignal(options?.abortSignal, call);
      for (const message of messages) call.write(message);
      call.end();
    });
  }

  duplex<I extends DescMessage, O extends DescMessage>(
    method: DescMethodBiDiStreaming<I, O>,
    handlers: DuplexHandlers<MessageShape<O>>,
  ): Duplex<MessageShape<I>> {
    const call = this.#client.makeBidiStreamRequest(
      pathOf(method),
      asIs,
      deserializer(method.output),
      this.#metadata(),
    );
    let ended = false;
    const unsent = new Set<() => void>();
    const finish = (error: Error | undefined) => {
      if (ended) return;
      ended = true;
      handlers.onEnd(error);
      for (const onSent of unsent) onSent();
    };
    const send = (message: MessageShape<I>, onSent: (() => void) | undefined) => {
      if (ended) return onSent?.();
      const bytes = encoded(method.input, message);
      if (onSent === undefined) return void call.write(bytes);
      unsent.add(onSent);
      call.write(bytes, () => {
        if (unsent.delete(onSent)) onSent();
      });
    };
    call.on("data", (message: MessageShape<O>) => handlers.onMessage(message));
    call.on("error", (error: unknown) => finish(translate(error, this.#url)));
    call.on("end", () => finish(undefined));
    return {
      send,
      get congested() {
        return call.writableNeedDrain;
      },
      end: () => void (ended || call.end()),
      cancel: () => call.cancel(),
    };
  }

  close(): void {
    this.#client.close();
  }
}
