import { ParentClosePolicy, StepKind } from "@pawl/proto";
import { digestText, encode } from "../codec/payload.ts";
import { UsageError } from "../errors.ts";
import { wholeNumber } from "../lib/options.ts";
import { escapeChars, exceedsBytes } from "../lib/text.ts";
import { limits } from "../limits.ts";
import { checkName, checkRunId, checkTags } from "../run/keys.ts";
import type { StartRunInit } from "../run/link.ts";
import { upload } from "../run/payload-uploads.ts";
import type { Run } from "../run/run.ts";
import type { Scope } from "../run/scope.ts";
import type { WaitCall } from "../run/wait.ts";
import { validate } from "../schema.ts";
import { type AnyWorkflow, isWorkflow } from "../workflow-types.ts";
import type { ChildOptions } from "./types.ts";

/**
 * The run id of a child: the parent's id and the step's key, so that it is the
 * same whenever it is asked for: a parent that is retried continues with the child
 * that it had. Ids that become too long are hashed.
 */
export function childRunId(parentRunId: string, stepKey: string): string {
  const escaped = escapeChars(stepKey, /[^A-Za-z0-9\-_:/]/gu).replaceAll("/", ".");
  const id = `${parentRunId}~${escaped}`;
  if (!exceedsBytes(id, limits.runIdBytesMax)) return id;
  return `child~${digestText(`${parentRunId}\n${stepKey}`)}`;
}

interface ChildRequest {
  readonly run: Run;
  readonly scope: Scope;
  readonly stepKey: string;
  readonly workflow: string | AnyWorkflow;
  readonly name: string;
  readonly input: unknown;
  readonly options: ChildOptions;
}

/** Which workflow is meant. Throws UsageError. */
export function childName(
  what: string,
  workflow: unknown,
): { readonly workflow: string | AnyWorkflow; readonly name: string } {
  if (typeof workflow === "string") {
    checkName(what, workflow);
    return { workflow, name: workflow };
  }
  if (!isWorkflow(workflow)) throw new UsageError(`${what} needs a workflow, or the name of one`);
  return { workflow, name: workflow.workflowName };
}

export function childKey({ key }: ChildOptions): string | undefined {
  return key === undefined ? undefined : String(key);
}

/** Says how a child run is started and awaited. */
export function childCall(child: ChildRequest): WaitCall {
  const { run, scope, stepKey, workflow, name, input, options } = child;
  const definition = typeof workflow === "string" ? undefined : workflow;
  const what = `the input of child "${name}"`;
  if (options.priority !== undefined) wholeNumber("priority", options.priority, 0, 9);
  if (options.runId !== undefined) checkRunId(options.runId);
  const tags = checkTags(options.tags);
  // As it is now, whatever becomes of the caller's object.
  const encoded = encode(input, what);
  return {
    name,
    kind: StepKind.CHILD,
    wait: {},
    finish: ({ value }) => value,
    child: { workflow: definition, ownId: options.runId !== undefined, request },
  };

  async function request(): Promise<StartRunInit> {
    await validate(definition?.inputSchema, encoded.decoded(), what);
    return {
      workflow: name,
      input: await run.persist(() => upload(run.link, encoded, what)),
      runId: options.runId ?? childRunId(run.runId, stepKey),
      queue: options.queue ?? definition?.queue ?? "",
      ...(options.priority === undefined ? {} : { priority: options.priority }),
      tags,
      sessionId: run.facts.sessionId,
      userId: run.facts.userId,
      traceparent: (scope.trace ?? run.facts.trace ?? run.facts).traceparent,
      parentClosePolicy:
        options.parentClose === "abandon" ? ParentClosePolicy.ABANDON : ParentClosePolicy.CANCEL,
      ...(definition?.timeouts === undefined ? {} : { timeouts: definition.timeouts }),
    };
  }
}
