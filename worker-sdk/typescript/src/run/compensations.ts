/**
 * What undoes the steps of a run, should it fail or be cancelled (a saga). The code registers each
 * compensation where it stands; a replay registers the same ones again, under the same keys.
 */
import { AmbiguousStepKeyError, NonDeterminismError } from "../errors.ts";
import type { CompensationFailure } from "./failure-report.ts";
import type { Run } from "./run.ts";
import { StepOperation } from "./step.ts";
import type { StepHost } from "./step-body.ts";
import type { StepCall } from "./step-settings.ts";

interface Compensation {
  readonly key: string;
  readonly call: StepCall;
}

export class Compensations {
  #registered: Compensation[] = [];

  /** Says what the clean-up of a cancelled run is about to undo, so that it is known what is left if that does not end. */
  async #announce(run: Run, latestFirst: readonly Compensation[]): Promise<void> {
    const compensations = latestFirst
      .map(({ key }) => key)
      .filter((key) => !run.memo.isCompleted(key));
    if (run.cancelReason === undefined || compensations.length === 0 || run.left) return;
    try {
      await run.persist(() =>
        run.link.beginCleanUp({ runId: run.runId, fence: run.fence, compensations }),
      );
    } catch (error) {
      run.logger.warn("the platform was not told what is to be undone", {
        runId: run.runId,
        error: String(error),
      });
    }
  }

  register(key: string, call: StepCall): void {
    this.#registered.push({ key, call });
  }

  /**
   * Runs them, the latest first, as steps that neither the end of the code nor a cancel stops.
   * Waits first for what is still under way, so that nothing is undone beside its being done. One
   * that fails does not keep the others from running. Answers those that failed.
   */
  async run(host: StepHost, error: unknown): Promise<CompensationFailure[]> {
    const { run } = host;
    const latestFirst = this.#registered.reverse();
    this.#registered = [];
    // A run that stops because code and journal disagree is to continue later.
    const goesOn = error instanceof NonDeterminismError || error instanceof AmbiguousStepKeyError;
    if (goesOn || run.left) return [];
    await run.settle("the workflow has ended", latestFirst.length > 0);
    const scope = run.root.shield("");
    await this.#announce(run, latestFirst);
    const failures: CompensationFailure[] = [];
    for (const { key, call } of latestFirst) {
      try {
        await new StepOperation(host, scope, key, call).open();
      } catch (failure) {
        failures.push({ key, name: call.name, error: failure });
      }
    }
    return failures;
  }
}
