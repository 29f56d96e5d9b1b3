import { fromBinary } from "@bufbuild/protobuf";
import type { ErrorFrame } from "@pawl/proto";
import { ErrorInfoSchema, RetryInfoSchema } from "@pawl/proto/google/rpc/error_details_pb.js";
import { msFrom } from "../duration.ts";
import { RequestError } from "../errors.ts";

/** A detail of a google.rpc.Status. */
interface Detail {
  /** The message's full name, with or without a host before it. */
  readonly type: string;
  readonly value: Uint8Array;
}

const cancelled = 1;
const invalidArgument = 3;
const deadlineExceeded = 4;
const unavailable = 14;
/** Codes that libraries give the end of a connection: UNKNOWN, RESOURCE_EXHAUSTED, INTERNAL. */
const lostCodes = new Set([2, 8, 13]);
/** What HTTP/2 libraries say of a session or stream that ended without an answer. */
const lostConnection =
  /(?:session|stream) (?:was )?(?:closed|refused|removed)|RST_STREAM|GOAWAY|connection (?:dropped|reset|closed)|ECONNRESET|EPIPE|bandwidth exhausted/i;

/** INTERNAL_ERROR and ENHANCE_YOUR_CALM: how proxies cut a stream whose messages are too large for them. */
const cutStream = /RST_STREAM with code (?:2|11)\b/;

/** What an error without ErrorInfo is called: it does not come from a Pawl server's own code. */
function plainReason(code: number): string {
  if (code === unavailable) return "UNAVAILABLE";
  if (code === deadlineExceeded) return "DEADLINE_EXCEEDED";
  if (code === 1) return "CANCELLED";
  if (code === 5) return "NOT_FOUND";
  if (code === 7) return "PERMISSION_DENIED";
  if (code === 16) return "UNAUTHENTICATED";
  if (code === 12) return "UNIMPLEMENTED";
  return "INTERNAL";
}

/** Makes the SDK's error from a status and its details. */
export function errorFromStatus(
  code: number,
  message: string,
  details: readonly Detail[],
  cause: unknown,
): RequestError {
  let reason = plainReason(code);
  let metadata: Record<string, string> = {};
  let retryAfterMs: number | undefined;
  for (const detail of details) {
    if (detail.type.endsWith(ErrorInfoSchema.typeName)) {
      const info = fromBinary(ErrorInfoSchema, detail.value);
      reason = info.reason;
      metadata = info.metadata;
    } else if (detail.type.endsWith(RetryInfoSchema.typeName)) {
      const { retryDelay } = fromBinary(RetryInfoSchema, detail.value);
      if (retryDelay !== undefined) retryAfterMs = msFrom(retryDelay);
    }
  }
  // The server did not say so: a connection was closed under the call, which may be made again.
  if (
    lostCodes.has(code) &&
    reason === "INTERNAL" &&
    details.length === 0 &&
    lostConnection.test(message)
  )
    return unavailableError(message, cause);
  // A server's own answer says all there is; only what went wrong on the way has more behind it.
  const told = reason === plainReason(code) ? { cause } : {};
  return new RequestError({ reason, message, code, metadata, retryAfterMs, ...told });
}

/** The same from the error of a session's frame. */
export function errorFromFrame(error: ErrorFrame): RequestError {
  return new RequestError({
    reason: error.reason || plainReason(error.code),
    message: error.message,
    code: error.code,
    metadata: error.metadata,
    retryAfterMs: error.retryAfter === undefined ? undefined : msFrom(error.retryAfter),
  });
}

/** A message with a value that its field cannot hold: nothing was sent. */
export function unencodable(cause: unknown): RequestError {
  const problem = cause instanceof Error ? cause.message : String(cause);
  const message = `the message cannot be encoded: ${problem}`;
  return new RequestError({ reason: "INVALID_ARGUMENT", message, code: invalidArgument, cause });
}

/** What is wrong with a request that is not sent. */
export function invalid(message: string): RequestError {
  return new RequestError({ reason: "INVALID_ARGUMENT", message, code: invalidArgument });
}

/** The code of a name, which must be one of those. */
export function codeOf<K extends string, C>(
  what: string,
  codes: Readonly<Record<K, C>>,
  name: K,
): C {
  if (Object.hasOwn(codes, name)) return codes[name];
  throw invalid(`${what}: there is no "${name}"; there are ${Object.keys(codes).join(", ")}`);
}

/** How many a page is to have; 0: as many as the server likes. */
export function pageSizeOf(size = 0): number {
  if (Number.isInteger(size) && size >= 0 && size <= 500) return size;
  throw invalid(`pageSize: it is ${size}; it must be a whole number from 1 to 500`);
}

/** What to say of a call that reached no Pawl server; undefined where that is not so. */
export function unreachable(code: number, problem: string, url: string): string | undefined {
  if (code !== unavailable) return undefined;
  const why = /Last error: (?:Error: )?(.*?)\.? Resolution note:/.exec(problem)?.[1] ?? problem;
  if (/protocol error|HTTP\/1/i.test(problem)) {
    return `what answers at ${url} does not speak gRPC; give the server's HTTP address in PAWL_URL, or its gRPC address, whose port is 50051 by default, in PAWL_GRPC_URL (${why})`;
  }
  if (/^No connection established|^Name resolution failed/.test(problem)) {
    return `no Pawl server answers at ${url}; start one with \`pawl dev\`, or set PAWL_URL (${why})`;
  }
  return undefined;
}

/** Whether the same request may be answered when it is sent again. */
export function isTransient(error: unknown): boolean {
  return (
    error instanceof RequestError && (error.code === unavailable || error.reason === "RATE_LIMITED")
  );
}

/** Whether a stream ended with its connection, or because one side wanted it to, and not for what was in it. */
export function isLostConnection(error: Error): boolean {
  if (!(error instanceof RequestError) || cutStream.test(error.message)) return false;
  return [unavailable, cancelled, deadlineExceeded].includes(error.code);
}

export function unavailableError(message: string, cause?: unknown): RequestError {
  return new RequestError({ reason: "UNAVAILABLE", message, code: unavailable, cause });
}
