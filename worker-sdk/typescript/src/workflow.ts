import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Context } from "./context/types.ts";
import { type Duration, durationFromMs, durationMs } from "./duration.ts";
import { UsageError } from "./errors.ts";
import { type FlowOptions, flowOf } from "./flow-control.ts";
import { refuseUnknown } from "./lib/options.ts";
import { runDirectly } from "./local/direct.ts";
import type { Retry } from "./policy/retry.ts";
import { checkName } from "./run/keys.ts";
import { userCallSite } from "./run/scope.ts";
import { resolveStepOptions, type StepOptions } from "./run/step-settings.ts";
import { checkSchema, declaredProperties, type JsonSchema, jsonSchemaOf } from "./schema.ts";
import { parseTemplate, type TemplateVariables } from "./template.ts";
import { type AnyWorkflow, type Workflow, workflowMark } from "./workflow-types.ts";

/** The options of a workflow. Unknown names are rejected. */
export interface WorkflowOptions extends FlowOptions {
  /** The name under which runs are started; at most 200 bytes. Default: the name of the function. */
  readonly name?: string;
  /**
   * A schema for the input. The server validates inputs before it creates a run, and the workflow gets the
   * parsed value. Default: any input is valid. A stricter schema does not affect runs that have started.
   */
  readonly input?: StandardSchemaV1 | undefined;
  /** A schema for the result; the parsed value is recorded. A result that does not match fails the run. */
  readonly output?: StandardSchemaV1 | undefined;
  /** The JSON Schema of the input, if the library of `input` cannot produce it. */
  readonly inputSchema?: JsonSchema;
  /** The JSON Schema of the result, if the library of `output` cannot produce it. */
  readonly outputSchema?: JsonSchema;
  /** How failed steps are retried unless they have their own `retry`. Default: no retry. */
  readonly retry?: Retry;
  /**
   * The time limit of a run, from its start to its end, waits included. Default: no limit, because runs may
   * wait for months. A run that exceeds it is cleaned up like a cancelled one and becomes FAILED with RunTimeout.
   */
  readonly timeout?: Duration;
  /** How long a run may wait for its first worker; then it fails. Default: no limit. */
  readonly queueTimeout?: Duration;
  /** The time limit of one attempt of each step that has no `timeout`. Default: no limit. */
  readonly stepTimeout?: Duration;
  /**
   * The version of the code, shown to people. Runs that are pinned to a version are only given to workers with
   * that version; other runs go to any version. Default: empty.
   */
  readonly version?: string;
  /** What the workflow does, shown to people. Default: empty. */
  readonly description?: string;
  /**
   * A template that builds the run id from the input, such as `order-{orderId}`, so that starting twice for the
   * same input returns the same run. Default: a random id.
   */
  readonly id?: string;
  /** The queue of its runs. Default: `default`. Use another one to reserve workers for them. */
  readonly queue?: string;
}

const known = {
  name: true,
  input: true,
  output: true,
  inputSchema: true,
  outputSchema: true,
  retry: true,
  timeout: true,
  queueTimeout: true,
  stepTimeout: true,
  version: true,
  description: true,
  id: true,
  queue: true,
  concurrency: true,
  rateLimit: true,
  fairnessKey: true,
} satisfies Record<keyof WorkflowOptions, true>;

type Returned<OS> = OS extends StandardSchemaV1
  ? StandardSchemaV1.InferInput<OS> | Promise<StandardSchemaV1.InferInput<OS>>
  : unknown;
type Output<OS, R> = OS extends StandardSchemaV1 ? StandardSchemaV1.InferOutput<OS> : Awaited<R>;
type Options<OS, Id> = Omit<WorkflowOptions, "input" | "output" | "id"> & {
  readonly output?: OS;
  readonly id?: Id;
};
/** Refuses templates that name something that the input does not have. */
type CheckedId<Id extends string, I> = [TemplateVariables<Id>] extends [keyof I & string]
  ? unknown
  : { readonly id: `the input has no "${Exclude<TemplateVariables<Id>, keyof I & string>}"` };

/** The code of a workflow whose input has no schema: the input's type is its second parameter's. */
type Handler<OS> = (ctx: Context, input: never) => Returned<OS>;
type InputOf<F extends (ctx: Context, input: never) => unknown> = Parameters<F>["length"] extends
  | 0
  | 1
  ? unknown
  : Parameters<F>[1];
type InputIn<S extends StandardSchemaV1> = StandardSchemaV1.InferInput<S>;
type InputOut<S extends StandardSchemaV1> = StandardSchemaV1.InferOutput<S>;

/**
 * Defines a workflow: `workflow(fn)`, `workflow(name, fn)`, `workflow(options, fn)`
 * or `workflow(name, options, fn)`. Without a name it has the function's. The
 * function gets the run's context first and the input second.
 */
export function workflow<
  IS extends StandardSchemaV1,
  OS extends StandardSchemaV1 | undefined = undefined,
  R extends Returned<OS> = Returned<OS>,
  const Id extends string = string,
>(
  name: string,
  options: Options<OS, Id> & { readonly input: IS } & CheckedId<Id, InputIn<IS>>,
  fn: (ctx: Context, input: InputOut<IS>) => R,
): Workflow<InputIn<IS>, Output<OS, R>>;
export function workflow<
  F extends Handler<OS>,
  OS extends StandardSchemaV1 | undefined = undefined,
  const Id extends string = string,
>(
  name: string,
  options: Options<OS, Id> & { readonly input?: undefined } & CheckedId<Id, InputOf<F>>,
  fn: F,
): Workflow<InputOf<F>, Output<OS, ReturnType<F>>>;
export function workflow<
  IS extends StandardSchemaV1,
  OS extends StandardSchemaV1 | undefined = undefined,
  R extends Returned<OS> = Returned<OS>,
  const Id extends string = string,
>(
  options: Options<OS, Id> & { readonly input: IS } & CheckedId<Id, InputIn<IS>>,
  fn: (ctx: Context, input: InputOut<IS>) => R,
): Workflow<InputIn<IS>, Output<OS, R>>;
export function workflow<
  F extends Handler<OS>,
  OS extends StandardSchemaV1 | undefined = undefined,
  const Id extends string = string,
>(
  options: Options<OS, Id> & { readonly input?: undefined } & CheckedId<Id, InputOf<F>>,
  fn: F,
): Workflow<InputOf<F>, Output<OS, ReturnType<F>>>;
export function workflow<F extends Handler<undefined>>(
  name: string,
  fn: F,
): Workflow<InputOf<F>, Awaited<ReturnType<F>>>;
export function workflow<F extends Handler<undefined>>(
  fn: F,
): Workflow<InputOf<F>, Awaited<ReturnType<F>>>;
export function workflow(...parts: unknown[]): Workflow<unknown, never> {
  const handler = parts.at(-1);
  const options = (parts.slice(0, -1).find((part) => typeof part === "object" && part !== null) ??
    {}) as WorkflowOptions;
  const given = typeof parts[0] === "string" ? parts[0] : options.name;
  if (typeof handler !== "function") {
    throw new UsageError(
      `workflow(${given === undefined ? "" : `"${given}"`}) needs a function as its last argument; it got ${typeof handler}`,
    );
  }
  const name = given ?? handler.name;
  if (name === "")
    throw new UsageError(
      `workflow() got a function without a name; give one: workflow("name", async (ctx, input) => …)`,
    );
  return defineWorkflow(name, options, handler as (ctx: Context, input: never) => unknown);
}

function checkHandler(name: string, handler: AnyWorkflow["handler"]): void {
  const head = /^(?:async\s*)?(?:function\b[^(]*)?\(\s*\{/;
  if (head.test(Function.prototype.toString.call(handler))) {
    throw new UsageError(
      `the function of workflow "${name}" destructures its first parameter; the first one is ctx, the second one is the input: async (ctx, { … }) => …`,
    );
  }
}

function stepDefaultsOf(options: WorkflowOptions): StepOptions | undefined {
  const { retry, stepTimeout } = options;
  if (retry === undefined && stepTimeout === undefined) return undefined;
  const defaults: StepOptions = {
    ...(retry === undefined ? {} : { retry }),
    ...(stepTimeout === undefined ? {} : { timeout: stepTimeout }),
  };
  resolveStepOptions(defaults);
  return Object.freeze(defaults);
}

function timeoutsOf(options: WorkflowOptions): AnyWorkflow["timeouts"] {
  const { timeout, queueTimeout } = options;
  if (timeout === undefined && queueTimeout === undefined) return undefined;
  return {
    ...(timeout === undefined ? {} : { run: durationFromMs(durationMs(timeout)) }),
    ...(queueTimeout === undefined ? {} : { queue: durationFromMs(durationMs(queueTimeout)) }),
  };
}

/** Makes a workflow from parts that may come from elsewhere, such as a pipeline. */
export function defineWorkflow(
  name: string,
  options: WorkflowOptions,
  handler: AnyWorkflow["handler"],
): Workflow<unknown, never> {
  checkName("a workflow", name);
  refuseUnknown(options, known, `an option of workflow "${name}"`);
  checkHandler(name, handler);
  checkSchema(`the input of workflow "${name}"`, options.input, "inputSchema");
  checkSchema(`the output of workflow "${name}"`, options.output, "outputSchema");
  const inputJsonSchema = options.inputSchema ?? jsonSchemaOf(options.input);
  const definition: AnyWorkflow = {
    [workflowMark]: true,
    workflowName: name,
    version: options.version ?? "",
    description: options.description ?? "",
    queue: options.queue ?? "",
    flow: flowOf(options),
    inputSchema: options.input,
    outputSchema: options.output,
    inputJsonSchema,
    outputJsonSchema: options.outputSchema ?? jsonSchemaOf(options.output, "output"),
    stepDefaults: stepDefaultsOf(options),
    timeouts: timeoutsOf(options),
    idTemplate:
      options.id === undefined
        ? undefined
        : parseTemplate(options.id, declaredProperties(inputJsonSchema)),
    definedAt: userCallSite(),
    handler,
  };
  // The overloads of `workflow` say what it resolves to.
  const call = (input?: unknown): Promise<never> =>
    runDirectly(definition, input) as Promise<never>;
  Object.defineProperty(call, "name", { value: name });
  return Object.assign(call, definition);
}
