/** gRPC over HTTP/2 by grpc-js: mounts the bindings, and keeps bytes as bytes until a handler. */
import {
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  logVerbosity,
  type Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  setLogVerbosity,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Credentials } from "../auth/authenticate.ts";
import type { Log } from "../lib/log.ts";
import { BOUNDS } from "../model/bounds.ts";
import type {
  Binding,
  ClientStreamBinding,
  DuplexBinding,
  RawDuplex,
  ServerStreamBinding,
  UnaryBinding,
} from "./binding.ts";
import type { Call, Calls } from "./calls.ts";
import { grpcStatus, wireError } from "./errors.ts";
import { drained } from "./slow-reader.ts";

/**
 * What grpc-js itself refuses, with an error of its own that has no reason. Well above our limit,
 * so that a client that sends a whole payload inline is told what to do about it.
 */
const HARD_MESSAGE_BYTES = 2 * BOUNDS.payloadBytes;
/** A connection that does not answer pings within this is gone, however open it looks. */
const KEEPALIVE_MS = 10_000;
const KEEPALIVE_TIMEOUT_MS = 5_000;

/** Streams that a client may give up at once, and then per second, on one connection. */
const RESET_BURST = 20_000;
const RESETS_PER_SECOND = 5_000;

export interface GrpcServerOptions {
  readonly bindings: readonly Binding[];
  readonly calls: Calls;
  readonly log: Log;
  /** After which a reader of a stream that reads nothing is let go. Default: 30 s. */
  readonly slowReaderMs?: number;
}

export interface GrpcServer {
  /**
   * @param address `host:port`; port 0 takes a free one
   * @returns the port
   */
  listen(address: string): Promise<number>;
  /** Takes no more calls; resolves once those in progress are over. */
  stop(): Promise<void>;
  /** Ends everything now. */
  kill(): void;
}

export function createGrpcServer(options: GrpcServerOptions): GrpcServer {
  // What it has to say, such as that a port is taken, comes as an error as well, and is told in our words.
  if (process.env.GRPC_VERBOSITY === undefined) setLogVerbosity(logVerbosity.NONE);
  const server = new Server({
    "grpc.max_receive_message_length": HARD_MESSAGE_BYTES,
    "grpc.max_send_message_length": HARD_MESSAGE_BYTES,
    "grpc.keepalive_time_ms": KEEPALIVE_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
    "grpc.enable_channelz": 0,
  });
  allowResets(server);
  const services = Map.groupBy(options.bindings, ({ method }) => method.parent.typeName);
  for (const [name, bindings] of services) {
    const definition: Record<string, MethodDefinition<Buffer, Buffer>> = {};
    const implementation: UntypedServiceImplementation = {};
    for (const binding of bindings) {
      const { method } = binding;
      definition[method.localName] = {
        path: `/${name}/${method.name}`,
        requestStream: binding.kind === "client_streaming" || binding.kind === "bidi_streaming",
        responseStream: binding.kind === "server_streaming" || binding.kind === "bidi_streaming",
        requestSerialize: asIs,
        requestDeserialize: asIs,
        responseSerialize: asIs,
        responseDeserialize: asIs,
      };
      implementation[method.localName] = handlerOf(binding, options);
    }
    server.addService(definition, implementation);
  }
  return {
    listen: (address) =>
      new Promise((resolve, reject) => {
        server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
          if (error === null) resolve(port);
          else reject(error);
        });
      }),
    stop: () =>
      new Promise((resolve, reject) => {
        server.tryShutdown((error) => (error === undefined ? resolve() : reject(error)));
      }),
    kill: () => server.forceShutdown(),
  };
}

/**
 * A gateway gives up a watch for each tab that is closed; Node ends the whole connection of a client
 * that does so 1,000 times at once. grpc-js has no option for that, and hands this object to Node.
 */
function allowResets(server: Server): void {
  const options: unknown = Reflect.get(server, "commonServerOptions");
  if (typeof options !== "object" || options === null)
    throw new Error("This version of grpc-js keeps its HTTP/2 options elsewhere.");
  Object.assign(options, { streamResetBurst: RESET_BURST, streamResetRate: RESETS_PER_SECOND });
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}

/** The same memory as a Buffer, which grpc-js insists on. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function handlerOf(binding: Binding, options: GrpcServerOptions) {
  switch (binding.kind) {
    case "unary":
      return unaryHandler(binding, options);
    case "server_streaming":
      return serverStreamHandler(binding, options);
    case "client_streaming":
      return clientStreamHandler(binding, options);
    case "bidi_streaming":
      return duplexHandler(binding, options);
  }
}

function statusOf(error: unknown, binding: Binding, call: Call, log: Log) {
  const method = `${binding.method.parent.typeName}/${binding.method.name}`;
  return grpcStatus(wireError(error, log, method, call.signal));
}

/** A header of gRPC's metadata; of several with one name, the first. HTTP/2 names the host by other means. */
function credentialsOf(call: { readonly metadata: Metadata; getHost(): string }): Credentials {
  const { metadata } = call;
  return {
    header: (name) => (name === "host" ? call.getHost() : metadata.get(name)[0]?.toString()),
    names: () => Object.keys(metadata.getMap()),
  };
}

function unaryHandler(
  binding: UnaryBinding,
  { calls, log }: GrpcServerOptions,
): handleUnaryCall<Buffer, Buffer> {
  return (stream, callback) => {
    const call = calls.begin();
    stream.on("cancelled", call.abort);
    call
      .enter(credentialsOf(stream))
      .then((context) => binding.invoke(stream.request, context))
      .then(
        (bytes) => callback(null, bufferOf(bytes)),
        (error: unknown) => callback(statusOf(error, binding, call, log)),
      )
      .finally(call.done);
  };
}

function clientStreamHandler(
  binding: ClientStreamBinding,
  { calls, log }: GrpcServerOptions,
): handleClientStreamingCall<Buffer, Buffer> {
  return (stream, callback) => {
    const call = calls.begin();
    stream.on("cancelled", call.abort);
    call
      .enter(credentialsOf(stream))
      .then((context) => binding.invoke(stream, context))
      .then(
        (bytes) => callback(null, bufferOf(bytes)),
        (error: unknown) => callback(statusOf(error, binding, call, log)),
      )
      .finally(call.done);
  };
}

function serverStreamHandler(
  binding: ServerStreamBinding,
  { calls, log, slowReaderMs }: GrpcServerOptions,
): handleServerStreamingCall<Buffer, Buffer> {
  return (stream) => {
    const call = calls.begin();
    const { signal } = call;
    stream.on("cancelled", call.abort);
    async function pump(): Promise<void> {
      const context = await call.enter(credentialsOf(stream));
      for await (const bytes of binding.invoke(stream.request, context)) {
        if (!stream.write(bufferOf(bytes))) await drained(stream, signal, slowReaderMs);
      }
      signal.throwIfAborted();
    }
    pump()
      .then(
        () => void stream.end(),
        (error: unknown) => void stream.emit("error", statusOf(error, binding, call, log)),
      )
      .finally(call.done);
  };
}

function duplexHandler(
  binding: DuplexBinding,
  { calls, log }: GrpcServerOptions,
): handleBidiStreamingCall<Buffer, Buffer> {
  return (stream) => {
    const call = calls.begin();
    const raw: RawDuplex = {
      start(receiver) {
        let told = false;
        const ended = (): void => {
          if (told) return;
          told = true;
          call.done();
          receiver.ended();
        };
        stream.on("data", (bytes: Buffer) => receiver.message(bytes));
        stream.on("end", ended);
        if (stream.cancelled) ended();
        else stream.on("cancelled", ended);
      },
      write(bytes, done) {
        stream.write(bufferOf(bytes), done);
      },
      end(error) {
        call.done();
        if (error === undefined) stream.end();
        else stream.emit("error", statusOf(error, binding, call, log));
      },
      pause: () => void stream.pause(),
      resume: () => void stream.resume(),
    };
    stream.on("cancelled", call.abort);
    call
      .enter(credentialsOf(stream))
      .then((context) => binding.open(raw, context))
      .catch((error: unknown) => raw.end(error));
  };
}
