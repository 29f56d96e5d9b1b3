/**
 * The calls of a client as frames of one stream, `RunService.Attach`: many of them share a message, which
 * costs far more than a frame. The caller does not notice.
 *
 * States: *closed* → *open* (from the first call on) → *closed* (nothing was under way for a moment, so
 * that no stream keeps the process alive; or the stream was lost). *refused*, from any state: what is at
 * the other end does not take the stream, and all calls are unary from then on.
 *
 * If the stream is lost, its calls fail as if each had lost a connection of its own. Their callers send
 * them again, with the same run ids and signal ids, on a new stream.
 */
import {
  create,
  type DescMessage,
  type DescMethodBiDiStreaming,
  type DescMethodClientStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  isMessage,
  type Message,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import {
  CancelRunRequestSchema,
  type ClientFrame,
  ClientFrameSchema,
  type ClientReply,
  GetRunRequestSchema,
  RunService,
  type RunServiceAttachRequest,
  RunServiceAttachRequestSchema,
  SendSignalRequestSchema,
  type StartRunRequest,
  StartRunRequestSchema,
  type StartRunResponse,
  StartRunResponseSchema,
  WaitRunRequestSchema,
} from "@pawl/proto";
import { durationFromMs } from "../duration.ts";
import { RequestError } from "../errors.ts";
import { limits } from "../limits.ts";
import { errorFromFrame, isLostConnection, isTransient, unavailableError } from "./status.ts";
import type { CallOptions, Duplex, DuplexHandlers, Transport } from "./transport.ts";

/** For how long a stream without calls stays open, in ms. */
const idleMs = 50;
/** What a frame without payloads has at most, about. */
const frameBytes = 1_024;

type Body = ClientFrame["body"];

/** Nobody takes the stream; the same call is to be made as a unary one. */
class StreamRefused extends Error {}

interface Pending {
  readonly resolve: (value: Message) => void;
  readonly reject: (error: unknown) => void;
}

export class FramedCalls implements Transport {
  readonly #inner: Transport;
  #stream: CallStream | undefined;
  #refused: boolean;

  constructor(inner: Transport) {
    this.#inner = inner;
    this.#refused = inner.prefersFrames !== true;
  }

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    const message = create(method.input, request);
    const body = options.timeoutMs === undefined ? bodyOf(message) : undefined;
    const value = body === undefined ? undefined : await this.#ask(body, options);
    if (value === undefined) return this.#inner.unary(method, request, options);
    if (isMessage(value, method.output)) return value;
    throw mismatched(value);
  }

  /**
   * Starts a run and waits for its end, for this long at most; the response has the run as it is then.
   * Without the stream it only starts it.
   */
  async startAndWait(start: StartRunRequest, timeoutMs: number): Promise<StartRunResponse> {
    const timeout = durationFromMs(timeoutMs);
    const value = await this.#ask(
      create(ClientFrameSchema, { body: { case: "startAndWait", value: { start, timeout } } }).body,
      {},
    );
    if (value === undefined) return this.#inner.unary(RunService.method.startRun, start);
    if (isMessage(value, StartRunResponseSchema)) return value;
    throw mismatched(value);
  }

  serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    options?: CallOptions,
  ): AsyncIterable<MessageShape<O>> {
    return this.#inner.serverStream(method, request, options);
  }

  clientStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodClientStreaming<I, O>,
    requests: Iterable<MessageInitShape<I>>,
    options?: CallOptions,
  ): Promise<MessageShape<O>> {
    return this.#inner.clientStream(method, requests, options);
  }

  duplex<I extends DescMessage, O extends DescMessage>(
    method: DescMethodBiDiStreaming<I, O>,
    handlers: DuplexHandlers<MessageShape<O>>,
  ): Duplex<MessageShape<I>> {
    return this.#inner.duplex(method, handlers);
  }

  /** Ends the stream as soon as nothing is under way. The transport itself is its owner's. */
  close(): void {
    this.#stream?.endIfIdle();
  }

  /** Undefined where the stream is not taken: the call is to be made as a unary one. */
  async #ask(body: Body, { abortSignal: signal }: CallOptions): Promise<Message | undefined> {
    if (this.#refused) return undefined;
    if (signal?.aborted === true) throw cancelled();
    this.#stream ??= new CallStream(this.#inner, (stream, isRefused) => {
      if (this.#stream === stream) this.#stream = undefined;
      this.#refused ||= isRefused;
    });
    try {
      return await this.#stream.ask(body, signal);
    } catch (error) {
      if (error instanceof StreamRefused) return undefined;
      throw error;
    }
  }
}

/** One stream, from its first frame until it ends. */
class CallStream {
  readonly #duplex: Duplex<RunServiceAttachRequest>;
  readonly #onEnd: (stream: CallStream, isRefused: boolean) => void;
  readonly #pending = new Map<number, Pending>();
  #outgoing: ClientFrame[] = [];
  #lastId = 0;
  #isScheduled = false;
  #idling: NodeJS.Timeout | undefined;
  #ended = false;
  /** The other side has replied to something. */
  #wasTaken = false;

  constructor(transport: Transport, onEnd: (stream: CallStream, isRefused: boolean) => void) {
    this.#onEnd = onEnd;
    this.#duplex = transport.duplex(RunService.method.attach, {
      onMessage: ({ replies }) => {
        this.#wasTaken = true;
        for (const reply of replies) this.#settle(reply);
      },
      onEnd: (error) => this.#lost(error),
    });
  }

  ask(body: Body, signal: AbortSignal | undefined): Promise<Message> {
    clearTimeout(this.#idling);
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const forget = () => {
        this.#pending.delete(id);
        this.#push(create(ClientFrameSchema, { body: { case: "forget", value: { id } } }));
        this.#rest();
        reject(cancelled());
      };
      const done = () => signal?.removeEventListener("abort", forget);
      signal?.addEventListener("abort", forget, { once: true });
      this.#pending.set(id, {
        resolve: (value) => {
          done();
          resolve(value);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      });
      this.#push(create(ClientFrameSchema, { id, body }));
    });
  }

  endIfIdle(): void {
    if (this.#pending.size > 0 || this.#ended) return;
    this.#flush();
    this.#ended = true;
    clearTimeout(this.#idling);
    this.#onEnd(this, false);
    this.#duplex.end();
  }

  #push(frame: ClientFrame): void {
    if (this.#ended) return;
    this.#outgoing.push(frame);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    const frames = this.#outgoing;
    this.#outgoing = [];
    let from = 0;
    let bytes = 0;
    for (const [index, { body }] of frames.entries()) {
      const size = bytesOf(body);
      const isFull = index - from >= limits.framesPerMessageMax;
      if (index > from && (isFull || bytes + size > limits.sessionMessageBytesMax)) {
        this.#send(frames.slice(from, index));
        from = index;
        bytes = 0;
      }
      bytes += size;
    }
    if (frames.length > from) this.#send(from === 0 ? frames : frames.slice(from));
  }

  /** One frame that cannot be encoded keeps none of the others from leaving. */
  #send(frames: ClientFrame[]): void {
    if (this.#ended) return;
    try {
      this.#duplex.send(create(RunServiceAttachRequestSchema, { frames }));
    } catch (error) {
      const [only] = frames;
      if (frames.length > 1) for (const frame of frames) this.#send([frame]);
      else if (only !== undefined) this.#take(only.id)?.reject(error);
    }
  }

  #settle({ id, result }: ClientReply): void {
    const pending = this.#take(id);
    if (pending === undefined || result.case === undefined) return;
    if (result.case === "error") pending.reject(errorFromFrame(result.value));
    else pending.resolve(result.value);
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    this.#rest();
    return pending;
  }

  #rest(): void {
    if (this.#pending.size > 0) return;
    clearTimeout(this.#idling);
    this.#idling = setTimeout(() => this.endIfIdle(), idleMs);
  }

  #lost(error: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#idling);
    const failure = lossOf(error);
    this.#onEnd(this, failure instanceof StreamRefused && !this.#wasTaken);
    for (const { reject } of this.#pending.values()) reject(failure);
    this.#pending.clear();
  }
}

/** What the end of a stream means for the calls on it. */
function lossOf(error: Error | undefined): Error {
  if (error === undefined) return unavailableError("the server closed the stream");
  if (isTransient(error)) return error;
  const isSlow = error instanceof RequestError && error.reason === "SLOW_CONSUMER";
  return isSlow || isLostConnection(error)
    ? unavailableError(error.message, error)
    : new StreamRefused();
}

function bodyOf(message: Message): Body | undefined {
  if (isMessage(message, StartRunRequestSchema)) return { case: "startRun", value: message };
  if (isMessage(message, WaitRunRequestSchema)) return { case: "waitRun", value: message };
  if (isMessage(message, GetRunRequestSchema)) return { case: "getRun", value: message };
  if (isMessage(message, CancelRunRequestSchema)) return { case: "cancelRun", value: message };
  if (isMessage(message, SendSignalRequestSchema)) return { case: "sendSignal", value: message };
  return undefined;
}

function bytesOf(body: Body): number {
  switch (body.case) {
    case "startRun":
      return frameBytes + (body.value.input?.data.length ?? 0);
    case "startAndWait":
      return frameBytes + (body.value.start?.input?.data.length ?? 0);
    case "sendSignal":
      return frameBytes + (body.value.payload?.data.length ?? 0);
    default:
      return frameBytes;
  }
}

/** As a unary call fails that its caller gives up. */
function cancelled(): RequestError {
  return new RequestError({ reason: "CANCELLED", message: "Cancelled on client", code: 1 });
}

function mismatched({ $typeName }: Message): RequestError {
  const message = `the server replied with a ${$typeName}, which does not belong to the call`;
  return new RequestError({ reason: "INTERNAL", message, code: 13 });
}
