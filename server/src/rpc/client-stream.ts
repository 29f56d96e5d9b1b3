/**
 * RunService.Attach: the calls of a client as frames of one stream, whatever carries it.
 *
 * States: *open* → *closing* (the server stops: no frame is read any more, those that were read are
 * answered) → *ended* (also from open: the client closed the stream or does not read).
 *
 * Invariants:
 * 1. A frame is what the unary call is whose request it carries: the same function handles both, with
 *    the same caller.
 * 2. Every frame gets one reply, unless the client forgets it; none waits for another.
 * 3. A frame that is refused or cannot be read changes nothing else.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type ClientFrame,
  type ClientReply,
  ClientReplySchema,
  type Payload,
  RunService,
  type RunServiceAttachRequest,
  type RunServiceAttachResponse,
  SignalService,
} from "@pawl/proto";
import { type Permit, permitFor } from "../auth/permissions.ts";
import type { Log } from "../lib/log.ts";
import { BOUNDS } from "../model/bounds.ts";
import { invalid, PawlError } from "../model/errors.ts";
import type { CallContext, Duplex } from "./binding.ts";
import type { ClientCalls } from "./client-calls.ts";
import { frameError, wireError } from "./errors.ts";
import { FrameOutbox } from "./frame-outbox.ts";

const METHOD = "pawl.v1.RunService/Attach";
/** About what a reply has without its payloads. */
const REPLY_BYTES = 512;

type Stream = Duplex<RunServiceAttachRequest, RunServiceAttachResponse>;
type FrameCase = NonNullable<ClientFrame["body"]["case"]>;
type ResultInit = NonNullable<MessageInitShape<typeof ClientReplySchema>["result"]>;

const { method } = RunService;

/** A frame is for callers who may make the unary calls that it stands for. */
const PERMITS: Readonly<Record<Exclude<FrameCase, "forget">, readonly Permit[]>> = {
  startRun: [permitFor(method.startRun)],
  startAndWait: [permitFor(method.startRun), permitFor(method.waitRun)],
  waitRun: [permitFor(method.waitRun)],
  getRun: [permitFor(method.getRun)],
  cancelRun: [permitFor(method.cancelRun)],
  sendSignal: [permitFor(SignalService.method.sendSignal)],
};

export function attachClient(
  calls: ClientCalls,
  stream: Stream,
  context: CallContext,
  log: Log,
): void {
  stream.start(new ClientStream(calls, stream, context, log));
}

class ClientStream {
  readonly #calls: ClientCalls;
  readonly #stream: Stream;
  readonly #context: CallContext;
  readonly #log: Log;
  readonly #outbox: FrameOutbox<ClientReply>;
  /** By the id of a frame that has no reply yet: what ends its wait. */
  readonly #pending = new Map<number, AbortController>();
  #state: "open" | "closing" | "ended" = "open";

  constructor(calls: ClientCalls, stream: Stream, context: CallContext, log: Log) {
    this.#calls = calls;
    this.#stream = stream;
    this.#context = context;
    this.#log = log;
    this.#outbox = new FrameOutbox({
      write: (replies, done) =>
        stream.write({ $typeName: "pawl.v1.RunServiceAttachResponse", replies }, done),
      overflow: () => {
        log.warn("client.slow_reader", { limit_bytes: BOUNDS.connectionBufferedBytes });
        this.#end(slowReader());
      },
      dropped: (reply, error) => this.#refuse(reply.id, error),
    });
    context.signal.addEventListener("abort", () => this.#stop(), { once: true });
  }

  message({ frames }: RunServiceAttachRequest): void {
    for (const frame of frames) if (this.#state === "open") this.#receive(frame);
  }

  undecodable(error: Error): void {
    this.#refuse(0, error);
  }

  ended(): void {
    this.#end();
  }

  #receive({ id, body }: ClientFrame): void {
    if (body.case === "forget") {
      const forgotten = this.#pending.get(body.value.id);
      this.#pending.delete(body.value.id);
      forgotten?.abort();
      return;
    }
    const problem = this.#problemWith(id);
    if (problem !== undefined) {
      this.#refuse(id, problem);
      return;
    }
    const controller = new AbortController();
    this.#pending.set(id, controller);
    const { caller, host } = this.#context;
    this.#answer(body, { caller, host, signal: controller.signal }).then(
      (result) => this.#settle(id, controller, () => this.#reply(id, result)),
      (error: unknown) => this.#settle(id, controller, () => this.#refuse(id, error)),
    );
  }

  #problemWith(id: number): PawlError | undefined {
    if (id === 0) return invalid("id", "must not be 0, because it identifies the reply");
    if (this.#pending.has(id)) return invalid("id", "is that of a frame that has no reply yet");
    if (this.#pending.size < BOUNDS.connectionPendingFrames) return undefined;
    return new PawlError(
      "RATE_LIMITED",
      `${this.#pending.size} frames of this stream have no reply yet. Send the same again in a moment.`,
      { retryAfterMs: 200 },
    );
  }

  async #answer(body: ClientFrame["body"], context: CallContext): Promise<ResultInit> {
    const calls = this.#calls;
    if (body.case !== undefined && body.case !== "forget")
      for (const permit of PERMITS[body.case]) permit(context.caller);
    switch (body.case) {
      case "startRun":
        return { case: body.case, value: await calls.startRun(body.value, context) };
      case "startAndWait":
        return { case: body.case, value: await calls.startAndWait(body.value, context) };
      case "waitRun":
        return { case: body.case, value: await calls.waitRun(body.value, context) };
      case "getRun":
        return { case: body.case, value: await calls.getRun(body.value, context) };
      case "cancelRun":
        return { case: body.case, value: await calls.cancelRun(body.value, context) };
      case "sendSignal":
        return { case: body.case, value: await calls.sendSignal(body.value, context) };
      default:
        throw invalid("body", "is of no kind that this server knows");
    }
  }

  #settle(id: number, controller: AbortController, send: () => void): void {
    // Forgotten, and perhaps sent again under the same id.
    if (this.#pending.get(id) !== controller) return;
    this.#pending.delete(id);
    send();
    if (this.#state === "closing" && this.#pending.size === 0) void this.#finish();
  }

  #reply(id: number, result: ResultInit): void {
    const reply = create(ClientReplySchema, { id, result });
    this.#outbox.push(reply, bytesOf(reply));
  }

  #refuse(id: number, error: unknown): void {
    const value = frameError(wireError(error, this.#log, METHOD));
    this.#reply(id, { case: "error", value });
  }

  /** The call is over: since the server stops, or since the client is gone, which is told as well. */
  #stop(): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#stream.pause();
    if (this.#pending.size === 0) void this.#finish();
    // Waits are answered with the run as it is; what is being written is answered when it is.
    else for (const controller of this.#pending.values()) controller.abort();
  }

  /** Sends what waits; what was not read, the client sends to the next server. */
  async #finish(): Promise<void> {
    await this.#outbox.drained();
    this.#end(this.#context.signal.reason);
  }

  #end(error?: unknown): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#outbox.close();
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const controller of pending) controller.abort();
    this.#stream.end(error);
  }
}

function slowReader(): PawlError {
  return new PawlError(
    "SLOW_CONSUMER",
    `The client does not read its stream: over ${BOUNDS.connectionBufferedBytes} bytes wait. Reconnect.`,
    { retryAfterMs: 1_000 },
  );
}

function bytesOf({ result }: ClientReply): number {
  switch (result.case) {
    case "startRun":
    case "startAndWait":
    case "waitRun":
    case "getRun":
    case "cancelRun": {
      const { run } = result.value;
      return REPLY_BYTES + payloadBytes(run?.output) + payloadBytes(run?.input);
    }
    default:
      return REPLY_BYTES;
  }
}

function payloadBytes(payload: Payload | undefined): number {
  return payload?.data.byteLength ?? 0;
}
