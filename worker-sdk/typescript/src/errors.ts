import type { Duration } from "./duration.ts";
import { shareClass } from "./lib/shared-class.ts";

/** What a schema found wrong with a value. */
export interface SchemaIssue {
  readonly message: string;
  /** Dotted path to the place; empty for the value itself. */
  readonly path: string;
}

interface ErrorData {
  readonly cause?: unknown;
  /** Data that travels with the failure; anything that the codec takes. */
  readonly details?: unknown;
}

/**
 * The base of all errors of this SDK. What a step throws arrives as a StepFailedError, whatever the step threw, so
 * it is a PawlError, too.
 */
export abstract class PawlError extends Error {}

/** Throw it in a step to fail the step permanently, whatever its retry policy says. */
export class TerminalError extends PawlError {
  readonly details: unknown;
  constructor(message: string, data: ErrorData = {}) {
    super(message, "cause" in data ? { cause: data.cause } : undefined);
    this.name = "TerminalError";
    this.details = data.details;
  }
}

/** When to retry: a duration, a time, or the value of a Retry-After header (a date, or seconds as a string). */
export type RetryAfter = Duration | Date | (string & {}) | null;

/**
 * Throw it in a step to retry after `retryAfter` instead of the policy's delay. The policy retries any other
 * error, too; without a retry policy there is no retry.
 */
export class RetryableError extends PawlError {
  readonly retryAfter: RetryAfter | undefined;
  readonly details: unknown;
  constructor(
    message: string,
    data: ErrorData & { readonly retryAfter?: RetryAfter | undefined } = {},
  ) {
    super(message, "cause" in data ? { cause: data.cause } : undefined);
    this.name = "RetryableError";
    this.retryAfter = data.retryAfter;
    this.details = data.details;
  }
}

/**
 * Thrown by `ctx` calls when the run is being cancelled, or when another branch of the same `ctx.all`,
 * `ctx.map` or `ctx.race` ended this one.
 */
export class Cancelled extends PawlError {
  constructor(reason: string) {
    super(reason);
    this.name = "Cancelled";
  }
}

/**
 * A step, child run or wait failed permanently. Its class and fields are the same in the first execution and in
 * every replay; `type` is the class of the original error.
 */
export class StepFailedError extends PawlError {
  /** The class of the error that the step threw. */
  readonly type: string;
  readonly stepKey: string;
  /** The number of attempts, including the last one. */
  readonly attempts: number;
  /** The `details` of the original error. */
  readonly details: unknown;
  constructor(data: {
    type: string;
    message: string;
    stepKey: string;
    attempts: number;
    details: unknown;
    cause: Error | undefined;
  }) {
    super(data.message, data.cause === undefined ? undefined : { cause: data.cause });
    this.name = "StepFailedError";
    this.type = data.type;
    this.stepKey = data.stepKey;
    this.attempts = data.attempts;
    this.details = data.details;
  }
}

/** An attempt took longer than the step's `timeout`. */
export class StepTimeoutError extends PawlError {
  constructor(name: string, timeoutMs: number) {
    super(`step "${name}" did not finish within its timeout of ${timeoutMs} ms`);
    this.name = "StepTimeoutError";
  }
}

/** A wait for a signal, an answer or a callback timed out and had no `default`. */
export class WaitTimeoutError extends PawlError {
  readonly stepKey: string;
  constructor(what: string, stepKey: string) {
    super(`${what} did not arrive in time; give the wait a \`default\` to continue without it`);
    this.name = "WaitTimeoutError";
    this.stepKey = stepKey;
  }
}

/** The wait was cancelled, by a person or by an operator who ended a timer. */
export class WaitCancelledError extends PawlError {
  readonly stepKey: string;
  /** Who cancelled it; empty if unknown. */
  readonly actor: string;
  readonly comment: string;
  constructor(name: string, stepKey: string, details: Readonly<Record<string, string>> = {}) {
    const { actor = "", comment = "" } = details;
    const by = actor === "" ? "" : ` by ${actor}`;
    super(`the wait "${name}" was cancelled${by}${comment === "" ? "" : `: ${comment}`}`);
    this.name = "WaitCancelledError";
    this.stepKey = stepKey;
    this.actor = actor;
    this.comment = comment;
  }
}

/** A value cannot be recorded; `path` names the part that cannot. */
export class SerializationError extends TerminalError {
  readonly path: string;
  constructor(what: string, path: string, problem: string) {
    super(`${what} cannot be recorded: ${path === "" ? "it" : path} ${problem}`);
    this.name = "SerializationError";
    this.path = path;
  }
}

/** A value does not match its schema. */
export class InvalidValueError extends TerminalError {
  readonly issues: readonly SchemaIssue[];
  constructor(what: string, issues: readonly SchemaIssue[]) {
    const list = issues.map((issue) =>
      issue.path ? `${issue.path}: ${issue.message}` : issue.message,
    );
    super(`${what} fails its schema: ${list.join("; ")}`);
    this.name = "InvalidValueError";
    this.issues = issues;
  }
}

/** Two concurrent steps have the same name, so their keys would depend on timing. Give them a `key`. */
export class AmbiguousStepKeyError extends TerminalError {
  constructor(message: string) {
    super(message);
    this.name = "AmbiguousStepKeyError";
  }
}

/** The code does not match the run's journal; the run is paused. Deploy compatible code and resume it. */
export class NonDeterminismError extends TerminalError {
  readonly stepKey: string;
  readonly recorded: string;
  readonly attempted: string;
  readonly likelyCause: string;
  constructor(data: { stepKey: string; recorded: string; attempted: string; likelyCause: string }) {
    super(
      `step ${data.stepKey} is recorded as ${data.recorded}, but the code now asks for ${data.attempted}. Likely cause: ${data.likelyCause}`,
    );
    this.name = "NonDeterminismError";
    this.stepKey = data.stepKey;
    this.recorded = data.recorded;
    this.attempted = data.attempted;
    this.likelyCause = data.likelyCause;
  }
}

/** The program uses the SDK incorrectly; the message says what to write instead. */
export class UsageError extends TerminalError {
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}

/** The server rejected a request, or could not be reached. Branch on `reason`. */
export class RequestError extends PawlError {
  /** For example NOT_FOUND, RUN_EXISTS or LEASE_LOST; UNAVAILABLE if the server was unreachable. */
  readonly reason: string;
  /** A google.rpc.Code. */
  readonly code: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;
  constructor(data: {
    reason: string;
    message: string;
    code: number;
    metadata?: Record<string, string>;
    retryAfterMs?: number | undefined;
    cause?: unknown;
  }) {
    super(
      `${data.reason}: ${data.message}`,
      data.cause === undefined ? undefined : { cause: data.cause },
    );
    this.name = "RequestError";
    this.reason = data.reason;
    this.code = data.code;
    this.metadata = Object.freeze({ ...data.metadata });
    this.retryAfterMs = data.retryAfterMs;
  }
}

/** Awaiting the result of a run that failed or was cancelled. */
export class RunFailedError extends PawlError {
  readonly runId: string;
  readonly status: "failed" | "cancelled";
  /** The class of the error that ended the run. */
  readonly type: string;
  readonly details: unknown;
  constructor(data: {
    runId: string;
    status: "failed" | "cancelled";
    type: string;
    message: string;
    details: unknown;
    cause: Error | undefined;
  }) {
    super(data.message, data.cause === undefined ? undefined : { cause: data.cause });
    this.name = "RunFailedError";
    this.runId = data.runId;
    this.status = data.status;
    this.type = data.type;
    this.details = data.details;
  }
}

for (const shared of [
  PawlError,
  TerminalError,
  RetryableError,
  Cancelled,
  StepFailedError,
  StepTimeoutError,
  WaitTimeoutError,
  WaitCancelledError,
  SerializationError,
  InvalidValueError,
  AmbiguousStepKeyError,
  NonDeterminismError,
  UsageError,
  RequestError,
  RunFailedError,
]) {
  shareClass(shared);
}
