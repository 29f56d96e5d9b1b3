import type { RunStatus } from "./run.ts";

/** google.rpc.Code, as far as Pawl uses it. */
export const CODES = Object.freeze({
  INVALID_ARGUMENT: 3,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
});

export type CodeName = keyof typeof CODES;

/** The closed table of reasons. docs/errors.md and the proto comments are tested against it. */
export const REASONS = Object.freeze({
  LEASE_LOST: "ABORTED",
  RUN_TERMINAL: "FAILED_PRECONDITION",
  RUN_PAUSED: "FAILED_PRECONDITION",
  ILLEGAL_TRANSITION: "FAILED_PRECONDITION",
  RUN_LEASED: "FAILED_PRECONDITION",
  STEP_INPUT_MISMATCH: "FAILED_PRECONDITION",
  NON_DETERMINISM: "FAILED_PRECONDITION",
  AMBIGUOUS_STEP_KEY: "FAILED_PRECONDITION",
  VERSION_UNSUPPORTED: "FAILED_PRECONDITION",
  WAIT_CLOSED: "FAILED_PRECONDITION",
  RUN_EXISTS: "ALREADY_EXISTS",
  NAME_TAKEN: "ALREADY_EXISTS",
  COMMIT_CONFLICT: "ALREADY_EXISTS",
  IDEMPOTENCY_CONFLICT: "ALREADY_EXISTS",
  WAIT_ALREADY_RESOLVED: "ALREADY_EXISTS",
  PAYLOAD_TOO_LARGE: "INVALID_ARGUMENT",
  INVALID_ARGUMENT: "INVALID_ARGUMENT",
  INVALID_INPUT: "INVALID_ARGUMENT",
  INVALID_ANSWER: "INVALID_ARGUMENT",
  SCHEMA_TOO_SLOW: "INVALID_ARGUMENT",
  RATE_LIMITED: "RESOURCE_EXHAUSTED",
  SLOW_CONSUMER: "RESOURCE_EXHAUSTED",
  STORE_UNAVAILABLE: "UNAVAILABLE",
  DRAINING: "UNAVAILABLE",
  CURSOR_EXPIRED: "OUT_OF_RANGE",
  NOT_FOUND: "NOT_FOUND",
  UNAUTHENTICATED: "UNAUTHENTICATED",
  PERMISSION_DENIED: "PERMISSION_DENIED",
  DATA_CORRUPTED: "DATA_LOSS",
  INTERNAL: "INTERNAL",
} satisfies Record<string, CodeName>);

export type Reason = keyof typeof REASONS;

export interface ErrorOptions {
  /** Facts for programs: both sides of a conflict, the field at fault, the holder of a lease. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** When to retry, in milliseconds, for the errors that are worth it. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** The server's one error class. The message says what was seen and what to do next. */
export class PawlError extends Error {
  override readonly name: string = "PawlError";
  readonly reason: Reason;
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;

  constructor(reason: Reason, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.metadata = options.metadata ?? {};
    this.retryAfterMs = options.retryAfterMs;
  }

  get code(): number {
    return CODES[REASONS[this.reason]];
  }
}

export function invalid(field: string, problem: string): PawlError {
  return new PawlError("INVALID_ARGUMENT", `${field}: ${problem}`, { metadata: { field } });
}

export function notFound(what: string, id: string): PawlError {
  return new PawlError("NOT_FOUND", `There is no ${what} "${id}".`, { metadata: { id } });
}

export function illegalTransition(
  runId: string,
  from: RunStatus,
  verb: string,
  to: string,
): PawlError {
  return new PawlError("ILLEGAL_TRANSITION", `Run "${runId}" is ${from}; it cannot be ${verb}.`, {
    metadata: { run_id: runId, from, to },
  });
}

export function leaseLost(runId: string, attempted: number, current: number): PawlError {
  return new PawlError(
    "LEASE_LOST",
    `Fence ${attempted} of run "${runId}" is no longer valid: the current one is ${current}. ` +
      "Nothing was written; stop working on this run.",
    { metadata: { run_id: runId, fence: String(attempted), current_fence: String(current) } },
  );
}

export type StoreUse = "read" | "write";

export function storeUnavailable(cause: unknown, use: StoreUse = "write"): PawlError {
  const message =
    use === "read"
      ? "The database cannot be read right now. Send the same request again."
      : "The database cannot be written right now. Nothing was acknowledged; send the same request again.";
  return new PawlError("STORE_UNAVAILABLE", message, { retryAfterMs: 500, cause });
}
