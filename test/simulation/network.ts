/**
 * The network of the simulated world: SDKs reach the server's own services over links that take
 * time, lose answers and are cut. Messages travel as bytes, encoded and decoded as on a real wire.
 */

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
import type { CallOptions, Duplex, DuplexHandlers, Transport } from "@pawl/worker";
import { errorFromFrame, errorFromStatus } from "@pawl/worker/internal";
import { DEFAULT_ORG } from "../../server/src/auth/authenticate.ts";
import type { Log } from "../../server/src/lib/log.ts";
import { anonymous } from "../../server/src/model/caller.ts";
import type { Binding, DuplexReceiver } from "../../server/src/rpc/binding.ts";
import type { Call, Calls } from "../../server/src/rpc/calls.ts";
import { frameError, wireError } from "../../server/src/rpc/errors.ts";
import { asProcess, SimProcess, type World } from "./world.ts";

/** What a server in the world offers to the network. */
export interface Endpoint {
  readonly process: SimProcess;
  readonly bindings: ReadonlyMap<DescMethod, Binding>;
  readonly calls: Calls;
  readonly log: Log;
}

/** Sees the messages of workers' streams, in the moment in which they arrive. */
export interface Taps {
  toServer(bytes: Uint8Array, worker: SimProcess): void;
  toWorker(bytes: Uint8Array, worker: SimProcess): void;
}

/** The share of answers to plain calls that are lost after the server has done what was asked. */
const LOST_ANSWERS = 0.01;
const CANCELLED = 1;
const DEADLINE_EXCEEDED = 4;
const UNAVAILABLE = 14;

function failure(code: number, message: string): Error {
  return errorFromStatus(code, message, [], undefined);
}

export class Network {
  readonly world: World;
  readonly taps: Taps;
  /** What is under way continues, also when a process stands still. */
  readonly wires: SimProcess;
  readonly links = new Set<Link>();
  readonly servers = new Set<Endpoint>();
  /** Whether answers get lost. */
  isLossy = true;

  constructor(world: World, taps: Taps) {
    this.world = world;
    this.wires = new SimProcess(world, "network");
    this.taps = taps;
  }

  /** Everything that is open is cut: of one client, or of all. */
  cut(client?: SimProcess): void {
    for (const link of [...this.links])
      if (client === undefined || link.client === client) link.cut();
  }

  /** A server is gone, and everything that is open to it. */
  cutOff(process: SimProcess): void {
    for (const server of [...this.servers])
      if (server.process === process) this.servers.delete(server);
    for (const link of [...this.links]) if (link.server?.process === process) link.cut();
  }

  /** One of the servers, if there is any. */
  anyServer(): Endpoint | undefined {
    return this.servers.size === 0 ? undefined : this.world.chance.pick([...this.servers]);
  }

  transport(client: SimProcess): Transport {
    return new SimTransport(client, this);
  }

  /** How long a message is under way. */
  latency(): number {
    return this.world.chance.latency(2, 200);
  }
}

/** Between whom a link is; without a server there is nobody to talk to. */
interface Route {
  readonly network: Network;
  readonly client: SimProcess;
  readonly server: Endpoint | undefined;
}

/**
 * What is open between a client and a server. Messages of each direction stay in order, and those
 * under way are lost with the link. When it is cut, each side notices in its own time.
 */
abstract class Link {
  readonly client: SimProcess;
  protected readonly network: Network;
  protected readonly method: DescMethod;
  readonly server: Endpoint | undefined;
  protected call: Call | undefined;
  #isCut = false;
  #toServerAt = 0;
  #toClientAt = 0;

  constructor({ network, client, server }: Route, method: DescMethod) {
    this.network = network;
    this.client = client;
    this.method = method;
    this.server = server;
    network.links.add(this);
  }

  /** The server hears of the end of the link. */
  protected abstract gone(): void;
  /** The client hears of it. */
  protected abstract lost(error: Error | undefined): void;

  get isCut(): boolean {
    return this.#isCut;
  }

  cut(error = failure(UNAVAILABLE, "The connection was lost.")): void {
    if (this.#isCut) return;
    this.#isCut = true;
    this.network.links.delete(this);
    const { world } = this.network;
    world.schedule(world.chance.latency(5, 300), () => this.gone(), this.server?.process);
    world.schedule(world.chance.latency(5, 300), () => this.lost(error), this.client);
  }

  /** The end as both sides agreed on it. */
  protected close(error: Error | undefined): void {
    if (this.#isCut) return;
    this.#isCut = true;
    this.network.links.delete(this);
    this.lost(error);
  }

  /** Whether there is a server to talk to; cuts the link where there is none. */
  protected begin(open: (server: Endpoint, binding: Binding, call: Call) => void): void {
    const { server } = this;
    if (server === undefined || server.process.state === "dead") {
      this.cut();
      return;
    }
    this.toServer(() => {
      const binding = server.bindings.get(this.method);
      if (binding === undefined) throw new Error(`${this.method} is not bound.`);
      this.call = server.calls.begin();
      open(server, binding, this.call);
    });
  }

  /** How an error of the server's looks to the SDK. */
  protected told(error: unknown, server: Endpoint): Error {
    const { log } = server;
    const wire = wireError(error, log, this.method.name, this.call?.signal);
    return errorFromFrame(frameError(wire));
  }

  protected toServer(run: () => void): void {
    const { world } = this.network;
    this.#toServerAt = Math.max(this.#toServerAt, world.nowMs + this.network.latency());
    this.#deliver(this.#toServerAt, run, this.server?.process);
  }

  protected toClient(run: () => void): void {
    const { world } = this.network;
    this.#toClientAt = Math.max(this.#toClientAt, world.nowMs + this.network.latency());
    this.#deliver(this.#toClientAt, run, this.client);
  }

  /** What has reached a process that stands still is read when it continues, before the end of the link. */
  #deliver(at: number, run: () => void, receiver: SimProcess | undefined): void {
    const { wires, world } = this.network;
    const arrive = () => {
      if (this.#isCut || receiver === undefined) return;
      if (receiver.state === "running") asProcess(receiver, run);
      else world.schedule(0, run, receiver);
    };
    world.schedule(at - world.nowMs, arrive, wires);
  }
}

interface ExchangeHandlers {
  readonly onPage: (bytes: Uint8Array) => void;
  readonly onEnd: (error: Error | undefined) => void;
}

/** A call with a request, one or more answers, and an end. */
class Exchange extends Link {
  readonly #handlers: ExchangeHandlers;

  constructor(
    route: Route,
    method: DescMethod,
    requests: readonly Uint8Array[],
    options: CallOptions,
    handlers: ExchangeHandlers,
  ) {
    super(route, method);
    const { network, client } = route;
    this.#handlers = handlers;
    const { abortSignal, timeoutMs } = options;
    const cancel = () => this.cut(failure(CANCELLED, "The call was cancelled."));
    abortSignal?.addEventListener("abort", cancel, { once: true });
    if (timeoutMs !== undefined) {
      const late = () => this.cut(failure(DEADLINE_EXCEEDED, "The deadline has passed."));
      network.world.schedule(timeoutMs, late, client);
    }
    if (abortSignal?.aborted === true) cancel();
    this.begin((server, binding, call) => {
      this.#serve(binding, call, requests)
        .then(
          () => this.toClient(() => this.close(undefined)),
          (error: unknown) => {
            const told = this.told(error, server);
            this.toClient(() => this.close(told));
          },
        )
        .finally(call.done);
    });
  }

  async #serve(binding: Binding, call: Call, requests: readonly Uint8Array[]): Promise<void> {
    const context = call.enterAs(anonymous(DEFAULT_ORG));
    const [request = new Uint8Array(0)] = requests;
    switch (binding.kind) {
      case "unary":
        this.#answer(await binding.invoke(request, context));
        return;
      case "client_streaming":
        this.#answer(await binding.invoke(each(requests), context));
        return;
      case "server_streaming":
        for await (const bytes of binding.invoke(request, context))
          this.toClient(() => this.#handlers.onPage(bytes));
        context.signal.throwIfAborted();
        return;
      case "bidi_streaming":
        throw new Error(`${this.method} is a stream in both directions.`);
    }
  }

  #answer(bytes: Uint8Array): void {
    const { isLossy, world } = this.network;
    if (isLossy && world.chance.hits(LOST_ANSWERS)) this.cut();
    else this.toClient(() => this.#handlers.onPage(bytes));
  }

  protected gone(): void {
    this.call?.abort();
  }

  protected lost(error: Error | undefined): void {
    this.#handlers.onEnd(error);
  }
}

/** A worker's stream. */
class WorkerStream extends Link {
  readonly #onEnd: (error: Error | undefined) => void;
  #receiver: DuplexReceiver<Uint8Array> | undefined;
  /** What the server has not read yet. */
  readonly #unread: Uint8Array[] = [];
  #isPaused = false;

  constructor(
    route: Route,
    method: DescMethod,
    handlers: { onMessage(bytes: Uint8Array): void; onEnd(error: Error | undefined): void },
  ) {
    super(route, method);
    const { network, client } = route;
    this.#onEnd = handlers.onEnd;
    this.begin((server, binding, call) => {
      if (binding.kind !== "bidi_streaming") throw new Error(`${method} is not a stream.`);
      const write = (bytes: Uint8Array, done: () => void) => {
        this.toClient(() => {
          network.taps.toWorker(bytes, client);
          handlers.onMessage(bytes);
        });
        network.world.schedule(0, done, server.process);
      };
      const end = (error?: unknown) => {
        const told = error === undefined ? undefined : this.told(error, server);
        this.toClient(() => this.close(told));
      };
      const start = (receiver: DuplexReceiver<Uint8Array>) => {
        this.#receiver = receiver;
      };
      const pause = () => {
        this.#isPaused = true;
      };
      const resume = () => {
        this.#isPaused = false;
        this.#read();
      };
      try {
        binding.open({ start, write, end, pause, resume }, call.enterAs(anonymous(DEFAULT_ORG)));
      } catch (error) {
        // A server that stops takes no calls.
        call.done();
        end(error);
      }
    });
  }

  send(bytes: Uint8Array): void {
    this.toServer(() => {
      this.#unread.push(bytes);
      this.#read();
    });
  }

  #read(): void {
    while (!this.#isPaused) {
      const bytes = this.#unread.shift();
      if (bytes === undefined) return;
      this.#receiver?.message(bytes);
      this.network.taps.toServer(bytes, this.client);
    }
  }

  end(): void {
    this.toServer(() => this.gone());
  }

  protected gone(): void {
    this.call?.abort();
    this.#receiver?.ended();
  }

  protected lost(error: Error | undefined): void {
    this.#onEnd(error);
  }
}

/** The answers of a server stream, for a reader who takes them one by one. */
class Pages<T> implements AsyncIterable<T> {
  readonly #pages: T[] = [];
  #end: { readonly error: Error | undefined } | undefined;
  #wake: () => void = () => undefined;

  push(page: T): void {
    this.#pages.push(page);
    this.#wake();
  }

  end(error: Error | undefined): void {
    this.#end ??= { error };
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (;;) {
      for (const page of this.#pages.splice(0)) yield page;
      if (this.#pages.length > 0) continue;
      if (this.#end?.error !== undefined) throw this.#end.error;
      if (this.#end !== undefined) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

class SimTransport implements Transport {
  readonly #client: SimProcess;
  readonly #network: Network;
  #server: Endpoint | undefined;

  constructor(client: SimProcess, network: Network) {
    this.#client = client;
    this.#network = network;
  }

  /** A connection stays with its server; one that is made anew may lead to another. */
  #route(isNew: boolean): Route {
    const network = this.#network;
    const isGone = this.#server === undefined || !network.servers.has(this.#server);
    if (isNew || isGone) this.#server = network.anyServer();
    return { network, client: this.#client, server: this.#server };
  }

  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    return this.#one(method, [toBinary(method.input, create(method.input, request))], options);
  }

  clientStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodClientStreaming<I, O>,
    requests: Iterable<MessageInitShape<I>>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    const sent = [...requests].map((one) => toBinary(method.input, create(method.input, one)));
    return this.#one(method, sent, options);
  }

  #one<O extends DescMessage>(
    method: DescMethod & { readonly output: O },
    requests: readonly Uint8Array[],
    options: CallOptions,
  ): Promise<MessageShape<O>> {
    return new Promise((resolve, reject) => {
      new Exchange(this.#route(false), method, requests, options, {
        onPage: (bytes) => resolve(fromBinary(method.output, bytes)),
        onEnd: (error) => void (error !== undefined && reject(error)),
      });
    });
  }

  async *serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): AsyncIterable<MessageShape<O>> {
    const pages = new Pages<MessageShape<O>>();
    const requests = [toBinary(method.input, create(method.input, request))];
    const exchange = new Exchange(this.#route(true), method, requests, options, {
      onPage: (bytes) => pages.push(fromBinary(method.output, bytes)),
      onEnd: (error) => pages.end(error),
    });
    try {
      yield* pages;
    } finally {
      exchange.cut();
    }
  }

  duplex<I extends DescMessage, O extends DescMessage>(
    method: DescMethodBiDiStreaming<I, O>,
    handlers: DuplexHandlers<MessageShape<O>>,
  ): Duplex<MessageShape<I>> {
    const stream = new WorkerStream(this.#route(true), method, {
      onMessage: (bytes) => handlers.onMessage(fromBinary(method.output, bytes)),
      onEnd: handlers.onEnd,
    });
    return {
      send: (message, onSent) => {
        stream.send(toBinary(method.input, message));
        if (onSent !== undefined) this.#network.world.schedule(0, onSent, this.#client);
      },
      congested: false,
      end: () => stream.end(),
      cancel: () => stream.cut(failure(CANCELLED, "The stream was cancelled.")),
    };
  }

  close(): void {
    // What is open ends with its process.
  }
}

async function* each<T>(items: readonly T[]): AsyncIterable<T> {
  yield* items;
}
