/** Events of runs as what the web speaks: streams and responses. */
import type { RunEvent } from "./views.ts";

/**
 * The events as a web stream, pulled one by one. Cancelling it ends the watch.
 */
export function toReadableStream(events: AsyncIterable<RunEvent>): ReadableStream<RunEvent> {
  const iterator = events[Symbol.asyncIterator]();
  return new ReadableStream<RunEvent>({
    async pull(controller) {
      const { value, done } = await iterator.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}

/** What JSON lacks: bigints as texts, bytes as base64. */
function plain(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  return value;
}

/** One event as text/event-stream has it; its id is the cursor, to go on from with Last-Event-ID. */
function sse(event: RunEvent): string {
  const data = JSON.stringify(event, plain);
  return `id: ${event.cursor}\nevent: ${event.type}\ndata: ${data}\n\n`;
}

/**
 * A response of server-sent events, for a fetch handler: `id` is the event's cursor, `event` its
 * type, `data` the event as JSON. Give `afterCursor: request.headers.get("last-event-id") ?? ""` to
 * `watch` for a browser to go on where it was.
 *
 * @param init status and further headers
 */
export function toResponse(events: AsyncIterable<RunEvent>, init: ResponseInit = {}): Response {
  const encoder = new TextEncoder();
  const body = toReadableStream(events).pipeThrough(
    new TransformStream<RunEvent, Uint8Array<ArrayBuffer>>({
      transform: (event, controller) => controller.enqueue(encoder.encode(sse(event))),
    }),
  );
  const headers = new Headers(init.headers);
  headers.set("content-type", "text/event-stream; charset=utf-8");
  if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
  return new Response(body, { ...init, headers });
}
