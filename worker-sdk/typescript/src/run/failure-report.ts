import { Cancelled, NonDeterminismError, StepFailedError } from "../errors.ts";
import { type FailureInit, toFailure } from "../failure.ts";
import { isError, messageOf, read } from "../lib/foreign.ts";
import { clipBytes } from "../lib/text.ts";
import { limits } from "../limits.ts";
import type { FailRunInit } from "./link.ts";
import type { Memo } from "./memo.ts";

/** A compensation that failed for good. */
export interface CompensationFailure {
  readonly key: string;
  readonly name: string;
  readonly error: unknown;
}

/** The failed steps that an error came through, innermost first. */
function failedKeys(error: unknown, memo: Memo): string[] {
  const keys = new Set<string>();
  let at: unknown = error;
  for (let depth = 0; isError(at) && depth < limits.causesMax; depth += 1) {
    if (at instanceof StepFailedError) {
      const stepKey = String(read(at, "stepKey") ?? "");
      for (const key of [...memo.failedWithin(stepKey), stepKey]) keys.add(key);
    }
    at = read(at, "cause");
  }
  return [...keys].slice(0, limits.reportedKeysMax);
}

function withFailures(failure: FailureInit, failures: readonly CompensationFailure[]): FailureInit {
  if (failures.length === 0) return failure;
  const list = failures.map(({ name, error }) => `"${name}": ${messageOf(error)}`);
  const what = failures.length === 1 ? "its compensation" : `${failures.length} compensations`;
  const message = `${failure.message}; ${what} failed: ${list.join("; ")}`;
  return { ...failure, message: clipBytes(message, limits.messageBytesMax) };
}

/**
 * Says why a run ends without a result. `cancelReason`: it is being cancelled; `failures`:
 * compensations that failed as well.
 */
export function failureReport(
  runId: string,
  error: unknown,
  cancelReason: string | undefined,
  memo: Memo,
  failures: readonly CompensationFailure[],
): FailRunInit {
  const failure = toFailure(cancelReason === undefined ? error : new Cancelled(cancelReason));
  const compensations = failures.flatMap(({ error }) => failedKeys(error, memo));
  const report: FailRunInit = {
    runId,
    failure: withFailures(failure, failures),
    failedStepKeys: [...compensations, ...failedKeys(error, memo)].slice(0, limits.reportedKeysMax),
  };
  if (error instanceof NonDeterminismError) {
    const { stepKey, recorded, attempted, likelyCause } = error;
    report.nonDeterminism = { stepKey, recorded, attempted, likelyCause };
  }
  return report;
}
