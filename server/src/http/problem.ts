/**
 * Errors as plain HTTP tells them: a status, and a body after RFC 9457 with the reason and its
 * facts. The RPCs have forms of their own.
 */
import type { ServerResponse } from "node:http";
import { STATUS_CODES } from "node:http";
import { type CodeName, PawlError, REASONS, type Reason } from "../model/errors.ts";
import { pawlWireError, type WireError } from "../rpc/errors.ts";

export const PROBLEM_TYPE = "application/problem+json";

const STATUS_OF_CODE: Readonly<Record<CodeName, number>> = {
  INVALID_ARGUMENT: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  FAILED_PRECONDITION: 409,
  ABORTED: 409,
  OUT_OF_RANGE: 410,
  RESOURCE_EXHAUSTED: 429,
  INTERNAL: 500,
  DATA_LOSS: 500,
  UNAVAILABLE: 503,
};

/** Where HTTP has a better word than for the rest of the code. */
const STATUS_OF_REASON: Partial<Record<Reason, number>> = {
  PAYLOAD_TOO_LARGE: 413,
  INVALID_INPUT: 422,
  INVALID_ANSWER: 422,
  SCHEMA_TOO_SLOW: 422,
};

/** The HTTP status of a reason. */
export function statusOf(reason: Reason): number {
  return STATUS_OF_REASON[reason] ?? STATUS_OF_CODE[REASONS[reason]];
}

/** An error with a status that its reason does not say: 405, 415. */
export class HttpError extends PawlError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    reason: Reason,
    message: string,
    options: {
      metadata?: Readonly<Record<string, string>>;
      headers?: Readonly<Record<string, string>>;
    } = {},
  ) {
    super(reason, message, options);
    this.status = status;
    this.headers = options.headers ?? {};
  }
}

/** The body of an error. */
export interface Problem {
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export function problemOf(error: WireError, status: number): Problem {
  return {
    title: STATUS_CODES[status] ?? "Error",
    status,
    detail: error.message,
    reason: error.reason,
    metadata: error.metadata,
  };
}

function isReason(reason: string): reason is Reason {
  return Object.hasOwn(REASONS, reason);
}

/** What a problem is sent with. */
export interface ProblemOptions {
  /** Of the request: the answer to HEAD has no body. */
  readonly method?: string | undefined;
  /** Instead of the one that the reason has. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Sends the error as the response, which must not have started. */
export function sendProblem(
  response: ServerResponse,
  error: WireError,
  options: ProblemOptions = {},
): void {
  const reason = isReason(error.reason) ? error.reason : "INTERNAL";
  const status = options.status ?? statusOf(reason);
  const body = `${JSON.stringify(problemOf(error, status))}\n`;
  if (error.retryAfterMs !== undefined) {
    response.setHeader("retry-after", String(Math.ceil(error.retryAfterMs / 1_000)));
  }
  if (status === 401) response.setHeader("www-authenticate", challenge(error.metadata.why));
  response.writeHead(status, {
    "content-type": PROBLEM_TYPE,
    "content-length": String(Buffer.byteLength(body)),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...options.headers,
  });
  response.end(options.method === "HEAD" ? undefined : body);
}

/** After RFC 6750, which gives no reason to a caller who has sent no credential. */
function challenge(why: string | undefined): string {
  return why === "missing" ? "Bearer" : 'Bearer error="invalid_token"';
}

/** The same for an error that was made here. */
export function sendRefusal(
  response: ServerResponse,
  error: PawlError,
  method: string | undefined,
): void {
  sendProblem(response, pawlWireError(error), { method, ...ownWords(error) });
}

/** What an error says about its answer itself. */
export function ownWords(error: unknown): Pick<ProblemOptions, "status" | "headers"> {
  return error instanceof HttpError ? { status: error.status, headers: error.headers } : {};
}

export function nothingAt(path: string): HttpError {
  return new HttpError(
    404,
    "NOT_FOUND",
    `There is nothing at ${path.slice(0, 200)}. See / for an overview and /docs for all routes under /v1.`,
    { metadata: { path: path.slice(0, 200) } },
  );
}

export function wrongMethod(method: string, path: string, allowed: readonly string[]): HttpError {
  const allow = allowed.join(", ");
  return new HttpError(
    405,
    "INVALID_ARGUMENT",
    `${path.slice(0, 200)} does not take ${method.slice(0, 20)}; it takes ${allow}.`,
    { metadata: { field: "method", allowed: allow }, headers: { allow } },
  );
}
