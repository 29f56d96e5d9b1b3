/** Events of runs as what the web speaks: streams and responses. */
import { isRecord } from "../codec/decode.ts";
import { RequestError } from "../errors.ts";
import type { RunHandle, WatchOptions } from "./handle.ts";
import type { EventView } from "./views.ts";

/**
 * The events as a web stream, pulled one by one. Cancelling it ends the watch, also while nothing
 * comes.
 */
export function toReadableStream(events: AsyncIterable<EventView>): ReadableStream<EventView> {
  const iterator = events[Symbol.asyncIterator]();
  return new ReadableStream<EventView>({
    async pull(controller) {
      const { value, done } = await iterator.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    cancel: () => stop(iterator),
  });
}

/** Not waited for: a generator that wraps a watch returns only after its next event. */
function stop(iterator: AsyncIterator<unknown>): void {
  iterator.return?.().catch(() => undefined);
}

export interface ResponseOptions extends Omit<WatchOptions, "afterCursor" | "abortSignal"> {
  /** Status and further headers. */
  readonly init?: ResponseInit;
  /**
   * Returns what is sent for an event, as JSON; undefined leaves the event out. Default: the event in the
   * form that the server sends, without stack traces and without the input of the run.
   */
  readonly map?: (event: EventView) => unknown;
  /** How often a quiet stream sends a comment, in ms. Default: 15,000. */
  readonly heartbeatMs?: number;
}

const defaultHeartbeatMs = 15_000;
/** A refusal comes at once. A stream that is quiet for so long is one. */
const refusalMs = 100;

/**
 * A response of server-sent events, for a fetch handler: `id` is the event's cursor, `event` its
 * type, `data` the event as JSON, in the form that the server sends, without stack traces and without the
 * input of the run. For a server of Node's own kind there is {@link toNodeResponse}.
 *
 * - `toResponse(run, request)` is all that a browser's EventSource needs: it continues where the browser
 *   was (`Last-Event-ID`), answers 204 once the run has ended and all was sent, so that the browser
 *   does not come back, and 404 where there is no such run.
 * - `toResponse(run.watch(…))` sends what a watch brings. To continue where a browser was, give
 *   `afterCursor: request.headers.get("last-event-id") ?? ""` to `watch`.
 */
export function toResponse(events: AsyncIterable<EventView>, init?: ResponseInit): Response;
export function toResponse(
  run: Pick<RunHandle, "watch" | "get">,
  request: Request,
  options?: ResponseOptions,
): Promise<Response>;
export function toResponse(
  from: AsyncIterable<EventView> | Pick<RunHandle, "watch" | "get">,
  second: ResponseInit | Request = {},
  options: ResponseOptions = {},
): Response | Promise<Response> {
  if (second instanceof Request) {
    if (Symbol.asyncIterator in from)
      throw new TypeError("toResponse(run, request) takes the run itself, not what it watches");
    return answer(from, second, options);
  }
  if (!(Symbol.asyncIterator in from))
    throw new TypeError("toResponse(run, request) needs the request; or give it run.watch()");
  return streamResponse(from[Symbol.asyncIterator](), { init: second });
}

async function answer(
  run: Pick<RunHandle, "watch" | "get">,
  request: Request,
  options: ResponseOptions,
): Promise<Response> {
  const { init: _, map: __, heartbeatMs: ___, ...watch } = options;
  const afterCursor = request.headers.get("last-event-id") ?? "";
  const fromNow = afterCursor === "" && watch.fromNow === true;
  const events = run.watch({ ...watch, afterCursor, fromNow, abortSignal: request.signal });
  const iterator = events[Symbol.asyncIterator]();
  try {
    const ended = await hasEnded(run, watch.waitForStart === true);
    const first = iterator.next();
    if (ended && (await first).done === true) return new Response(null, { status: 204 });
    let timer: NodeJS.Timeout | undefined;
    const quiet = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, refusalMs);
    });
    await Promise.race([first, quiet]).finally(() => clearTimeout(timer));
    return streamResponse(iterator, options, first);
  } catch (error) {
    stop(iterator);
    return refusal(error);
  }
}

async function hasEnded(run: Pick<RunHandle, "get">, waitForStart: boolean): Promise<boolean> {
  try {
    return (await run.get()).endedAt !== undefined;
  } catch (error) {
    if (waitForStart && error instanceof RequestError && error.reason === "NOT_FOUND") return false;
    throw error;
  }
}

const statuses: Readonly<Record<string, number>> = {
  INVALID_ARGUMENT: 400,
  NOT_FOUND: 404,
  CURSOR_EXPIRED: 410,
  RATE_LIMITED: 429,
};

/** Says why, unless that is for the operator of this program only. */
function refusal(error: unknown): Response {
  if (!(error instanceof RequestError)) throw error;
  const { reason, message } = error;
  const status = statuses[reason] ?? 503;
  return Response.json(
    { status, reason, ...(status === 503 ? {} : { detail: message }) },
    {
      status,
      headers: { "content-type": "application/problem+json", "cache-control": "no-store" },
    },
  );
}

function streamResponse(
  iterator: AsyncIterator<EventView>,
  { init = {}, map = publicEvent, heartbeatMs = defaultHeartbeatMs }: ResponseOptions,
  first?: Promise<IteratorResult<EventView>>,
): Response {
  const encoder = new TextEncoder();
  let pending = first;
  let lastId = "";
  let heart: NodeJS.Timeout | undefined;
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      controller.enqueue(encoder.encode("retry: 1000\n\n"));
      heart = setInterval(() => {
        if ((controller.desiredSize ?? 0) > 0)
          controller.enqueue(encoder.encode(": heartbeat\n\n"));
      }, heartbeatMs);
      heart.unref();
    },
    async pull(controller) {
      try {
        const { value, done } = await (pending ?? iterator.next());
        pending = undefined;
        if (done !== true) {
          controller.enqueue(encoder.encode(frame(value, lastId, map)));
          lastId = value.cursor;
          return;
        }
      } catch (error) {
        controller.enqueue(encoder.encode(errorFrame(error)));
      }
      clearInterval(heart);
      controller.close();
    },
    cancel() {
      clearInterval(heart);
      stop(iterator);
    },
  });
  const headers = new Headers(init.headers);
  headers.set("content-type", "text/event-stream; charset=utf-8");
  if (!headers.has("cache-control")) headers.set("cache-control", "no-store, no-transform");
  // nginx would keep all back until the run's end.
  if (!headers.has("x-accel-buffering")) headers.set("x-accel-buffering", "no");
  return new Response(body, { ...init, headers });
}

/** One event as text/event-stream has it; its id is the cursor, to continue from with Last-Event-ID. */
function frame(event: EventView, lastId: string, map: (event: EventView) => unknown): string {
  // What is only shown to those who watch just now has no place of its own.
  const id = event.cursor === lastId ? "" : `id: ${event.cursor}\n`;
  const data = map(event);
  if (data === undefined) return id === "" ? ": left out\n\n" : `${id}\n`;
  return `${id}event: ${oneLine(event.type)}\ndata: ${JSON.stringify(data, replace)}\n\n`;
}

/** An event without what is the operator's own affair. */
function publicEvent(event: EventView): unknown {
  const plain: unknown = JSON.parse(JSON.stringify(event, replace));
  if (!isRecord(plain) || !isRecord(plain.entry)) return plain;
  if (event.type === "run.started") delete plain.entry.payload;
  for (let failure = plain.entry.failure; isRecord(failure); failure = failure.cause)
    delete failure.stack;
  return plain;
}

/** Without an id: a client that comes back continues from the last event. */
function errorFrame(error: unknown): string {
  const reason = error instanceof RequestError ? error.reason : "INTERNAL";
  return `event: stream.error\ndata: ${JSON.stringify({ reason })}\n\n`;
}

/** Types are the user's own words; a line break would end the field. */
function oneLine(text: string): string {
  return text.replaceAll(/[\r\n\0]/g, " ");
}

/** What JSON lacks: bigints as texts, bytes as base64. */
function replace(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  return value;
}
