// Section E of docs/replay-machine.md.
/** How a run ends in this worker: with a result, or with an error. */
import { create } from "@bufbuild/protobuf";
import { FailRunRequestSchema, FailureSchema } from "@pawl/proto";
import type { PayloadInit } from "../codec/payload.ts";
import { Cancelled } from "../errors.ts";
import { plainFailure } from "../failure.ts";
import { limits } from "../limits.ts";
import { type CompensationFailure, failureReport } from "./failure-report.ts";
import type { Run } from "./run.ts";

/** Reports the result that the workflow returned. Rejects where there is none to report. */
export async function completeRun(run: Run, output: () => Promise<PayloadInit>): Promise<void> {
  if (run.left) return;
  refuseCancelled(run);
  const payload = await output();
  const reported = run.reports.done();
  if (reported !== undefined) await reported;
  if (run.left) return;
  run.setEnding(true);
  const { memo, runId } = run;
  const unconsumedStepKeys = memo.size === 0 ? [] : memo.unconsumed(limits.reportedKeysMax);
  try {
    await run.persist(() => {
      // A cancel that came first: the run is not complete, and its clean-up is due.
      refuseCancelled(run);
      const { fence } = run;
      const traced = run.facts.trace !== undefined;
      return run.link.complete({ runId, fence, output: payload, unconsumedStepKeys, traced });
    });
    run.facts.trace?.end(undefined);
    run.leave("completed");
  } catch (error) {
    run.setEnding(false);
    throw error;
  }
}

function refuseCancelled({ cancelReason }: Run): void {
  if (cancelReason !== undefined) throw new Cancelled(cancelReason);
}

/**
 * Ends a run with an error: failed, cancelled, or paused where code and journal disagree.
 * `failures`: compensations that failed on top of it.
 */
export async function failRun(
  run: Run,
  error: unknown,
  failures: readonly CompensationFailure[] = [],
): Promise<void> {
  await run.reports.done();
  if (run.left) return;
  run.setEnding(true);
  const traced = run.facts.trace !== undefined;
  const request = create(
    FailRunRequestSchema,
    failureReport(run.runId, error, run.cancelReason, run.memo, failures),
  );
  request.traced = traced;
  const report = () =>
    run.persist(() => {
      request.fence = run.fence;
      return run.link.fail(request, error);
    });
  try {
    await report().catch(() => {
      // What the error carries may be what is refused.
      request.failure = create(FailureSchema, plainFailure(request.failure ?? {}));
      return report();
    });
    if (request.nonDeterminism === undefined) run.facts.trace?.end(request.failure?.type ?? "");
    run.leave("failed");
  } catch (refusal) {
    run.logger.error("the platform refused the report of a failed run", {
      runId: run.runId,
      refusal: String(refusal),
    });
    run.gaveUp = true;
    run.leave("its failure could not be reported");
  }
}
