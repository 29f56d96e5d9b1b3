import type { AnyWorkflow } from "./workflow.ts";

export const workflowMark: unique symbol = Symbol.for("pawl.workflow");

/** Whether a value was made by `workflow()` or `pipeline()`. */
export function isWorkflow(value: unknown): value is AnyWorkflow {
  return typeof value === "function" && workflowMark in value;
}
