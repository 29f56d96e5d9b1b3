import { randomUUID } from "node:crypto";
import { decode, encode } from "../codec/payload.ts";
import { execute, refuseInsideRun } from "../context/execute.ts";
import { silentLogger } from "../lib/logger.ts";
import { Memo } from "../run/memo.ts";
import type { AnyWorkflow, Workflow } from "../workflow-types.ts";
import { type LocalAnswers, LocalPeople } from "./answers.ts";
import { LocalLink } from "./local-link.ts";

/** How a workflow runs without a platform. */
export interface LocalOptions {
  /** Default: `local-` and a random id. */
  readonly runId?: string;
  /** Signals that have been sent to the run already: payloads by name, in order. */
  readonly signals?: Readonly<Record<string, readonly unknown[]>>;
  /** Answers to the questions that the run asks. */
  readonly answers?: LocalAnswers;
  /** What outside processes post to the run's callbacks: bodies by name, in order. */
  readonly callbacks?: Readonly<Record<string, readonly unknown[]>>;
  /** Sleeps, timeouts of signals and delays between attempts are over at once. Default: false. */
  readonly skipTime?: boolean;
  /** Cancels the run. */
  readonly abortSignal?: AbortSignal;
  /** Gets the live output. */
  readonly onEvent?: (type: string, data: unknown, stepKey: string) => void;
}

function queues(
  prepared: Readonly<Record<string, readonly unknown[]>> | undefined,
): Map<string, unknown[]> {
  return new Map(Object.entries(prepared ?? {}).map(([name, payloads]) => [name, [...payloads]]));
}

async function runHere(
  workflow: AnyWorkflow,
  input: unknown,
  options: LocalOptions,
): Promise<unknown> {
  const name = workflow.workflowName;
  const runId = options.runId ?? `local-${randomUUID()}`;
  const encoded = encode(input, `the input of workflow "${name}"`);
  const link = new LocalLink({
    signals: queues(options.signals),
    callbacks: queues(options.callbacks),
    people: new LocalPeople(options.answers),
    skipTime: options.skipTime ?? false,
    onEvent: options.onEvent,
    runChild: (child, childInput, childRunId, unwanted) => {
      const { abortSignal = unwanted } = options;
      const either = AbortSignal.any([abortSignal, unwanted]);
      return runHere(child, childInput, { ...options, runId: childRunId, abortSignal: either });
    },
  });
  const run = execute({
    facts: {
      runId,
      runUid: "",
      fence: 1,
      attempt: 1,
      execution: 1,
      ownAfterSeq: 0,
      workflow: name,
      version: workflow.version,
      tags: {},
      sessionId: "",
      userId: "",
      traceparent: "",
      parent: undefined,
      cancelling: false,
      clockAheadMs: 0,
      careful: false,
      confirmStarts: false,
    },
    workflow,
    link,
    memo: new Memo(),
    input: { data: encoded.data, encoding: encoded.encoding },
    logger: silentLogger,
  });
  link.attach(run);
  const cancel = () => run.cancel(0, String(options.abortSignal?.reason ?? "aborted"));
  options.abortSignal?.addEventListener("abort", cancel);
  try {
    return decode(await link.result);
  } finally {
    options.abortSignal?.removeEventListener("abort", cancel);
    run.leave("the local run is over");
  }
}

/**
 * Runs a workflow in this process, with no platform: the same keys, results and
 * errors, and nothing kept. For unit tests and scripts.
 */
export async function runLocally<I, O>(
  workflow: Workflow<I, O>,
  input: I,
  options: LocalOptions = {},
): Promise<O> {
  return (await runHere(workflow, input, options)) as O;
}

/** What calling a workflow as a function does. */
export async function runDirectly(workflow: AnyWorkflow, input: unknown): Promise<unknown> {
  refuseInsideRun(
    `calling the workflow "${workflow.workflowName}" as a function`,
    `ctx.child(${workflow.workflowName}, input)`,
  );
  return runHere(workflow, input, {});
}
