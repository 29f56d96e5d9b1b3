import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Failure, FailureSchema } from "@pawl/proto";
import { decode, encode, payloadOf, type ReceivedPayload } from "./codec/payload.ts";
import { durationFromMs, retryAfterMs } from "./duration.ts";
import { RetryableError, StepFailedError, TerminalError } from "./errors.ts";
import { classNameOf, isError, messageOf, read, shown } from "./lib/foreign.ts";
import { clipBytes } from "./lib/text.ts";
import { limits } from "./limits.ts";

export type FailureInit = MessageInitShape<typeof FailureSchema>;

/** Names that an error inherits, and that say less than the name of its class. */
const inheritedNames = new Set<unknown>(["Error", "TerminalError", "RetryableError"]);

function textIn(error: object, key: string): string {
  const text = read(error, key);
  return typeof text === "string" ? text : "";
}

/** The class of an error, as shown, recorded and matched by `nonRetryable`. */
export function errorType(error: unknown): string {
  if (!isError(error)) return "Error";
  if (error instanceof StepFailedError) return textIn(error, "type") || "Error";
  const name = textIn(error, "name");
  return clipBytes(
    (inheritedNames.has(name) ? classNameOf(error) : "") || name || "Error",
    limits.nameBytesMax,
  );
}

/** Adds what the error carries; returns what of it is lost. */
function addDetails(failure: FailureInit, error: object): string {
  const details = read(error, "details");
  if (details === undefined) return "";
  // The error itself matters more than what it carries.
  try {
    const encoded = encode(details, "the error's details");
    const { length } = encoded.data;
    if (length > limits.detailsBytesMax)
      return ` (its details are lost: ${length} bytes, limit ${limits.detailsBytesMax})`;
    failure.details = payloadOf(encoded);
    return "";
  } catch (problem) {
    return ` (its details are lost: ${problem})`;
  }
}

/** Adds when the error wants to be tried again; returns what is wrong with that. */
function addRetryAfter(failure: FailureInit, error: object): string {
  const wanted = error instanceof RetryableError ? read(error, "retryAfter") : undefined;
  if (wanted === undefined || wanted === null) return "";
  const ms = retryAfterMs(wanted);
  if (ms === undefined) return ` (its retryAfter is not a time: ${shown(wanted).slice(0, 100)})`;
  failure.retryAfter = durationFromMs(ms);
  return "";
}

/**
 * Turns whatever was thrown into a failure to record, with as much text as can be had. Never throws,
 * and makes no more of it than the server keeps, so that code sees the same error in a replay.
 */
export function toFailure(thrown: unknown, depth = 0): FailureInit {
  if (!isError(thrown)) {
    const text = typeof thrown === "string" ? thrown || 'thrown: ""' : `thrown: ${shown(thrown)}`;
    return { type: "Error", message: clipBytes(text, limits.messageBytesMax) };
  }
  const failure: FailureInit = {
    type: errorType(thrown),
    stack: clipBytes(textIn(thrown, "stack"), limits.stackBytesMax),
  };
  const lost = addDetails(failure, thrown) + addRetryAfter(failure, thrown);
  const bytesMax = limits.messageBytesMax - Buffer.byteLength(lost);
  failure.message = clipBytes(messageOf(thrown), bytesMax) + lost;
  const cause = read(thrown, "cause");
  if (cause !== undefined && depth + 1 < limits.causesMax)
    failure.cause = toFailure(cause, depth + 1);
  if (thrown instanceof TerminalError || read(thrown, "nonRetryable") === true)
    failure.nonRetryable = true;
  return failure;
}

/** What is left of a failure that the platform does not take: its type and text. */
export function plainFailure({ type = "Error", message = "" }: FailureInit): FailureInit {
  return { type, message, nonRetryable: true };
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
  // Never that of this place, which is another one in a replay.
  error.stack = failure.stack || String(error);
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
    // An error without a text is known by its class.
    message: known.message || known.type || "Error",
    stepKey,
    attempts,
    details: failureDetails(known),
    cause: errorOf(known),
  });
}
