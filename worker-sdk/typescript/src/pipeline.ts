/** A workflow as an ordered list of steps, each one's output the next one's input. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Context } from "./context/types.ts";
import { UsageError } from "./errors.ts";
import { jsonSchemaOf } from "./schema.ts";
import { misfit } from "./schema-fit.ts";
import { step } from "./step.ts";
import { type AnyStep, isStepFunction } from "./step-types.ts";
import { defineWorkflow, type WorkflowOptions } from "./workflow.ts";
import type { Workflow } from "./workflow-types.ts";

type Stage = (...args: never[]) => unknown;
type Output<F> = F extends (...args: never[]) => infer R ? Awaited<R> : never;

/**
 * What a stage takes from the one before: with one parameter the value itself,
 * with more of them a tuple, which is spread. Optional parameters are refused,
 * since it could not be told at run time which of the two is meant.
 */
type Taken<F> = F extends (...args: infer P extends readonly unknown[]) => unknown
  ? number extends P["length"]
    ? never
    : P extends readonly []
      ? unknown
      : P extends readonly [infer Only]
        ? Only
        : 1 extends P["length"]
          ? never
          : Readonly<P>
  : never;

type Mismatch<From, To> = {
  readonly "this stage's input does not fit the output before it": [From, To];
};

/** The stages, where each one's input fits; where it does not, what is wrong. */
type Chain<S extends readonly Stage[]> = S extends readonly [
  infer A extends Stage,
  infer B extends Stage,
  ...infer Rest extends Stage[],
]
  ? [
      A,
      ...(Output<A> extends Taken<B>
        ? Chain<readonly [B, ...Rest]>
        : [Mismatch<Output<A>, Taken<B>>, ...Rest]),
    ]
  : [...S];

type First<S extends readonly Stage[]> = S extends readonly [infer A, ...unknown[]]
  ? Taken<A>
  : never;
type Last<S extends readonly Stage[]> = S extends readonly [...unknown[], infer Z]
  ? Output<Z>
  : never;

function checkSchemas(name: string, stages: readonly AnyStep[]): void {
  for (const [i, stage] of stages.entries()) {
    const before = stages[i - 1];
    if (before === undefined) continue;
    const from = jsonSchemaOf(before.options.output, "output");
    const to = jsonSchemaOf(stage.options.input);
    const problem = from === undefined || to === undefined ? undefined : misfit(from, to);
    if (problem !== undefined) {
      throw new UsageError(
        `in the pipeline "${name}" the output of "${before.stepName}" does not fit the input of "${stage.stepName}": ${problem}`,
      );
    }
  }
}

function asStep(name: string, stage: unknown, i: number): AnyStep {
  if (isStepFunction(stage)) return stage;
  if (typeof stage !== "function") {
    throw new UsageError(
      `stage ${i + 1} of the pipeline "${name}" is a ${typeof stage}; it has to be a function or a step`,
    );
  }
  if (stage.name === "") {
    throw new UsageError(
      `stage ${i + 1} of the pipeline "${name}" has no name; write step("name", …) around it`,
    );
  }
  return step(stage as (...args: unknown[]) => unknown);
}

function argumentsFor(stage: AnyStep, value: unknown): readonly unknown[] {
  if (stage.body.length < 2) return [value];
  if (Array.isArray(value) && value.length === stage.body.length) return value;
  throw new UsageError(
    `the step "${stage.stepName}" takes ${stage.body.length} arguments, so it needs a list of as many from the step before; it got ${Array.isArray(value) ? `${value.length}` : `a ${typeof value}`}`,
  );
}

/**
 * Defines a workflow of steps that run one after the other. The first one takes
 * the workflow's input (a tuple, if it has several parameters), the last one's
 * output is the result. That each fits the next is checked by the types, and when
 * it is defined by the steps' schemas.
 */
export function pipeline<const S extends readonly [Stage, ...Stage[]]>(
  name: string,
  stages: S & Chain<S>,
  options: WorkflowOptions & { readonly input?: StandardSchemaV1<First<S>> } = {},
): Workflow<First<S>, Last<S>> {
  const steps = stages.map((stage, i) => asStep(name, stage, i));
  if (steps.length === 0) throw new UsageError(`the pipeline "${name}" has no stages`);
  checkSchemas(name, steps);
  const run = async (ctx: Context, input: unknown): Promise<unknown> => {
    let value: unknown = input;
    for (const stage of steps) {
      value = await ctx.step(
        stage.stepName,
        stageBody(stage),
        [...argumentsFor(stage, value)],
        stage.options,
      );
    }
    return value;
  };
  return defineWorkflow(name, options, run);
}

function stageBody(stage: AnyStep): (...args: unknown[]) => unknown {
  return stage.body as (...args: unknown[]) => unknown;
}
