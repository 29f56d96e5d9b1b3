/**
 * A worker without an SDK: the contract's messages over one session, or over plain calls. Both
 * answer with the same responses and reject with `Refusal`, so that one test speaks to either.
 */
import type {
  DescMessage,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  Client,
  type ClientDuplexStream,
  credentials,
  InterceptingCall,
  type Interceptor,
} from "@grpc/grpc-js";
import {
  type BeginCleanUpRequestSchema,
  type BeginCleanUpResponse,
  type CloseWaitsRequestSchema,
  type CloseWaitsResponse,
  type CompleteRunRequestSchema,
  type CompleteRunResponse,
  type FailRunRequestSchema,
  type FailRunResponse,
  type Lease,
  type LeaseResult,
  type NewEventSchema,
  type Reply,
  RunService,
  type ServerFrame,
  type StepCompletedRequestSchema,
  type StepCompletedResponse,
  type StepFailedRequestSchema,
  type StepFailedResponse,
  StepKind,
  StepService,
  type StepStartedRequestSchema,
  type StepStartedResponse,
  type SuspendRunRequestSchema,
  type SuspendRunResponse,
  WorkerService,
  WorkerServiceAttachRequestSchema,
  WorkerServiceAttachResponseSchema,
  type WorkflowSpecSchema,
  type WorkItem,
} from "@pawl/proto";
import { callGrpc, refusalOf } from "../rpc/clients.ts";
import { patienceMs } from "./patience.ts";

/** A refusal by the server, told alike for a call and a frame. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;

  constructor(reason: string, message: string, metadata: Readonly<Record<string, string>>) {
    super(message);
    this.reason = reason;
    this.metadata = metadata;
  }
}

/** @param key is sent with each call */
export function connect(address: string, key?: string): Client {
  const withKey: Interceptor = (options, next) =>
    new InterceptingCall(next(options), {
      start(metadata, listener, start) {
        if (key !== undefined) metadata.set("authorization", `Bearer ${key}`);
        start(metadata, listener);
      },
    });
  return new Client(address, credentials.createInsecure(), {
    interceptors: [withKey],
    "grpc.max_send_message_length": -1,
    "grpc.max_receive_message_length": -1,
  });
}

/** One call of any service. Rejects with `Refusal` where the server gave a reason. */
export async function rpc<I extends DescMessage, O extends DescMessage>(
  client: Client,
  method: DescMethodUnary<I, O>,
  request: MessageInitShape<I>,
): Promise<MessageShape<O>> {
  try {
    return await callGrpc(client, method, request);
  } catch (error) {
    const { reason, message, metadata } = refusalOf(error);
    if (reason === "") throw error;
    throw new Refusal(reason, message, metadata);
  }
}

export interface WorkerNames {
  readonly workflows: readonly string[];
  /** Default: a new one. */
  readonly workerId?: string;
  /** Default: the worker id. */
  readonly instanceId?: string;
  /** Specs of the workflows instead of their bare names. */
  readonly specs?: readonly MessageInitShape<typeof WorkflowSpecSchema>[];
}

type Init<T extends DescMessage> = MessageInitShape<T>;

/** What a worker can say, whichever way. */
export interface RawWorker {
  readonly transport: "session" | "unary";
  readonly workerId: string;
  /** The next lease of this run with a higher fence than `after`, of another life of its id than `former`; takes runs as long as it waits. */
  next(runId: string, after?: number, former?: WorkItem): Promise<WorkItem>;
  stepStarted(request: Init<typeof StepStartedRequestSchema>): Promise<StepStartedResponse>;
  stepCompleted(request: Init<typeof StepCompletedRequestSchema>): Promise<StepCompletedResponse>;
  stepFailed(request: Init<typeof StepFailedRequestSchema>): Promise<StepFailedResponse>;
  suspendRun(request: Init<typeof SuspendRunRequestSchema>): Promise<SuspendRunResponse>;
  completeRun(request: Init<typeof CompleteRunRequestSchema>): Promise<CompleteRunResponse>;
  failRun(request: Init<typeof FailRunRequestSchema>): Promise<FailRunResponse>;
  closeWaits(request: Init<typeof CloseWaitsRequestSchema>): Promise<CloseWaitsResponse>;
  beginCleanUp(request: Init<typeof BeginCleanUpRequestSchema>): Promise<BeginCleanUpResponse>;
  /** Renews; answers for those leases that are not simply renewed. */
  heartbeat(leases: readonly { runId: string; fence: number }[]): Promise<LeaseResult[]>;
  /** Gives a run back to the queue. A poller suspends it for a moment. */
  giveBack(runId: string, fence: number): Promise<void>;
  close(): void;
}

/** Waits for items by id; a caller that asks for an existing one gets it at once. */
class Inbox {
  readonly items: WorkItem[] = [];

  find(runId: string, after: number, former?: WorkItem): WorkItem | undefined {
    return this.items.find(
      (item) =>
        item.lease?.runId === runId && item.lease.fence > after && item.runUid !== former?.runUid,
    );
  }
}

/** By `PollWork` and plain calls. */
export class UnaryWorker implements RawWorker {
  readonly transport = "unary";
  readonly workerId: string;
  readonly #client: Client;
  readonly #names: WorkerNames;
  readonly #inbox = new Inbox();
  #closed = false;

  constructor(client: Client, names: WorkerNames) {
    this.#client = client;
    this.#names = names;
    this.workerId = names.workerId ?? crypto.randomUUID();
  }

  async next(runId: string, after = 0, former?: WorkItem): Promise<WorkItem> {
    const deadline = performance.now() + patienceMs;
    for (;;) {
      const item = this.#inbox.find(runId, after, former);
      if (item !== undefined) return item;
      if (this.#closed || performance.now() > deadline)
        throw new Error(`No lease of ${runId} came.`);
      await this.poll(500);
    }
  }

  /** One PollWork; `next` finds what it got, too. */
  async poll(waitMs: number, maxItems = 1): Promise<WorkItem[]> {
    const { workflows, specs, instanceId } = this.#names;
    const worker = {
      workerId: this.workerId,
      instanceId: instanceId ?? this.workerId,
      workflows: [...(specs ?? workflows.map((name) => ({ name })))],
    };
    const wait = { seconds: 0n, nanos: waitMs * 1_000_000 };
    const { items } = await rpc(this.#client, WorkerService.method.pollWork, {
      worker,
      maxItems,
      wait,
    });
    this.#inbox.items.push(...items);
    return items;
  }

  stepStarted(request: Init<typeof StepStartedRequestSchema>) {
    return rpc(this.#client, StepService.method.stepStarted, request);
  }
  stepCompleted(request: Init<typeof StepCompletedRequestSchema>) {
    return rpc(this.#client, StepService.method.stepCompleted, request);
  }
  stepFailed(request: Init<typeof StepFailedRequestSchema>) {
    return rpc(this.#client, StepService.method.stepFailed, request);
  }
  suspendRun(request: Init<typeof SuspendRunRequestSchema>) {
    return rpc(this.#client, WorkerService.method.suspendRun, request);
  }
  completeRun(request: Init<typeof CompleteRunRequestSchema>) {
    return rpc(this.#client, WorkerService.method.completeRun, request);
  }
  failRun(request: Init<typeof FailRunRequestSchema>) {
    return rpc(this.#client, WorkerService.method.failRun, request);
  }
  closeWaits(request: Init<typeof CloseWaitsRequestSchema>) {
    return rpc(this.#client, WorkerService.method.closeWaits, request);
  }
  beginCleanUp(request: Init<typeof BeginCleanUpRequestSchema>) {
    return rpc(this.#client, WorkerService.method.beginCleanUp, request);
  }
  async heartbeat(leases: readonly { runId: string; fence: number }[]): Promise<LeaseResult[]> {
    const { results } = await rpc(this.#client, WorkerService.method.heartbeatLeases, {
      leases: [...leases],
    });
    return results;
  }
  async giveBack(runId: string, fence: number): Promise<void> {
    const stepKey = `sleep:given back under ${fence}`;
    const wait = { stepKey, kind: StepKind.SLEEP, wait: { duration: { nanos: 10_000_000 } } };
    const tree = { node: { case: "stepKey" as const, value: stepKey } };
    await this.suspendRun({ runId, fence, waits: [wait], tree });
  }
  close(): void {
    this.#closed = true;
  }
}

type FrameBody = NonNullable<
  NonNullable<MessageInitShape<typeof WorkerServiceAttachRequestSchema>["frames"]>[number]["body"]
>;
type Replied = Exclude<Reply["result"]["case"], "error" | undefined>;
type ReplyOf<K extends Replied> = Extract<Reply["result"], { case: K }>["value"];

const identity = (bytes: Buffer): Buffer => bytes;

/** By one session, its frames as they are. */
export class SessionWorker implements RawWorker {
  readonly transport = "session";
  readonly workerId: string;
  readonly instanceId: string;
  /** Everything that came, replies excepted, in order. */
  readonly frames: ServerFrame["body"][] = [];
  /** Whether dispatches are acknowledged by themselves. */
  acknowledges = true;
  /** Resolves when the stream has ended; with an error, unless the server ended it in order. */
  readonly ended: Promise<Error | undefined>;
  readonly #stream: ClientDuplexStream<Buffer, Buffer>;
  readonly #inbox = new Inbox();
  readonly #replies = new Map<
    number,
    { resolve: (reply: Reply) => void; reject: (error: Error) => void }
  >();
  #nextId = 1;
  #changed = Promise.withResolvers<void>();

  constructor(client: Client, names: WorkerNames) {
    this.workerId = names.workerId ?? crypto.randomUUID();
    this.instanceId = names.instanceId ?? this.workerId;
    const path = `/${WorkerService.typeName}/${WorkerService.method.attach.name}`;
    this.#stream = client.makeBidiStreamRequest(path, identity, identity);
    this.#stream.on("data", (bytes: Buffer) => {
      for (const { body } of fromBinary(WorkerServiceAttachResponseSchema, bytes).frames)
        this.#receive(body);
      this.#wake();
    });
    this.ended = new Promise((resolve) => {
      this.#stream.on("error", resolve);
      this.#stream.on("end", () => setImmediate(resolve, undefined));
    });
    void this.ended.then(() => this.#end());
  }

  /** Opens a session, with some room, and with leases that it says to hold. */
  static async open(
    client: Client,
    names: WorkerNames,
    leases: readonly Lease[] = [],
    credits = 100,
  ): Promise<SessionWorker> {
    const session = new SessionWorker(client, names);
    const workflows = names.specs ?? names.workflows.map((name) => ({ name }));
    const worker = {
      workerId: session.workerId,
      instanceId: session.instanceId,
      workflows: [...workflows],
    };
    session.send({ case: "hello", value: { protocolVersion: 1, worker, leases: [...leases] } });
    if (credits > 0) session.send({ case: "credits", value: { count: credits } });
    await session.until("welcome");
    return session;
  }

  send(body: FrameBody, id = 0): void {
    this.sendBytes(
      toBinary(
        WorkerServiceAttachRequestSchema,
        create(WorkerServiceAttachRequestSchema, { frames: [{ id, body }] }),
      ),
    );
  }

  sendBytes(bytes: Uint8Array): void {
    this.#stream.write(Buffer.from(bytes));
  }

  /** The first frame of that kind of which `found` is true, be it one that came before. */
  async until<K extends keyof FrameValues>(
    kind: K,
    found: (value: FrameValues[K]) => boolean = () => true,
  ): Promise<FrameValues[K]> {
    return this.#wait(`a ${kind} frame`, () => {
      for (const body of this.frames) {
        const value = valueIn(body, kind);
        if (value !== undefined && found(value)) return value;
      }
      return undefined;
    });
  }

  next(runId: string, after = 0, former?: WorkItem): Promise<WorkItem> {
    return this.#wait(`a lease of ${runId}`, () => this.#inbox.find(runId, after, former));
  }

  /** Sends a frame and waits for its reply. Rejects with `Refusal`. */
  async ask<K extends Replied>(body: FrameBody, kind: K): Promise<ReplyOf<K>> {
    const id = this.#nextId;
    this.#nextId += 1;
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    this.#replies.set(id, { resolve, reject });
    this.send(body, id);
    const late = setTimeout(() => reject(new Error(`No reply to ${body.case} came.`)), patienceMs);
    const { result } = await promise.finally(() => clearTimeout(late));
    if (result.case === "error") {
      const { reason, message, metadata } = result.value;
      throw new Refusal(reason, message, metadata);
    }
    if (result.case !== kind) throw new Error(`The reply to ${body.case} is a ${result.case}.`);
    // The compiler does not tie `case` to `value` through a type parameter.
    return result.value as ReplyOf<K>;
  }

  stepStarted(value: Init<typeof StepStartedRequestSchema>) {
    return this.ask({ case: "stepStarted", value }, "stepStarted");
  }
  stepCompleted(value: Init<typeof StepCompletedRequestSchema>) {
    return this.ask({ case: "stepCompleted", value }, "stepCompleted");
  }
  stepFailed(value: Init<typeof StepFailedRequestSchema>) {
    return this.ask({ case: "stepFailed", value }, "stepFailed");
  }
  suspendRun(value: Init<typeof SuspendRunRequestSchema>) {
    return this.ask({ case: "suspendRun", value }, "suspendRun");
  }
  completeRun(value: Init<typeof CompleteRunRequestSchema>) {
    return this.ask({ case: "completeRun", value }, "completeRun");
  }
  failRun(value: Init<typeof FailRunRequestSchema>) {
    return this.ask({ case: "failRun", value }, "failRun");
  }
  closeWaits(value: Init<typeof CloseWaitsRequestSchema>) {
    return this.ask({ case: "closeWaits", value }, "closeWaits");
  }
  beginCleanUp(value: Init<typeof BeginCleanUpRequestSchema>) {
    return this.ask({ case: "beginCleanUp", value }, "beginCleanUp");
  }
  /** `first`: the number of the first event; 0: the server counts. */
  publish(runId: string, fence: number, events: Init<typeof NewEventSchema>[], first = 0) {
    const value = { runId, fence, events, first };
    return this.ask({ case: "publishEvents", value }, "publishEvents");
  }

  async heartbeat(leases: readonly { runId: string; fence: number }[]): Promise<LeaseResult[]> {
    const before = this.frames.length;
    this.send({ case: "heartbeat", value: { inFlight: leases.length } });
    const { results } = await this.#wait("lease results", () => {
      for (const body of this.frames.slice(before))
        if (body.case === "leaseResults") return body.value;
      return undefined;
    });
    return results;
  }

  async giveBack(runId: string, fence: number): Promise<void> {
    this.send({ case: "nack", value: { runId, fence, reason: "given back" } });
  }

  /** Sends nothing more; the server ends the stream. */
  finish(): void {
    this.#stream.end();
  }

  /** Ends the stream at once, as a process that dies does. */
  close(): void {
    this.#stream.cancel();
  }

  #receive(body: ServerFrame["body"]): void {
    if (body.case === "reply") {
      const waiting = this.#replies.get(body.value.id);
      this.#replies.delete(body.value.id);
      if (waiting !== undefined) waiting.resolve(body.value);
      else this.frames.push(body);
      return;
    }
    this.frames.push(body);
    if (body.case !== "dispatch" || body.value.item?.lease === undefined) return;
    this.#inbox.items.push(body.value.item);
    const { runId, fence } = body.value.item.lease;
    if (this.acknowledges) this.send({ case: "dispatchAck", value: { runId, fence } });
  }

  async #wait<T>(what: string, found: () => T | undefined): Promise<T> {
    const deadline = performance.now() + patienceMs;
    for (;;) {
      const value = found();
      if (value !== undefined) return value;
      const left = deadline - performance.now();
      const kinds = this.frames.map((body) => body.case).join(", ");
      if (left <= 0) throw new Error(`Waited ${patienceMs} ms for ${what}; there came ${kinds}.`);
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, left);
      });
      await Promise.race([this.#changed.promise, late]);
      clearTimeout(timer);
    }
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  #end(): void {
    for (const { reject } of this.#replies.values()) reject(new Error("The session has ended."));
    this.#replies.clear();
    this.#wake();
  }
}

type Body = ServerFrame["body"];
type FrameValues = {
  [B in Body as B extends { value: unknown } ? B["case"] & string : never]: NonNullable<B["value"]>;
};

function valueIn<K extends keyof FrameValues>(body: Body, kind: K): FrameValues[K] | undefined {
  // The compiler does not tie `case` to `value` through a type parameter.
  return body.case === kind ? (body.value as FrameValues[K]) : undefined;
}

/** A worker of either transport. */
export async function openWorker(
  transport: RawWorker["transport"],
  client: Client,
  names: WorkerNames,
): Promise<RawWorker> {
  if (transport === "session") return SessionWorker.open(client, names);
  const worker = new UnaryWorker(client, names);
  await worker.poll(1);
  return worker;
}

/** Starts a run of a workflow. */
export function startRun(client: Client, request: Init<typeof RunService.method.startRun.input>) {
  return rpc(client, RunService.method.startRun, request);
}
