import { encode, type ReceivedPayload } from "../codec/payload.ts";
import { UsageError } from "../errors.ts";
import type { Logger } from "../lib/logger.ts";
import { Compensations } from "../run/compensations.ts";
import type { RunFacts } from "../run/facts.ts";
import type { RunLink } from "../run/link.ts";
import type { Memo } from "../run/memo.ts";
import { completeRun, failRun } from "../run/outcome.ts";
import { parsedInput } from "../run/parsed-values.ts";
import { upload } from "../run/payload-uploads.ts";
import { Run } from "../run/run.ts";
import type { StepBody } from "../run/step-body.ts";
import { validate } from "../schema.ts";
import type { AnyWorkflow } from "../workflow-types.ts";
import { RunContext } from "./context.ts";
import { contexts } from "./current.ts";
import type { RunBase } from "./place.ts";
import { StepBodyContext } from "./step-context.ts";
import type { Context } from "./types.ts";

/** A run that is to be executed here. */
export interface Execution {
  readonly facts: RunFacts;
  readonly workflow: AnyWorkflow;
  readonly link: RunLink;
  readonly memo: Memo;
  readonly input: ReceivedPayload | undefined;
  readonly logger: Logger;
  /** Executes the run anew after each record, where that is wanted. */
  readonly again?: ((before: RunFacts) => void) | undefined;
}

/**
 * Starts to execute a run. The code starts in a later microtask, so that the
 * caller can keep the run first.
 */
export function execute(execution: Execution): Run {
  const { facts, workflow, link, memo, logger, again } = execution;
  const invoke = (body: StepBody): unknown => {
    const { call } = body.operation;
    const context = new StepBodyContext(base, body);
    // The types of body and arguments were matched where the step was called.
    const fn = call.body as (...args: unknown[]) => unknown;
    const { trace } = body;
    const args = call.args ?? [context];
    const enter = <R>(inner: () => R): R => contexts.run(context, inner);
    body.within = trace === undefined ? enter : (inner) => trace.within(() => enter(inner));
    if (trace !== undefined) return trace.within(() => contexts.run(context, fn, ...args));
    return contexts.run(context, fn, ...args);
  };
  const run = new Run({ facts, link, memo, logger, again });
  const { stepDefaults } = workflow;
  const base: RunBase = { run, invoke, stepDefaults, compensations: new Compensations() };
  void perform(new RunContext(base, run.root), execution);
  return run;
}

async function perform(context: RunContext, { workflow, link, input }: Execution): Promise<void> {
  const { base } = context;
  const { run } = base;
  const name = workflow.workflowName;
  try {
    const payload =
      input?.ref === undefined ? input : await run.persist(() => link.download(input));
    const argument = await parsedInput(
      run,
      workflow.inputSchema,
      payload,
      `the input of workflow "${name}"`,
    );
    const handler = workflow.handler as (ctx: Context, input: unknown) => unknown;
    const output = await contexts.run(context, handler, context, argument);
    if (run.operations.size > 0) await run.finish();
    await completeRun(run, async () => {
      const what = `the result of workflow "${name}"`;
      const encoded = encode(await validate(workflow.outputSchema, output, what), what);
      return run.persist(() => upload(link, encoded, what));
    });
  } catch (error) {
    await failRun(run, error, await base.compensations.run(base, error));
  }
}

/** Refuses what only makes sense outside of a run. */
export function refuseInsideRun(what: string, instead: string): void {
  if (contexts.getStore() !== undefined) {
    throw new UsageError(
      `${what} inside of a run would not be recorded as a part of it; use ${instead}`,
    );
  }
}
