/** What a workflow is; `workflow.ts` makes one. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Context } from "./context/types.ts";
import type { FlowInit } from "./flow-control.ts";
import type { StepOptions } from "./run/step-settings.ts";
import type { JsonSchema } from "./schema.ts";
import type { RunIdTemplate } from "./template.ts";

export const workflowMark: unique symbol = Symbol.for("pawl.workflow");

/** How long runs may take and wait, as the server wants it. */
export interface Timeouts {
  readonly run?: { readonly seconds: bigint; readonly nanos: number };
  readonly queue?: { readonly seconds: bigint; readonly nanos: number };
}

/** A workflow, whatever its types. */
export interface AnyWorkflow {
  readonly [workflowMark]: true;
  readonly workflowName: string;
  readonly version: string;
  readonly description: string;
  readonly queue: string;
  readonly flow: FlowInit | undefined;
  readonly inputSchema: StandardSchemaV1 | undefined;
  readonly outputSchema: StandardSchemaV1 | undefined;
  readonly inputJsonSchema: JsonSchema | undefined;
  readonly outputJsonSchema: JsonSchema | undefined;
  readonly stepDefaults: StepOptions | undefined;
  readonly timeouts: Timeouts | undefined;
  readonly idTemplate: RunIdTemplate | undefined;
  /** Where it was defined: file, line and column. */
  readonly definedAt: string;
  /** The code. */
  readonly handler: (ctx: Context, input: never) => unknown;
}

/** The input as an argument, which may be left out where nothing is wanted. */
export type InputArguments<I> = undefined extends I ? [input?: I] : [input: I];

/**
 * A workflow that takes `I` and results in `O`. Called directly, it runs here and
 * now, with no platform and nothing recorded beyond this process.
 */
export interface Workflow<I, O> extends AnyWorkflow {
  (...input: InputArguments<I>): Promise<O>;
  /** For type inference; not there at run time. */
  readonly accepts?: (input: I) => void;
}

/** Whether a value was made by `workflow()` or `pipeline()`. */
export function isWorkflow(value: unknown): value is AnyWorkflow {
  return typeof value === "function" && workflowMark in value;
}
