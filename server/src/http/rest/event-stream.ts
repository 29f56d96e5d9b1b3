/**
 * Events as Server-Sent Events (the HTML standard's `text/event-stream`).
 *
 * - `id:` is the event's cursor and `event:` its type, so that a browser's EventSource comes back
 *   by itself with `Last-Event-ID` and misses nothing.
 * - The stream ends after the run's last event. A client that comes back after that one gets 204, which
 *   tells an EventSource to stop.
 * - What goes wrong half-way is told as an event `stream.error` with the problem, without an id.
 * - Back-pressure is the socket's: nothing is read from the run while the client does not read. One
 *   that reads nothing for 30 s is let go, and continues from its last id when it likes.
 */
import type { ServerResponse } from "node:http";
import { create, isMessage, type Message } from "@bufbuild/protobuf";
import {
  type Event,
  EventSchema,
  EventService,
  GetRunRequestSchema,
  GetRunResponseSchema,
  RunService,
  type WatchRunRequest,
  WatchRunResponseSchema,
  type WatchRunsRequest,
  WatchRunsResponseSchema,
} from "@pawl/proto";
import { sleep } from "../../lib/clock.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { PawlError } from "../../model/errors.ts";
import type { CallContext } from "../../rpc/binding.ts";
import { pawlWireError } from "../../rpc/errors.ts";
import { plain } from "../../rpc/plain.ts";
import { drained } from "../../rpc/slow-reader.ts";
import { problemOf, statusOf } from "../problem.ts";
import type { RestExchange } from "./rest-exchange.ts";
import type { Services } from "./route.ts";

const TERMINAL = new Set(["run.completed", "run.failed", "run.cancelled"]);
const ERROR_EVENT = "stream.error";
/** How long a slow reader may take over its last words. */
const FAREWELL_MS = 5_000;
/** A refusal comes at once. A stream that is quiet for so long is one. */
const REFUSAL_MS = 100;

export interface StreamOptions {
  readonly heartbeatMs: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** What is refused at once gets a plain answer instead of a stream. */
  readonly refuses?: boolean;
  /** After which a client that reads nothing is let go; 30 s otherwise. */
  readonly patienceMs?: number;
}

/** Whether the run has ended, so that what there is to tell of it comes at once. */
async function hasEnded(
  services: Services,
  context: CallContext,
  { runId, waitForStart }: WatchRunRequest,
): Promise<boolean> {
  try {
    const request = create(GetRunRequestSchema, { runId });
    const answer = await services.unary(RunService.method.getRun).call(request, context);
    if (!isMessage(answer, GetRunResponseSchema))
      throw new Error(`Unexpected message type ${answer.$typeName}.`);
    return answer.run?.endedAt !== undefined;
  } catch (error) {
    if (waitForStart && error instanceof PawlError && error.reason === "NOT_FOUND") return false;
    throw error;
  }
}

/** Sends the events of a run until its end, the client's, or the server's. */
export async function streamEvents(
  exchange: RestExchange,
  services: Services,
  options: StreamOptions & { readonly request: WatchRunRequest },
): Promise<void> {
  const { request, refuses } = options;
  const ended = refuses === true && (await hasEnded(services, exchange.context, request));
  const watch = services.stream(EventService.method.watchRun);
  const batches = watch.call(request, exchange.context);
  await stream(exchange, { ...options, ended }, batches, async (batch, writer) => {
    if (!isMessage(batch, WatchRunResponseSchema))
      throw new Error(`Unexpected message type ${batch.$typeName}.`);
    if (batch.events.length === 0) writer.place(batch.cursor);
    return await writer.events(batch.events, options.request.runId);
  });
}

/** Sends the checkpoints of all runs that match, until the client's end or the server's. */
export async function streamRuns(
  exchange: RestExchange,
  services: Services,
  options: StreamOptions & { readonly request: WatchRunsRequest },
): Promise<void> {
  const watch = services.stream(EventService.method.watchRuns);
  const batches = watch.call(options.request, exchange.context);
  await stream(exchange, options, batches, async (batch, writer) => {
    if (!isMessage(batch, WatchRunsResponseSchema))
      throw new Error(`Unexpected message type ${batch.$typeName}.`);
    return await writer.batch(batch.events, batch.cursor);
  });
}

/** @param send returns whether there may be more */
async function stream(
  exchange: RestExchange,
  options: StreamOptions & { readonly ended?: boolean },
  batches: AsyncIterable<Message>,
  send: (batch: Message, writer: EventWriter) => Promise<boolean>,
): Promise<void> {
  const { response, context } = exchange;
  const first = batches[Symbol.asyncIterator]();
  const pending = first.next();
  if (options.ended === true && (await pending).done === true) {
    context.signal.throwIfAborted();
    // An EventSource that is told so does not come back.
    exchange.empty(204);
    return;
  }
  if (options.refuses === true) await refusal(pending);
  const writer = new EventWriter(response, context.signal, options.patienceMs);
  writer.begin(options.headers ?? {});
  const heart = setInterval(() => writer.comment("heartbeat"), options.heartbeatMs);
  try {
    for (let next = await pending; next.done !== true; next = await first.next()) {
      if (!(await send(next.value, writer))) return;
    }
    context.signal.throwIfAborted();
  } catch (cause) {
    // What ends a call is the reason why its reads fail.
    const error: unknown = context.signal.aborted ? context.signal.reason : cause;
    if (error instanceof PawlError) writer.problem(error);
    else if (!context.signal.aborted) throw error;
  } finally {
    clearInterval(heart);
    writer.end();
    await first.return?.();
  }
}

/** Throws what the first batch is refused with, unless that takes long. */
async function refusal(first: Promise<unknown>): Promise<void> {
  const waited = new AbortController();
  const quiet = sleep(REFUSAL_MS, waited.signal).catch(() => undefined);
  await Promise.race([first, quiet]).finally(() => waited.abort());
}

function frameOf(event: Event): string {
  const data = JSON.stringify(plain(EventSchema, event));
  return `event: ${oneLine(event.type)}\ndata: ${data}\n\n`;
}

class EventWriter {
  readonly #response: ServerResponse;
  readonly #signal: AbortSignal;
  readonly #patienceMs: number | undefined;
  #lastId = "";

  constructor(response: ServerResponse, signal: AbortSignal, patienceMs: number | undefined) {
    this.#response = response;
    this.#signal = signal;
    this.#patienceMs = patienceMs;
  }

  begin(headers: Readonly<Record<string, string>>): void {
    this.#response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store, no-transform",
      "x-accel-buffering": "no",
      "x-content-type-options": "nosniff",
      ...headers,
    });
    this.#response.write(`retry: ${BOUNDS.eventStreamRetryMs}\n\n`);
  }

  /** Only where nothing waits to be read: a comment is to keep a quiet connection alive. */
  comment(text: string): void {
    if (!this.#response.writableNeedDrain) this.#response.write(`: ${text}\n\n`);
  }

  /** Without an event, an id alone moves a client's place on. */
  place(cursor: string): void {
    this.#response.write(`id: ${cursor}\n\n`);
    this.#lastId = cursor;
  }

  /** @returns whether there may be more: false once the reader is gone, or at the end */
  async events(events: readonly Event[], runId: string): Promise<boolean> {
    for (const event of events) {
      // What is only shown to those who watch just now has no place of its own.
      const id = event.cursor === this.#lastId ? "" : `id: ${event.cursor}\n`;
      this.#lastId = event.cursor;
      await this.#write(id + frameOf(event));
      if (event.runId === runId && TERMINAL.has(event.type)) return false;
    }
    return !this.#signal.aborted;
  }

  /** Events that have one cursor together, which the last of them has as its id. */
  async batch(events: readonly Event[], cursor: string): Promise<boolean> {
    const final = events.at(-1);
    for (const event of events.slice(0, -1)) await this.#write(frameOf(event));
    // Without an event, an id alone still moves a client's place on.
    await this.#write(`id: ${cursor}\n${final === undefined ? "\n" : frameOf(final)}`);
    return !this.#signal.aborted;
  }

  async #write(frame: string): Promise<void> {
    if (this.#response.write(frame)) return;
    await drained(this.#response, this.#signal, this.#patienceMs);
  }

  problem(error: PawlError): void {
    if (error.reason === "SLOW_CONSUMER") {
      setTimeout(() => this.#response.destroy(), FAREWELL_MS).unref();
    }
    const problem = problemOf(pawlWireError(error), statusOf(error.reason));
    this.#response.write(`event: ${ERROR_EVENT}\ndata: ${JSON.stringify(problem)}\n\n`);
  }

  end(): void {
    this.#response.end();
  }
}

/** Types are the user's own words; a line break would end the field. */
function oneLine(text: string): string {
  return text.replaceAll(/[\r\n\0]/g, " ");
}
