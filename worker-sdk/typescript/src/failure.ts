import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Failure, FailureSchema } from "@pawl/proto";
import { decode, encode, payloadOf, type ReceivedPayload } from "./codec/payload.ts";
import { durationFromMs, durationMs } from "./duration.ts";
import { RetryableError, StepFailedError, TerminalError } from "./errors.ts";
import { limits } from "./limits.ts";

export type FailureInit = MessageInitShape<typeof FailureSchema>;

/** Names that an error inherits, and that say less than the name of its class. */
const inheritedNames = new Set(["Error", "TerminalError", "RetryableError"]);

/** The class of an error, as shown, recorded and matched by `nonRetryable`. */
export function errorType(error: unknown): string {
  if (error instanceof StepFailedError) return error.type;
  if (!(error instanceof Error)) return "Error";
  if (!inheritedNames.has(error.name)) return error.name;
  return error.constructor.name || error.name;
}

function clip(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax)}…`;
}

function detailsOf(error: Error): FailureInit {
  const details = "details" in error ? error.details : undefined;
  if (details === undefined) return {};
  // The error itself matters more than what it carries.
  const lost = (why: unknown): FailureInit => ({
    message: `${clip(error.message, limits.messageCharsMax)} (its details are lost: ${why})`,
  });
  try {
    const encoded = encode(details, "the error's details");
    const { length } = encoded.data;
    if (length <= limits.detailsBytesMax) return { details: payloadOf(encoded) };
    return lost(`${length} bytes, ${limits.detailsBytesMax} are possible`);
  } catch (problem) {
    return lost(problem);
  }
}

function describe(thrown: unknown): string {
  try {
    return typeof thrown === "string" ? thrown : `thrown: ${JSON.stringify(thrown)}`;
  } catch {
    return `thrown: ${String(thrown)}`;
  }
}

/** Turns whatever was thrown into a failure to record. */
export function toFailure(thrown: unknown, depth = 0): FailureInit {
  if (!(thrown instanceof Error)) {
    return { type: "Error", message: clip(describe(thrown), limits.messageCharsMax) };
  }
  const failure: FailureInit = {
    type: errorType(thrown),
    message: clip(thrown.message, limits.messageCharsMax),
    stack: clip(thrown.stack ?? "", limits.stackCharsMax),
    ...detailsOf(thrown),
  };
  if (thrown.cause !== undefined && depth < limits.causeDepthMax) {
    failure.cause = toFailure(thrown.cause, depth + 1);
  }
  if (
    thrown instanceof TerminalError ||
    ("nonRetryable" in thrown && thrown.nonRetryable === true)
  ) {
    failure.nonRetryable = true;
  }
  if (thrown instanceof RetryableError && thrown.retryAfter !== undefined) {
    failure.retryAfter = durationFromMs(durationMs(thrown.retryAfter));
  }
  return failure;
}

/** The parts of a failure that errors are made of, sent or received. */
interface FailureParts {
  readonly type?: string | undefined;
  readonly message?: string | undefined;
  readonly stack?: string | undefined;
  readonly cause?: FailureParts | undefined;
  readonly details?: { readonly data?: Uint8Array; readonly encoding?: string } | undefined;
}

/** What the failure's error carried as `details`. */
export function failureDetails(failure: FailureParts | Failure | undefined): unknown {
  const details = failure?.details;
  if (details === undefined) return undefined;
  const payload: ReceivedPayload = {
    data: details.data ?? new Uint8Array(0),
    encoding: details.encoding ?? "",
  };
  return decode(payload);
}

/** An error that looks like the recorded one: its name is the recorded type. */
export function errorOf(failure: FailureParts): Error {
  const error = new Error(
    failure.message ?? "",
    failure.cause === undefined ? undefined : { cause: errorOf(failure.cause) },
  );
  error.name = failure.type || "Error";
  if (failure.stack) error.stack = failure.stack;
  return error;
}

/** The error that user code sees for a step that failed finally, live and in replay. */
export function stepFailed(
  failure: FailureParts | undefined,
  stepKey: string,
  attempts: number,
): StepFailedError {
  const known = failure ?? { type: "Error", message: "no reason was recorded" };
  return new StepFailedError({
    type: known.type || "Error",
    message: known.message ?? "",
    stepKey,
    attempts,
    details: failureDetails(known),
    cause: errorOf(known),
  });
}
