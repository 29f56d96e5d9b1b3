/** Clients for the tests of the wire: grpc-js over the contract, plain HTTP, and a bare session. */
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Client, type ClientDuplexStream, credentials, type ServiceError } from "@grpc/grpc-js";
import {
  type ServerFrame,
  WorkerService,
  WorkerServiceAttachRequestSchema,
  WorkerServiceAttachResponseSchema,
} from "@pawl/proto";
import { ErrorInfoSchema, RetryInfoSchema } from "@pawl/proto/google/rpc/error_details_pb.js";
import { StatusSchema } from "@pawl/proto/google/rpc/status_pb.js";

/** An error of any transport, as the tests compare it. */
export interface Refusal {
  code: number;
  reason: string;
  message: string;
  metadata: Record<string, string>;
  retryDelayMs: number | undefined;
}

/** What grpc-js rejected with, its details decoded. */
export function refusalOf(error: unknown): Refusal {
  const { code, details, metadata } = error as ServiceError;
  const [trailer] = metadata.get("grpc-status-details-bin");
  if (!(trailer instanceof Uint8Array)) {
    return { code, reason: "", message: details, metadata: {}, retryDelayMs: undefined };
  }
  const status = fromBinary(StatusSchema, trailer);
  const info = status.details.map((any) => anyUnpack(any, ErrorInfoSchema)).find((one) => one);
  const retry = status.details.map((any) => anyUnpack(any, RetryInfoSchema)).find((one) => one);
  const delay = retry?.retryDelay;
  return {
    code: status.code,
    reason: info?.domain === "pawl.dev" ? info.reason : "",
    message: status.message,
    metadata: { ...info?.metadata },
    retryDelayMs: delay && Number(delay.seconds) * 1_000 + delay.nanos / 1e6,
  };
}

export function grpcClient(address: string): Client {
  return new Client(address, credentials.createInsecure(), {
    "grpc.max_send_message_length": -1,
    "grpc.max_receive_message_length": -1,
  });
}

const identity = (bytes: Buffer): Buffer => bytes;

/** One unary call. Rejects with grpc-js's error; see `refusalOf`. */
export async function callGrpc<I extends DescMessage, O extends DescMessage>(
  client: Client,
  method: DescMethodUnary<I, O>,
  request: MessageInitShape<I>,
): Promise<MessageShape<O>> {
  const bytes = toBinary(method.input, create(method.input, request));
  return fromBinary(method.output, await callRaw(client, method, bytes));
}

/** The same with bytes that need not be a message. */
export function callRaw(
  client: Client,
  method: { readonly name: string; readonly parent: { readonly typeName: string } },
  bytes: Uint8Array,
): Promise<Uint8Array> {
  const path = `/${method.parent.typeName}/${method.name}`;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, identity, identity, Buffer.from(bytes), (error, response) => {
      if (error !== null) reject(error);
      else resolve(response ?? new Uint8Array());
    });
  });
}

/** What a call answered, or the refusal. */
export async function attempt<T>(call: Promise<T>): Promise<T | Refusal> {
  try {
    return await call;
  } catch (error) {
    return refusalOf(error);
  }
}

/** POSTs to an RPC; a string goes as it is, anything else as JSON. */
export async function postJson(
  httpUrl: string,
  rpc: string,
  body: unknown,
): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${httpUrl}/pawl.v1.${rpc}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: response.status, body: JSON.parse(await response.text()) };
}

interface ConnectErrorJson {
  code: string;
  message: string;
  details?: {
    type: string;
    debug?: { reason?: string; domain?: string; metadata?: Record<string, string> };
  }[];
}

/** Reason and metadata of an error in Connect's JSON. */
export function connectRefusal(body: unknown): {
  code: string;
  reason: string;
  metadata: Record<string, string>;
} {
  const { code, details = [] } = body as ConnectErrorJson;
  const info = details.find(({ type }) => type === "google.rpc.ErrorInfo")?.debug;
  return {
    code,
    reason: info?.domain === "pawl.dev" ? (info.reason ?? "") : "",
    metadata: info?.metadata ?? {},
  };
}

type FrameInit = NonNullable<
  MessageInitShape<typeof WorkerServiceAttachRequestSchema>["frames"]
>[number];

/** A session without an SDK: frames out, frames in. */
export class RawSession implements Disposable {
  readonly #call: ClientDuplexStream<Buffer, Buffer>;
  readonly #frames: ServerFrame[] = [];
  #wake: () => void = () => undefined;
  /** How the stream ended: the refusal, or undefined for an orderly end. */
  readonly ended: Promise<Refusal | undefined>;
  /** Messages that came so far. */
  messages = 0;

  constructor(client: Client) {
    const { method } = WorkerService;
    const path = `/${WorkerService.typeName}/${method.attach.name}`;
    this.#call = client.makeBidiStreamRequest(path, identity, identity);
    this.#call.on("data", (bytes: Buffer) => {
      this.messages += 1;
      this.#frames.push(...fromBinary(WorkerServiceAttachResponseSchema, bytes).frames);
      this.#wake();
    });
    this.ended = new Promise((resolve) => {
      this.#call.on("error", (error) => resolve(refusalOf(error)));
      this.#call.on("end", () => resolve(undefined));
    });
    void this.ended.then(() => this.#wake());
  }

  /** Opens a session and waits for its Welcome. */
  static async open(
    client: Client,
    workflows: readonly string[],
    names: { workerId?: string; instanceId?: string; credits?: number } = {},
  ): Promise<RawSession> {
    const session = new RawSession(client);
    const { workerId = "worker", instanceId = crypto.randomUUID(), credits = 0 } = names;
    session.send(hello(workflows, { workerId, instanceId }));
    if (credits > 0) session.send({ body: { case: "credits", value: { count: credits } } });
    await session.next("welcome");
    return session;
  }

  send(...frames: FrameInit[]): void {
    this.sendBytes(
      toBinary(
        WorkerServiceAttachRequestSchema,
        create(WorkerServiceAttachRequestSchema, { frames }),
      ),
    );
  }

  sendBytes(bytes: Uint8Array): void {
    this.#call.write(Buffer.from(bytes));
  }

  /** The next frame of that kind; others that came before it are dropped. */
  async next<K extends keyof FrameValues>(kind: K): Promise<FrameValues[K]> {
    while (true) {
      const value = valueIn(await this.nextBody(), kind);
      if (value !== undefined) return value;
    }
  }

  /** What the next frame is, of any kind. */
  async nextBody(): Promise<ServerFrame["body"]> {
    while (true) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return frame.body;
      const over = Promise.withResolvers<void>();
      this.#wake = over.resolve;
      const end = await Promise.race([over.promise, this.ended.then((refusal) => ({ refusal }))]);
      if (end !== undefined && this.#frames.length === 0) {
        throw new Error(`The session ended: ${JSON.stringify(end.refusal)}`);
      }
    }
  }

  /** Stops reading, without closing. */
  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  close(): void {
    this.#call.end();
  }

  [Symbol.dispose](): void {
    this.#call.cancel();
  }
}

type Body = ServerFrame["body"];
/** The content of each kind of frame. */
type FrameValues = {
  [B in Body as B extends { value: unknown } ? B["case"] & string : never]: NonNullable<B["value"]>;
};

function valueIn<K extends keyof FrameValues>(body: Body, kind: K): FrameValues[K] | undefined {
  // The compiler does not tie `case` to `value` through a type parameter.
  return body.case === kind ? (body.value as FrameValues[K]) : undefined;
}

export function hello(
  workflows: readonly string[],
  names: { workerId?: string; instanceId?: string; protocolVersion?: number } = {},
): FrameInit {
  const { workerId = "worker", instanceId = "instance", protocolVersion = 1 } = names;
  const worker = { workerId, instanceId, workflows: workflows.map((name) => ({ name })) };
  return { body: { case: "hello", value: { protocolVersion, worker } } };
}
