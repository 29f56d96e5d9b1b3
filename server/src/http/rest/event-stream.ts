/**
 * A run's events as Server-Sent Events (the HTML standard's `text/event-stream`).
 *
 * - `id:` is the event's cursor and `event:` its type, so that a browser's EventSource comes back
 *   by itself with `Last-Event-ID` and misses nothing.
 * - The stream ends after the run's last event. Whoever comes back after that one gets 204, which
 *   tells an EventSource to stop.
 * - What goes wrong half-way is told as an event `stream.error` with the problem, without an id.
 * - Back-pressure is the socket's: nothing is read from the run while the client does not read. One
 *   that reads nothing for 30 s is let go, and goes on from its last id when it likes.
 */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { create, isMessage } from "@bufbuild/protobuf";
import {
  type Event,
  EventSchema,
  EventService,
  ListEventsRequestSchema,
  ListEventsResponseSchema,
  type WatchRunRequest,
  WatchRunResponseSchema,
} from "@pawl/proto";
import { PawlError } from "../../model/errors.ts";
import { LIMITS } from "../../model/limits.ts";
import type { CallContext } from "../../rpc/binding.ts";
import { pawlWireError } from "../../rpc/errors.ts";
import { problemOf, statusOf } from "../problem.ts";
import type { Exchange } from "./exchange.ts";
import { plain } from "./plain.ts";
import type { Services } from "./route.ts";

const TERMINAL = new Set(["run.completed", "run.failed", "run.cancelled"]);
const ERROR_EVENT = "stream.error";
/** How long a slow reader may take over its last words. */
const FAREWELL_MS = 5_000;

export interface StreamOptions {
  readonly request: WatchRunRequest;
  readonly heartbeatMs: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Whether nothing follows the cursor any more. Refuses a cursor that is none. */
export async function isOver(
  services: Services,
  context: CallContext,
  runId: string,
  afterCursor: string,
): Promise<boolean> {
  const request = create(ListEventsRequestSchema, { runId, afterCursor, pageSize: 1 });
  const page = await services.unary(EventService.method.listEvents).call(request, context);
  if (!isMessage(page, ListEventsResponseSchema)) throw new Error(`${page.$typeName} came.`);
  return page.events.length === 0 && page.nextCursor === "";
}

/** Sends the events of a run until its end, the client's, or the server's. */
export async function streamEvents(
  exchange: Exchange,
  services: Services,
  options: StreamOptions,
): Promise<void> {
  const { response, context } = exchange;
  const writer = new EventWriter(response, context.signal);
  const watch = services.stream(EventService.method.watchRun).call(options.request, context);
  writer.begin(options.headers ?? {});
  const heart = setInterval(() => writer.comment("heartbeat"), options.heartbeatMs);
  try {
    for await (const batch of watch) {
      if (!isMessage(batch, WatchRunResponseSchema)) throw new Error(`${batch.$typeName} came.`);
      if (!(await writer.events(batch.events))) break;
    }
  } catch (error) {
    if (!(error instanceof PawlError)) throw error;
    writer.problem(error);
  } finally {
    clearInterval(heart);
    writer.end();
  }
}

/** `data:` of one event. */
export function eventJson(event: Event): string {
  return JSON.stringify(plain(EventSchema, event));
}

class EventWriter {
  readonly #response: ServerResponse;
  readonly #signal: AbortSignal;

  constructor(response: ServerResponse, signal: AbortSignal) {
    this.#response = response;
    this.#signal = signal;
  }

  begin(headers: Readonly<Record<string, string>>): void {
    this.#response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store, no-transform",
      "x-accel-buffering": "no",
      "x-content-type-options": "nosniff",
      ...headers,
    });
    this.#response.write(`retry: ${LIMITS.eventStreamRetryMs}\n\n`);
  }

  /** Only where nothing waits to be read: a comment is to keep a quiet connection alive. */
  comment(text: string): void {
    if (!this.#response.writableNeedDrain) this.#response.write(`: ${text}\n\n`);
  }

  /** @returns whether there may be more: false once the reader is gone, let go, or at the end */
  async events(events: readonly Event[]): Promise<boolean> {
    for (const event of events) {
      const frame = `id: ${event.cursor}\nevent: ${oneLine(event.type)}\ndata: ${eventJson(event)}\n\n`;
      if (!this.#response.write(frame) && !(await this.#drained())) return false;
      if (TERMINAL.has(event.type)) return false;
    }
    return !this.#signal.aborted;
  }

  problem(error: PawlError): void {
    const problem = problemOf(pawlWireError(error), statusOf(error.reason));
    this.#response.write(`event: ${ERROR_EVENT}\ndata: ${JSON.stringify(problem)}\n\n`);
  }

  end(): void {
    this.#response.end();
  }

  /** Waits until the client has read what was sent. */
  async #drained(): Promise<boolean> {
    const patience = AbortSignal.timeout(LIMITS.slowReaderMs);
    try {
      await once(this.#response, "drain", { signal: AbortSignal.any([this.#signal, patience]) });
      return true;
    } catch (error) {
      if (this.#signal.aborted || !patience.aborted) {
        if (this.#signal.reason instanceof PawlError) throw this.#signal.reason;
        return false;
      }
      const seconds = LIMITS.slowReaderMs / 1_000;
      setTimeout(() => this.#response.destroy(), FAREWELL_MS).unref();
      throw new PawlError(
        "SLOW_CONSUMER",
        `Nothing was read for ${seconds} s. Come back with the last id that you saw.`,
        { retryAfterMs: LIMITS.eventStreamRetryMs, cause: error },
      );
    }
  }
}

/** Types are the user's own words; a line break would end the field. */
function oneLine(text: string): string {
  return text.replaceAll(/[\r\n\0]/g, " ");
}
