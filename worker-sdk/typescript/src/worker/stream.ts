/**
 * Keeps a session stream up: connects, and connects again after each end, with
 * growing pauses, until it is closed or the server refuses this worker for good.
 */
import {
  WorkerService,
  type WorkerServiceAttachRequest,
  type WorkerServiceAttachResponse,
} from "@pawl/proto";
import { RequestError } from "../errors.ts";
import { Backoff, delay } from "../lib/delay.ts";
import type { Logger } from "../lib/logger.ts";
import { isLostConnection } from "../transport/status.ts";
import type { Duplex, Transport } from "../transport/transport.ts";

export interface StreamHandlers {
  /** A new stream is there: say who you are. */
  readonly onConnect: () => void;
  readonly onMessage: (message: WorkerServiceAttachResponse) => void;
  /** The stream has ended. */
  readonly onDisconnect: (error: Error | undefined) => void;
  /** Connecting again does not help. */
  readonly onRefused: (error: RequestError) => void;
}

const refusals = new Set([
  "VERSION_UNSUPPORTED",
  "INVALID_ARGUMENT",
  "UNAUTHENTICATED",
  "PERMISSION_DENIED",
  "UNIMPLEMENTED",
]);
/** How long a server may take to say its first word. */
const greetingMs = 5_000;
/** A stream that continued for so long had nothing wrong with it. */
const usefulMs = 5_000;
const closePollMs = 50;
const closePolls = 20;

export class Stream {
  readonly #transport: Transport;
  readonly #logger: Logger;
  readonly #handlers: StreamHandlers;
  readonly #backoff = new Backoff(50, 1_000);
  readonly #closing = new AbortController();
  #stream: Duplex<WorkerServiceAttachRequest> | undefined;
  #complained = false;
  #welcomedAtMs: number | undefined;

  constructor(transport: Transport, logger: Logger, handlers: StreamHandlers) {
    this.#transport = transport;
    this.#logger = logger;
    this.#handlers = handlers;
  }

  /** Resolves when it is closed or refused. */
  async keepUp(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const error = await this.#connectOnce();
      if (signal.aborted) return;
      if (error instanceof RequestError && refusals.has(error.reason)) {
        this.#handlers.onRefused(error);
        return;
      }
      this.#complain(error);
      await delay(this.#backoff.next(), signal);
    }
  }

  #complain(error: Error | undefined): void {
    if (this.#complained) return;
    this.#complained = true;
    this.#logger.warn("there is no connection to the server; retrying", {
      error: error?.message ?? "the server closed the stream",
    });
  }

  /** One stream, from its start to its end. */
  #connectOnce(): Promise<Error | undefined> {
    return new Promise((resolve) => {
      const greeting = setTimeout(() => this.cancel(), greetingMs);
      this.#stream = this.#transport.duplex(WorkerService.method.attach, {
        onMessage: (message) => {
          clearTimeout(greeting);
          this.#handlers.onMessage(message);
        },
        onEnd: (error) => {
          clearTimeout(greeting);
          this.#stream = undefined;
          this.#handlers.onDisconnect(error);
          if (this.#welcomedAtMs !== undefined && this.#wasUseful(error)) this.#backoff.reset();
          this.#welcomedAtMs = undefined;
          resolve(error);
        },
      });
      this.#handlers.onConnect();
    });
  }

  /** The server has welcomed this worker: all is well. */
  welcomed(): void {
    this.#complained = false;
    this.#welcomedAtMs = performance.now();
  }

  /** One that ends again and again for something that this worker sends is to be tried less often. */
  #wasUseful(error: Error | undefined): boolean {
    const livedMs = performance.now() - (this.#welcomedAtMs ?? 0);
    return error === undefined || isLostConnection(error) || livedMs > usefulMs;
  }

  /** Throws RequestError for a message that cannot be encoded. */
  send(message: WorkerServiceAttachRequest, onSent?: () => void): void {
    if (this.#stream === undefined) onSent?.();
    else this.#stream.send(message, onSent);
  }

  /** What was sent is piling up. */
  get congested(): boolean {
    return this.#stream?.congested ?? true;
  }

  /** Ends the stream at once; a new one follows. */
  cancel(): void {
    this.#stream?.cancel();
  }

  /** Ends the stream in order, after a random moment; a new one follows. */
  async moveOn(): Promise<void> {
    const stream = this.#stream;
    await delay(Math.random() * 250, this.#closing.signal);
    if (stream === this.#stream) stream?.end();
    await delay(closePollMs * closePolls, this.#closing.signal);
    if (stream === this.#stream) stream?.cancel();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const stream = this.#stream;
    if (stream === undefined) return;
    stream.end();
    for (let i = 0; i < closePolls && this.#stream === stream; i += 1) await delay(closePollMs);
    if (this.#stream === stream) stream.cancel();
  }
}
