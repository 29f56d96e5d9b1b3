/** Events of runs in the responses of Node's own HTTP servers. */
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { RunHandle } from "./handle.ts";
import { type ResponseOptions, toResponse } from "./web.ts";

/**
 * `toResponse(run, request, options)` for `node:http`, and for what is built on it, such as Express: it writes
 * the response, and resolves when that has ended. When the browser goes, the watch on the server ends.
 * Headers that are set before are kept, except for the content type.
 */
export async function toNodeResponse(
  run: Pick<RunHandle, "watch" | "get">,
  request: IncomingMessage,
  response: ServerResponse,
  options: ResponseOptions = {},
): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const headers = new Headers();
  const lastEventId = request.headers["last-event-id"];
  if (typeof lastEventId === "string") headers.set("last-event-id", lastEventId);
  const {
    status,
    headers: made,
    body,
  } = await toResponse(
    run,
    new Request("http://localhost/", { headers, signal: gone.signal }),
    options,
  );
  response.statusCode = status;
  for (const [name, value] of made)
    if (name === "content-type" || !response.hasHeader(name)) response.setHeader(name, value);
  response.flushHeaders();
  for await (const piece of body ?? []) {
    if (gone.signal.aborted) break;
    if (!response.write(piece)) await drained(response, gone.signal);
  }
  response.end();
}

/** Resolves when the reader has read on, or has gone. */
async function drained(response: ServerResponse, gone: AbortSignal): Promise<void> {
  await once(response, "drain", { signal: gone }).catch((error: unknown) => {
    if (!gone.aborted) throw error;
  });
}
