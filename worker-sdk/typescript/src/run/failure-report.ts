import { Cancelled, NonDeterminismError, StepFailedError } from "../errors.ts";
import { toFailure } from "../failure.ts";
import { limits } from "../limits.ts";
import type { FailRunInit } from "./link.ts";
import type { Memo } from "./memo.ts";

/** The failed steps that an error came through, innermost first. */
function failedKeys(error: unknown, memo: Memo): string[] {
  const keys = new Set<string>();
  let at: unknown = error;
  for (let depth = 0; at instanceof Error && depth < limits.causeDepthMax; depth += 1) {
    if (at instanceof StepFailedError) {
      for (const key of [...memo.failedWithin(at.stepKey), at.stepKey]) keys.add(key);
    }
    at = at.cause;
  }
  return [...keys].slice(0, limits.reportedKeysMax);
}

/** Says why a run ends without a result. `cancelReason`: it is being cancelled. */
export function failureReport(
  runId: string,
  error: unknown,
  cancelReason: string | undefined,
  memo: Memo,
): FailRunInit {
  const report: FailRunInit = {
    runId,
    failure: toFailure(cancelReason === undefined ? error : new Cancelled(cancelReason)),
    failedStepKeys: failedKeys(error, memo),
  };
  if (error instanceof NonDeterminismError) {
    const { stepKey, recorded, attempted, likelyCause } = error;
    report.nonDeterminism = { stepKey, recorded, attempted, likelyCause };
  }
  return report;
}
