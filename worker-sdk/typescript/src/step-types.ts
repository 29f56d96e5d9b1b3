/** What a step is that was defined apart from its workflow; `step.ts` makes one. */
import type { StepCall, StepOptions } from "./run/step-settings.ts";

export const stepMark = Symbol.for("pawl.step");

/**
 * A step defined apart from its workflow. Called inside of a workflow, directly or
 * as `ctx.step(theStep, ...args)`, it is recorded; called elsewhere it just runs.
 */
export interface StepFunction<A extends unknown[], R> extends AnyStep {
  (...args: A): Promise<R>;
  /** The same step with other options, such as `charge.with({ key: order.id })`. */
  with(options: StepOptions): StepFunction<A, R>;
}

/** A step, whatever its types. */
export interface AnyStep {
  readonly stepName: string;
  readonly options: StepOptions;
  readonly body: StepCall["body"];
}

export function isStepFunction(value: unknown): value is AnyStep {
  return typeof value === "function" && stepMark in value;
}
