/** The other end of a session, played by a test: a gRPC server that says what it is told to. */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
} from "@grpc/grpc-js";
import {
  type GetJournalRequest,
  GetJournalRequestSchema,
  type GetJournalResponse,
  GetJournalResponseSchema,
  type Hello,
  type JournalEntry,
  type ServerFrameSchema,
  type WorkerFrame,
  type WorkerServiceAttachRequest,
  WorkerServiceAttachRequestSchema,
  type WorkerServiceAttachResponse,
  WorkerServiceAttachResponseSchema,
} from "@pawl/proto";

type Body = NonNullable<MessageInitShape<typeof ServerFrameSchema>["body"]>;
type WorkerBody = WorkerFrame["body"];
type Case = Exclude<WorkerBody["case"], undefined>;
type Value<C extends Case> = Extract<WorkerBody, { case: C }>["value"];

export interface Received<C extends Case> {
  readonly id: number;
  readonly value: Value<C>;
  /** Which message of the stream it came in. */
  readonly message: number;
  readonly stream: number;
}

interface Frame {
  readonly id: number;
  readonly body: WorkerBody;
  readonly message: number;
  readonly stream: number;
}

export class Peer {
  readonly #server = new Server();
  readonly #frames: Frame[] = [];
  readonly #waiting: (() => void)[] = [];
  #stream: ServerDuplexStream<WorkerServiceAttachRequest, WorkerServiceAttachResponse> | undefined;
  #streams = 0;
  #port = 0;
  /** Returns Hello; by default all its leases survive. */
  welcome: (hello: Hello) => Body = (hello) => ({
    case: "welcome",
    value: {
      sessionId: `s${this.#streams}`,
      leases: hello.leases,
      leaseTime: { seconds: 15n },
      heartbeatInterval: { seconds: 5n },
    },
  });
  /** Makes the reply to each request; return undefined to send none. */
  answer: (frame: WorkerFrame) => Body | undefined = () => undefined;
  /** What GetJournal has. */
  journal: JournalEntry[] = [];

  async start(): Promise<string> {
    this.#server.addService(
      {
        attach: {
          path: "/pawl.v1.WorkerService/Attach",
          requestStream: true,
          responseStream: true,
          requestSerialize: (m: WorkerServiceAttachRequest) =>
            Buffer.from(toBinary(WorkerServiceAttachRequestSchema, m)),
          requestDeserialize: (b: Buffer) => fromBinary(WorkerServiceAttachRequestSchema, b),
          responseSerialize: (m: WorkerServiceAttachResponse) =>
            Buffer.from(toBinary(WorkerServiceAttachResponseSchema, m)),
          responseDeserialize: (b: Buffer) => fromBinary(WorkerServiceAttachResponseSchema, b),
        },
        getJournal: {
          path: "/pawl.v1.RunService/GetJournal",
          requestStream: false,
          responseStream: false,
          requestSerialize: (m: GetJournalRequest) =>
            Buffer.from(toBinary(GetJournalRequestSchema, m)),
          requestDeserialize: (b: Buffer) => fromBinary(GetJournalRequestSchema, b),
          responseSerialize: (m: GetJournalResponse) =>
            Buffer.from(toBinary(GetJournalResponseSchema, m)),
          responseDeserialize: (b: Buffer) => fromBinary(GetJournalResponseSchema, b),
        },
      },
      {
        attach: (
          call: ServerDuplexStream<WorkerServiceAttachRequest, WorkerServiceAttachResponse>,
        ) => this.#accept(call),
        getJournal: (
          call: ServerUnaryCall<GetJournalRequest, GetJournalResponse>,
          reply: (error: null, response: GetJournalResponse) => void,
        ) => {
          const entries = this.journal.filter((entry) => entry.seq > call.request.afterSeq);
          reply(
            null,
            create(GetJournalResponseSchema, {
              entries: entries.slice(0, 2),
              more: entries.length > 2,
            }),
          );
        },
      },
    );
    this.#port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
    return `http://127.0.0.1:${this.#port}`;
  }

  #accept(call: ServerDuplexStream<WorkerServiceAttachRequest, WorkerServiceAttachResponse>): void {
    this.#stream = call;
    this.#streams += 1;
    const stream = this.#streams;
    let message = 0;
    call.on("data", (request: WorkerServiceAttachRequest) => {
      message += 1;
      for (const frame of request.frames) this.#receive(frame, message, stream);
    });
    call.on("error", () => undefined);
    call.on("end", () => call.end());
  }

  #receive(frame: WorkerFrame, message: number, stream: number): void {
    this.#frames.push({ id: frame.id, body: frame.body, message, stream });
    if (frame.body.case === "hello") this.send(this.welcome(frame.body.value));
    const answer = this.answer(frame);
    if (answer !== undefined) this.send(answer);
    for (const wake of this.#waiting.splice(0)) wake();
  }

  send(...bodies: Body[]): void {
    this.#stream?.write(
      create(WorkerServiceAttachResponseSchema, { frames: bodies.map((body) => ({ body })) }),
    );
  }

  /** Ends the stream without a word, as a lost connection does. */
  hangUp(): void {
    this.#stream?.emit("error", { code: 14, details: "the connection was lost" });
  }

  /** The next frame of that kind that has not been taken yet. */
  async next<C extends Case>(wanted: C): Promise<Received<C>> {
    for (;;) {
      const at = this.#frames.findIndex((frame) => frame.body.case === wanted);
      const [frame] = at < 0 ? [] : this.#frames.splice(at, 1);
      if (frame !== undefined) {
        const { id, body, message, stream } = frame;
        return { id, value: body.value as Value<C>, message, stream };
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Frames of that kind that have arrived and not been taken. */
  count(wanted: Case): number {
    return this.#frames.filter((frame) => frame.body.case === wanted).length;
  }

  get streams(): number {
    return this.#streams;
  }

  async stop(): Promise<void> {
    this.#server.forceShutdown();
  }
}

/** A reply to a request. */
export function reply(
  id: number,
  result: NonNullable<Extract<Body, { case: "reply" }>["value"]["result"]>,
): Body {
  return { case: "reply", value: { id, result } };
}

/** Returns completions, and ends of runs, as a server does that finds nothing wrong. */
export function agreeable(): (frame: WorkerFrame) => Body | undefined {
  let seq = 1;
  return ({ id, body }) => {
    switch (body.case) {
      case "stepCompleted":
        seq += 1;
        return reply(id, { case: "stepCompleted", value: { directive: 1, seq } });
      case "completeRun":
        return reply(id, { case: "completeRun", value: { directive: 1 } });
      case "failRun":
        return reply(id, { case: "failRun", value: { directive: 1 } });
      default:
        return undefined;
    }
  };
}

/** Hands a run with an empty journal to the worker. */
export function dispatch(
  workflowName: string,
  over: { runId?: string; fence?: number; more?: boolean; cancelling?: boolean } = {},
) {
  const { runId = "r1", fence = 1 } = over;
  return {
    case: "dispatch" as const,
    value: {
      item: {
        lease: { runId, fence, attempt: 1 },
        workflow: workflowName,
        input: { encoding: "void" },
        journal: [{ seq: 1, type: "run.started" }],
        journalMore: over.more ?? false,
        journalLength: 1,
        cancelling: over.cancelling ?? false,
      },
    },
  };
}
