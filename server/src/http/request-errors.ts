/**
 * Answers to requests that reach no handler. Connect refuses them with a bare message, or with no
 * body at all; here each refusal gets its reason, or says what to send instead.
 */
import { type ConnectError, createContextValues } from "@connectrpc/connect";
import type { UniversalServerRequest, UniversalServerResponse } from "@connectrpc/connect/protocol";
import {
  codeFromString,
  codeToHttpStatus,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { BOUNDS } from "../model/bounds.ts";
import { connectError, requestError } from "../rpc/connect-errors.ts";
import { REACHED } from "../rpc/connect-routes.ts";
import { messageTooLarge } from "../rpc/convert/fields.ts";
import { pawlWireError } from "../rpc/errors.ts";

const ENVELOPE_BYTES = 5;

type Handler = (request: UniversalServerRequest) => Promise<UniversalServerResponse>;

/** The handler, with its refusals explained and the size of messages checked as they come. */
export function explaining(handler: Handler, isStream: boolean): Handler {
  return async (request) => {
    const contextValues = request.contextValues ?? createContextValues();
    const response = await handler({ ...request, contextValues, body: limited(request) });
    if (response.status === 200 || contextValues.get(REACHED)) return response;
    return await explain(response, request, isStream);
  };
}

async function explain(
  response: UniversalServerResponse,
  request: UniversalServerRequest,
  isStream: boolean,
): Promise<UniversalServerResponse> {
  if (response.status === 415) {
    if (isStream)
      return plain(
        response,
        "This call sends or returns a stream; use application/connect+json, gRPC-Web, or the gRPC port.",
      );
    const type = request.header.get("content-type") ?? "none";
    return plain(response, `The content type is ${type}; send application/json with JSON.`);
  }
  if (response.status === 405) {
    return plain(response, `${request.method} is not served here; use POST with a JSON body.`);
  }
  if (response.status === 505) {
    return plain(response, "This stream goes both ways, which needs gRPC; see the gRPC port.");
  }
  if (response.body === undefined) return response;
  const pieces: Uint8Array[] = [];
  for await (const piece of response.body) pieces.push(piece);
  const bytes = Buffer.concat(pieces);
  const refined = refine(bytes, contentLength(request.header));
  if (refined === undefined) return { ...response, body: iterable(bytes) };
  const body = errorToJsonBytes(refined, undefined);
  const header = new Headers(response.header);
  header.set("content-length", String(body.byteLength));
  return { ...response, status: codeToHttpStatus(refined.code), header, body: iterable(body) };
}

/** Connect's JSON error with a reason, if it is one and has none. */
function refine(bytes: Buffer, size: number | undefined): ConnectError | undefined {
  let error: unknown;
  try {
    error = JSON.parse(bytes.toString("utf8"));
  } catch {
    // Not Connect's JSON, but gRPC-Web's or another protocol's own form of an error.
    return undefined;
  }
  if (typeof error !== "object" || error === null || "details" in error) return undefined;
  if (!("code" in error) || typeof error.code !== "string") return undefined;
  const code = codeFromString(error.code);
  const said = "message" in error ? String(error.message) : "";
  return code === undefined ? undefined : requestError(code, said, size);
}

async function* iterable(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}

function plain(response: UniversalServerResponse, text: string): UniversalServerResponse {
  const header = new Headers(response.header);
  header.set("content-type", "text/plain; charset=utf-8");
  return { ...response, header, body: iterable(Buffer.from(`${text}\n`)) };
}

/** The body, which fails as soon as it is plain that a message is too large. */
function limited(request: UniversalServerRequest): UniversalServerRequest["body"] {
  const { body } = request;
  if (typeof body !== "object" || body === null || !(Symbol.asyncIterator in body)) return body;
  const type = request.header.get("content-type") ?? "";
  const streams = /^application\/(connect|grpc)/.test(type);
  return streams ? limitedEnvelopes(body) : limitedBody(body);
}

function contentLength(header: Headers): number | undefined {
  const said = header.get("content-length");
  return said === null ? undefined : Number(said);
}

function check(seen: number, size?: number): void {
  if (seen > BOUNDS.messageBytes) throw connectError(pawlWireError(messageTooLarge(size)));
}

/** One message; where its length is known, Connect compares it before it reads. */
async function* limitedBody(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let seen = 0;
  for await (const piece of body) {
    seen += piece.byteLength;
    check(seen);
    yield piece;
  }
}

/** Messages of a stream come as a flag byte, a length in four bytes, and that many bytes. */
async function* limitedEnvelopes(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let prefix = Buffer.alloc(0);
  let left = 0;
  for await (const piece of body) {
    let at = 0;
    while (at < piece.byteLength) {
      if (left > 0) {
        const skipped = Math.min(left, piece.byteLength - at);
        left -= skipped;
        at += skipped;
        continue;
      }
      const taken = Math.min(ENVELOPE_BYTES - prefix.byteLength, piece.byteLength - at);
      prefix = Buffer.concat([prefix, piece.subarray(at, at + taken)]);
      at += taken;
      if (prefix.byteLength === ENVELOPE_BYTES) {
        left = prefix.readUInt32BE(1);
        check(left, left);
        prefix = Buffer.alloc(0);
      }
    }
    yield piece;
  }
}
