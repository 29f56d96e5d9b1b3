/** Errors as the programs of cases write them. */
import {
  Cancelled,
  RetryableError,
  StepFailedError,
  TerminalError,
  WaitTimeoutError,
} from "@pawl/worker";

/** An error that is recorded under the type that the program gives it. */
export function makeError(spec: { readonly [field: string]: unknown }): Error {
  const message = String(spec.message ?? "");
  const error =
    spec.nonRetryable === true
      ? new TerminalError(message)
      : "retryAfterMs" in spec
        ? new RetryableError(message, { retryAfter: Number(spec.retryAfterMs) })
        : new Error(message);
  error.name = String(spec.type ?? "Error");
  return error;
}

/** What a program sees of an error that it caught. */
export function failureOf(error: unknown): { type: string; message: string } {
  if (error instanceof StepFailedError) return { type: bare(error.type), message: error.message };
  if (error instanceof WaitTimeoutError) return { type: "WaitTimeout", message: "" };
  if (error instanceof Cancelled) return { type: "Cancelled", message: "" };
  if (error instanceof Error) return { type: bare(error.name), message: error.message };
  return { type: "Unknown", message: String(error) };
}

function bare(type: string): string {
  return type.endsWith("Error") && type !== "Error" ? type.slice(0, -"Error".length) : type;
}
