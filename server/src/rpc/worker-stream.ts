/**
 * WorkerService.Attach, whatever carries it.
 *
 * States: *greeting* (no Hello yet) → *opening* (the engine is asked; frames wait) → *open* →
 * *ended* (from any state: the other side closed, Hello was refused, the worker does not read, its key
 * was revoked, or the server stops).
 *
 * Invariants:
 * 1. Frames reach the engine in the order of arrival; none waits for the answer to another.
 * 2. A frame that cannot be read or is refused is answered with an error under its id (0: none)
 *    and changes nothing else. Only a refused Hello ends the stream.
 * 3. A frame with id 0 is answered only when it fails.
 * 4. `WorkerConnection.closed` is called exactly once for every connection that the engine opened, but
 *    not when the server stops: the worker takes its leases along to the next server.
 */
import type {
  Hello,
  Reply,
  ServerFrame,
  StepCompletedRequest,
  WorkerFrame,
  WorkerServiceAttachRequest,
  WorkerServiceAttachResponse,
} from "@pawl/proto";
import type { EngineApi, WorkerConnection } from "../engine/engine-api.ts";
import type { Log } from "../lib/log.ts";
import { BOUNDS } from "../model/bounds.ts";
import { invalid, PawlError } from "../model/errors.ts";
import type { CallContext, Duplex } from "./binding.ts";
import {
  ridesAhead,
  stepCompletedIn,
  stepCompletedOut,
  stepStartedIn,
} from "./convert/step-messages.ts";
import { heldIn, leasesIn, workerInfoIn } from "./convert/worker-messages.ts";
import { frameError, wireError } from "./errors.ts";
import { applyControlFrame, handleRequest } from "./worker-requests.ts";
import { outboxSink, replyBytes, SMALL_FRAME, welcome } from "./worker-stream-frames.ts";
import { Outbox } from "./worker-stream-outbox.ts";
import { type AwaitedReply, Replies } from "./worker-stream-replies.ts";

const PROTOCOL_VERSION = 1;
const METHOD = "pawl.v1.WorkerService/Attach";

type AttachStream = Duplex<WorkerServiceAttachRequest, WorkerServiceAttachResponse>;

/** The open connections of a server. */
export class WorkerStreams {
  readonly #open = new Set<WorkerStream>();

  add(connection: WorkerStream): void {
    this.#open.add(connection);
  }

  delete(connection: WorkerStream): void {
    this.#open.delete(connection);
  }

  get size(): number {
    return this.#open.size;
  }

  /** Reads no more of them: what is not read will be sent again to the next server. */
  pauseAll(): void {
    for (const connection of this.#open) connection.pause();
  }

  /** Sends what waits and closes the streams. Takes as long as the workers take to read. */
  async endAll(): Promise<void> {
    await Promise.all([...this.#open].map((connection) => connection.finish()));
  }
}

export function attachWorker(
  engine: EngineApi,
  stream: AttachStream,
  context: CallContext,
  connections: WorkerStreams,
  log: Log,
): void {
  const connection = new WorkerStream(engine, stream, context, log, () =>
    connections.delete(connection),
  );
  connections.add(connection);
  stream.start(connection);
}

type State =
  | { readonly name: "greeting" }
  | { readonly name: "opening"; readonly waiting: WorkerFrame[] }
  | { readonly name: "open"; readonly worker: WorkerConnection }
  | { readonly name: "ended" };

class WorkerStream {
  readonly #engine: EngineApi;
  readonly #stream: AttachStream;
  readonly #context: CallContext;
  readonly #log: Log;
  readonly #onEnd: () => void;
  readonly #outbox: Outbox;
  readonly #replies: Replies;
  #state: State = { name: "greeting" };
  /** Frames that the engine has not answered yet. */
  #pending = 0;
  #paused = false;
  /** The server stops: frames that still come are left for the next one. */
  #stopping = false;

  constructor(
    engine: EngineApi,
    stream: AttachStream,
    context: CallContext,
    log: Log,
    onEnd: () => void,
  ) {
    this.#engine = engine;
    this.#stream = stream;
    this.#context = context;
    this.#log = log;
    this.#onEnd = onEnd;
    this.#outbox = new Outbox({
      write: (frames, done) =>
        stream.write({ $typeName: "pawl.v1.WorkerServiceAttachResponse", frames }, done),
      overflow: () => {
        this.#log.warn("connection.slow_reader", { limit_bytes: BOUNDS.connectionBufferedBytes });
        this.#end(slowReader());
      },
      dropped: (frame, error) => this.#dropped(frame, error),
    });
    this.#replies = new Replies(this.#outbox);
    context.signal.addEventListener("abort", () => this.#refused(context.signal.reason));
  }

  message(message: WorkerServiceAttachRequest): void {
    if (this.#stopping) return;
    for (const frame of message.frames) this.#receive(frame);
  }

  undecodable(error: Error): void {
    this.#refuse(0, error);
  }

  /** The worker closed the stream or is gone. */
  ended(): void {
    this.#end();
  }

  pause(): void {
    this.#stopping = true;
    this.#stream.pause();
  }

  /** Sends what waits, then closes the stream. */
  async finish(): Promise<void> {
    await this.#outbox.drained();
    this.#end();
  }

  #receive(frame: WorkerFrame): void {
    const state = this.#state;
    switch (state.name) {
      case "open":
        try {
          this.#handle(state.worker, frame);
        } catch (error) {
          this.#refuse(frame.id, error);
        }
        return;
      case "opening":
        state.waiting.push(frame);
        return;
      case "greeting":
        if (frame.body.case === "hello") this.#open(frame.body.value);
        else this.#refuse(frame.id, invalid("hello", "must be the first frame of a connection"));
        return;
      case "ended":
        return;
    }
  }

  #open(hello: Hello): void {
    const waiting: WorkerFrame[] = [];
    this.#state = { name: "opening", waiting };
    this.#outbox.hold();
    this.#stream.pause();
    this.#greet(hello).then(
      (worker) => {
        if (this.#state.name !== "opening") {
          worker.closed();
          return;
        }
        this.#state = { name: "open", worker };
        const frame = welcome(worker);
        this.#outbox.release(frame, SMALL_FRAME * (2 + worker.survived.length));
        for (const waited of waiting) this.#receive(waited);
        if (!this.#stopping) this.#stream.resume();
      },
      (error: unknown) => this.#end(error),
    );
  }

  async #greet(hello: Hello): Promise<WorkerConnection> {
    if (hello.protocolVersion !== PROTOCOL_VERSION) throw versionUnsupported(hello.protocolVersion);
    const worker = workerInfoIn(hello.worker);
    const sink = outboxSink(this.#outbox, this.#replies, (reason) => this.#replaced(reason));
    return await this.#engine.workers.attach(
      this.#context.caller,
      { worker, held: leasesIn(hello.leases) },
      sink,
    );
  }

  #handle(worker: WorkerConnection, frame: WorkerFrame): void {
    const { id, body } = frame;
    switch (body.case) {
      case "stepCompleted":
        this.#stepCompleted(worker, id, body.value);
        return;
      case "stepStarted":
        if (id === 0 && ridesAhead(body.value.kind, body.value.recovery)) {
          worker.stepStartedLive(stepStartedIn(body.value));
          return;
        }
        this.#answer(id, handleRequest(this.#engine, worker.caller, body), body.value);
        return;
      case "stepFailed":
        this.#answer(id, handleRequest(this.#engine, worker.caller, body), body.value);
        return;
      case "suspendRun":
      case "completeRun":
      case "failRun":
      case "publishEvents":
      case "closeWaits":
      case "beginCleanUp":
        this.#answer(id, handleRequest(this.#engine, worker.caller, body));
        return;
      case "heartbeat":
        worker.heartbeat(heldIn(body.value)).catch((error: unknown) => this.#refuse(id, error));
        return;
      default:
        applyControlFrame(worker, body);
    }
  }

  /** The hot path: as `#answer`, with fewer promises. */
  #stepCompleted({ caller }: WorkerConnection, id: number, request: StepCompletedRequest): void {
    const answer = this.#engine.steps.complete(caller, stepCompletedIn(request));
    this.#begun();
    answer.then(
      (reply) => {
        this.#settled();
        if (id === 0) return;
        const value = stepCompletedOut(reply);
        const frame = replyFrame(id, { case: "stepCompleted", value });
        this.#outbox.push(frame, SMALL_FRAME, request.runId, reply.seq);
      },
      (error: unknown) => {
        this.#settled();
        this.#refuse(id, error);
      },
    );
  }

  /** `about`: the step or wait that it is about, if it reports the end of one. */
  #answer(
    id: number,
    answer: Promise<Reply["result"]>,
    about?: { readonly runId: string; readonly stepKey: string },
  ): void {
    const isAwaited = about !== undefined && id !== 0;
    const awaited = isAwaited ? this.#replies.expect(about.runId, about.stepKey) : undefined;
    this.#begun();
    answer
      .then((result) => {
        if (id !== 0) this.#replies.send(awaited, replyFrame(id, result), replyBytes(result));
      })
      .catch((error: unknown) => this.#refuse(id, error, awaited))
      .finally(() => {
        if (awaited !== undefined) this.#replies.settle(awaited);
        this.#settled();
      });
  }

  #begun(): void {
    this.#pending += 1;
    if (this.#pending > BOUNDS.connectionPendingFrames && !this.#paused) {
      this.#paused = true;
      this.#stream.pause();
    }
  }

  #settled(): void {
    this.#pending -= 1;
    if (this.#paused && this.#pending < BOUNDS.connectionPendingFrames / 2) {
      this.#paused = false;
      if (!this.#stopping) this.#stream.resume();
    }
  }

  #refuse(id: number, error: unknown, awaited?: AwaitedReply): void {
    const result = {
      case: "error" as const,
      value: frameError(wireError(error, this.#log, METHOD)),
    };
    this.#replies.send(awaited, replyFrame(id, result), replyBytes(result));
  }

  /** A frame that fits no message: its request gets an error, anything else ends the connection. */
  #dropped(frame: ServerFrame, error: unknown): void {
    this.#log.error("connection.frame_too_large", { frame: frame.body.case, error });
    if (frame.body.case === "reply" && frame.body.value.result.case !== "error") {
      this.#refuse(frame.body.value.id, error);
    } else {
      this.#end(error);
    }
  }

  /** The call is over. A worker that has lost the right to it is told so, and nothing that still comes is read. */
  #refused(reason: unknown): void {
    if (reason instanceof PawlError && reason.reason === "UNAUTHENTICATED") this.#end(reason);
  }

  #replaced(reason: string): void {
    this.#log.info("connection.replaced", { reason });
    this.#end(new PawlError("LEASE_LOST", reason));
  }

  #end(error?: unknown): void {
    const state = this.#state;
    if (state.name === "ended") return;
    this.#state = { name: "ended" };
    this.#outbox.close();
    this.#onEnd();
    this.#stream.end(error);
    if (state.name === "open" && !this.#stopping) state.worker.closed();
  }
}

function replyFrame(id: number, result: Reply["result"]): ServerFrame {
  const value = { $typeName: "pawl.v1.Reply" as const, id, result };
  return { $typeName: "pawl.v1.ServerFrame", body: { case: "reply", value } };
}

function versionUnsupported(asked: number): PawlError {
  return new PawlError(
    "VERSION_UNSUPPORTED",
    `The worker speaks protocol version ${asked}; this server speaks ${PROTOCOL_VERSION}. ` +
      "Install an SDK of the server's release.",
    { metadata: { asked: String(asked), supported: String(PROTOCOL_VERSION) } },
  );
}

function slowReader(): PawlError {
  return new PawlError(
    "SLOW_CONSUMER",
    `The worker does not read its connection: over ${BOUNDS.connectionBufferedBytes} bytes wait. Reconnect.`,
    { retryAfterMs: 1_000 },
  );
}
