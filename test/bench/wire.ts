/** A gRPC client that adds nothing: what the benches use where an SDK would blur the figures. */
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Client, type ClientDuplexStream, credentials } from "@grpc/grpc-js";
import {
  type ServerFrame,
  type WorkerFrame,
  WorkerFrameSchema,
  type WorkerServiceAttachRequest,
  WorkerServiceAttachRequestSchema,
  type WorkerServiceAttachResponse,
  WorkerServiceAttachResponseSchema,
} from "@pawl/proto";

const attachPath = "/pawl.v1.WorkerService/Attach";

/** One connection. */
export class Wire {
  readonly #client: Client;

  /** `address`: `host:port`. */
  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure());
  }

  /** One unary call. Rejects with grpc-js's ServiceError. */
  call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        `/${method.parent.typeName}/${method.name}`,
        (message: MessageShape<I>) => Buffer.from(toBinary(method.input, message)),
        (bytes: Buffer) => fromBinary(method.output, bytes),
        create(method.input, request),
        (error, response) => {
          if (error !== null) reject(error);
          else if (response === undefined) reject(new Error(`${method.name} answered nothing.`));
          else resolve(response);
        },
      );
    });
  }

  openSession(options: WireSessionOptions): WireSession {
    const stream = this.#client.makeBidiStreamRequest(
      attachPath,
      (message: WorkerServiceAttachRequest) =>
        Buffer.from(toBinary(WorkerServiceAttachRequestSchema, message)),
      (bytes: Buffer) => fromBinary(WorkerServiceAttachResponseSchema, bytes),
    );
    return new WireSession(stream, options);
  }

  close(): void {
    this.#client.close();
  }
}

export interface WireSessionOptions {
  /** Receives the frames that are not replies. */
  onFrame: (body: ServerFrame["body"]) => void;
  /** The stream broke, or a frame without an id was refused. */
  onError: (error: Error) => void;
}

/** `WorkerService.Attach` as frames and replies; frames of one turn share a message. */
export class WireSession {
  readonly #stream: ClientDuplexStream<WorkerServiceAttachRequest, WorkerServiceAttachResponse>;
  readonly #waiters = new Map<number, (frame: ServerFrame["body"]) => void>();
  #outgoing: WorkerFrame[] = [];
  #lastId = 0;

  constructor(
    stream: ClientDuplexStream<WorkerServiceAttachRequest, WorkerServiceAttachResponse>,
    options: WireSessionOptions,
  ) {
    this.#stream = stream;
    stream.on("error", options.onError);
    stream.on("data", (response: WorkerServiceAttachResponse) => {
      for (const { body } of response.frames) {
        if (body.case !== "reply") {
          options.onFrame(body);
          continue;
        }
        const { id, result } = body.value;
        const waiter = this.#waiters.get(id);
        this.#waiters.delete(id);
        if (waiter !== undefined) waiter(body);
        else if (result.case === "error") options.onError(new Error(result.value.message));
      }
    });
  }

  /** Sends a frame that wants no reply. */
  send(body: WorkerFrame["body"]): void {
    this.#push(create(WorkerFrameSchema, { id: 0, body }));
  }

  /** Sends a frame and resolves with its reply, whatever that says. */
  request(body: WorkerFrame["body"]): Promise<ServerFrame["body"]> {
    this.#lastId += 1;
    const id = this.#lastId;
    this.#push(create(WorkerFrameSchema, { id, body }));
    return new Promise((resolve) => this.#waiters.set(id, resolve));
  }

  close(): void {
    this.#stream.end();
  }

  #push(frame: WorkerFrame): void {
    if (this.#outgoing.length === 0) setImmediate(() => this.#flush());
    this.#outgoing.push(frame);
  }

  #flush(): void {
    const frames = this.#outgoing;
    this.#outgoing = [];
    this.#stream.write(create(WorkerServiceAttachRequestSchema, { frames }));
  }
}

/** A frame's body from its fields. */
export function frameBody(
  body: NonNullable<MessageInitShape<typeof WorkerFrameSchema>["body"]>,
): WorkerFrame["body"] {
  return create(WorkerFrameSchema, { body }).body;
}

/** The reply's kind: `stepCompleted`, `error` … */
export function replyCase(body: ServerFrame["body"]): string | undefined {
  return body.case === "reply" ? body.value.result.case : body.case;
}
