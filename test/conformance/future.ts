/** A server that is newer than the SDKs: a proxy that puts values into replies that they do not know. */
import { once } from "node:events";
import {
  type ClientHttp2Session,
  connect,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import {
  StepService,
  type WorkerFrame,
  WorkerService,
  WorkerServiceAttachRequestSchema,
  WorkerServiceAttachResponseSchema,
} from "@pawl/proto";

/** Values whose meaning is that of UNSPECIFIED; as a number that no SDK knows, they must change nothing. */
const replaced: Readonly<Record<string, number>> = {
  "pawl.v1.Directive": 1,
  "pawl.v1.StepStartedResponse.Wait.Why": 3,
  "pawl.v1.StepFailedResponse.Final.Action": 1,
};
const unknownValue = 99;

/** The first frame of that kind for that step is answered with this error. */
export interface Refusal {
  readonly frame: "stepStarted" | "stepCompleted" | "stepFailed";
  readonly stepKey: string;
  readonly reason: string;
  readonly code: number;
}

/** Returns how many values it replaced. */
function age(message: ReflectMessage): number {
  let count = 0;
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    if (field.fieldKind === "enum") {
      if (replaced[field.enum.typeName] !== message.get(field)) continue;
      message.set(field, unknownValue);
      count += 1;
    } else if (field.fieldKind === "message") count += age(message.get(field));
    else if (field.fieldKind === "list" && field.listKind === "message") {
      for (const item of message.get(field)) count += age(item as ReflectMessage);
    }
  }
  return count;
}

/** The messages of a gRPC stream, as their bytes come. */
class Frames {
  #rest = Buffer.alloc(0);

  *take(data: Buffer): Generator<Buffer> {
    this.#rest = Buffer.concat([this.#rest, data]);
    for (;;) {
      if (this.#rest.length < 5) return;
      const end = 5 + this.#rest.readUInt32BE(1);
      if (this.#rest.length < end) return;
      yield this.#rest.subarray(5, end);
      this.#rest = this.#rest.subarray(end);
    }
  }
}

function framed(schema: DescMessage, message: Message): Buffer {
  const bytes = toBinary(schema, message);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

const methods = new Map<string, DescMethod>(
  [WorkerService, StepService].flatMap((service) =>
    service.methods.map((method) => [`/${service.typeName}/${method.name}`, method] as const),
  ),
);

/** What the calls of one proxy share. */
interface Plan {
  readonly refusals: Refusal[];
  replaced: number;
}

export class FutureServer {
  readonly url: string;
  readonly #plan: Plan;
  readonly #refuses: boolean;
  readonly #end: () => void;

  private constructor(url: string, plan: Plan, end: () => void) {
    this.url = url;
    this.#plan = plan;
    this.#refuses = plan.refusals.length > 0;
    this.#end = end;
  }

  static async start(target: string, refusals: readonly Refusal[]): Promise<FutureServer> {
    const upstream = connect(target);
    const proxy = createServer();
    const open = new Set<{ destroy(): void }>([upstream]);
    proxy.on("session", (session) => open.add(session));
    const plan = { refusals: [...refusals], replaced: 0 };
    proxy.on("stream", (stream, headers) => new Exchange(upstream, stream, headers, plan));
    proxy.listen(0, "127.0.0.1");
    await once(proxy, "listening");
    const address = proxy.address();
    if (address === null || typeof address === "string") throw new Error("The proxy has no port.");
    return new FutureServer(`http://127.0.0.1:${address.port}`, plan, () => {
      proxy.close();
      for (const one of open) one.destroy();
    });
  }

  /** @throws if the SDK has seen nothing that it does not know */
  stop(): void {
    this.#end();
    const { refusals, replaced: count } = this.#plan;
    if (refusals.length > 0 || (count === 0 && !this.#refuses))
      throw new Error("The proxy did not do its work.");
  }
}

/** One call. */
class Exchange {
  readonly #stream: ServerHttp2Stream;
  readonly #plan: Plan;

  constructor(
    upstream: ClientHttp2Session,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    plan: Plan,
  ) {
    this.#stream = stream;
    this.#plan = plan;
    const method = methods.get(String(headers[":path"]));
    const [requests, responses] = [new Frames(), new Frames()];
    const request = upstream.request({ ...headers });
    let trailers: IncomingHttpHeaders = {};
    stream.on("data", (data: Buffer) => {
      if (method?.name !== "Attach") request.write(data);
      else for (const bytes of requests.take(data)) request.write(this.#forward(bytes));
    });
    stream.on("end", () => request.end());
    stream.on("close", () => request.close());
    stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    request.on("response", (response) => {
      if (!stream.closed) stream.respond(response, { waitForTrailers: true });
    });
    request.on("trailers", (received) => {
      trailers = received;
    });
    request.on("data", (data: Buffer) => {
      if (stream.closed) return;
      if (method === undefined) return void stream.write(data);
      for (const bytes of responses.take(data)) {
        const message = fromBinary(method.output, bytes);
        plan.replaced += age(reflect(method.output, message));
        stream.write(framed(method.output, message));
      }
    });
    request.on("end", () => stream.end());
    for (const side of [stream, request]) side.on("error", () => undefined);
  }

  /** Forwards the frames that are not refused here. */
  #forward(bytes: Buffer): Buffer {
    const message = fromBinary(WorkerServiceAttachRequestSchema, bytes);
    message.frames = message.frames.filter((frame) => !this.#refuse(frame));
    return framed(WorkerServiceAttachRequestSchema, message);
  }

  #refuse({ id, body }: WorkerFrame): boolean {
    const at = this.#plan.refusals.findIndex(
      ({ frame, stepKey }) =>
        body.case === frame &&
        body.value !== undefined &&
        "stepKey" in body.value &&
        body.value.stepKey === stepKey,
    );
    const [refusal] = at < 0 ? [] : this.#plan.refusals.splice(at, 1);
    if (refusal === undefined) return false;
    const { reason, code } = refusal;
    const error = { reason, code, message: "a reason that no SDK knows" };
    const reply = create(WorkerServiceAttachResponseSchema, {
      frames: [{ body: { case: "reply", value: { id, result: { case: "error", value: error } } } }],
    });
    this.#stream.write(framed(WorkerServiceAttachResponseSchema, reply));
    return true;
  }
}
