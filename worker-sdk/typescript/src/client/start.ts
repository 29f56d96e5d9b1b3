import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { PayloadSchema, type StartRunRequest, StartRunRequestSchema } from "@pawl/proto";
import { encode } from "../codec/payload.ts";
import { type Duration, durationFromMs, durationMs, momentMs } from "../duration.ts";
import { UsageError } from "../errors.ts";
import { type FlowOptions, flowOf } from "../flow-control.ts";
import { shown } from "../lib/foreign.ts";
import { uuidv7 } from "../lib/ids.ts";
import { wholeNumber } from "../lib/options.ts";
import { checkName, checkRunId, checkTags, checkText } from "../run/keys.ts";
import { validate } from "../schema.ts";
import { isStepFunction } from "../step.ts";
import type { Platform } from "../transport/platform.ts";
import type { AnyWorkflow } from "../workflow.ts";
import { isWorkflow } from "../workflow-brand.ts";

/** How a run is started. */
export interface StartOptions extends FlowOptions {
  /** Default: from the workflow's `id` template, else a random one. */
  readonly runId?: string;
  /** Instead of a run id: the same key again answers with the same run. */
  readonly idempotencyKey?: string;
  readonly queue?: string;
  /** 0 to 9, higher first. Default: 5. */
  readonly priority?: number;
  /** Pins the run to a version of the workflow. */
  readonly version?: string;
  readonly sessionId?: string;
  readonly userId?: string;
  readonly tags?: Readonly<Record<string, string>>;
  /**
   * From the start to the end, waits included; then it is cleaned up as if it were cancelled, and has
   * failed. Default: the workflow's.
   */
  readonly timeout?: Duration;
  /** How long it may wait for a worker. Default: the workflow's. */
  readonly queueTimeout?: Duration;
  /** Not before this long from now; or */
  readonly delay?: Duration;
  /** not before this moment. */
  readonly startAt?: Date;
  /**
   * Joins starts with the same key: the run starts when none has arrived for the period, at the latest
   * `maxWait` after the first, with the input of the last. All get the same run.
   */
  readonly debounce?: {
    readonly key: string;
    readonly period: Duration;
    readonly maxWait?: Duration;
  };
  /** W3C trace context. */
  readonly traceparent?: string;
}

const known = new Set([
  "runId",
  "idempotencyKey",
  "queue",
  "priority",
  "version",
  "sessionId",
  "userId",
  "tags",
  "timeout",
  "queueTimeout",
  "delay",
  "startAt",
  "traceparent",
  "concurrency",
  "rateLimit",
  "fairnessKey",
  "debounce",
]);

function check(options: StartOptions): void {
  for (const name of Object.keys(options)) {
    if (!known.has(name)) {
      throw new UsageError(
        `"${name}" is not an option of start; those are ${[...known].join(", ")}`,
      );
    }
  }
  if (options.runId !== undefined && options.idempotencyKey !== undefined) {
    throw new UsageError("give either a runId or an idempotencyKey: each of them names the run");
  }
  if (options.delay !== undefined && options.startAt !== undefined) {
    throw new UsageError("give either a delay or a startAt");
  }
  if (options.priority !== undefined) wholeNumber("priority", options.priority, 0, 9);
  for (const name of ["idempotencyKey", "sessionId", "userId", "queue", "version"] as const) {
    const text = options[name];
    if (text !== undefined) checkText(name, text);
  }
}

function runIdOf(workflow: AnyWorkflow | undefined, input: unknown, options: StartOptions): string {
  if (options.runId !== undefined) return checkRunId(options.runId);
  if (options.idempotencyKey !== undefined || options.debounce !== undefined) return "";
  // Chosen here, so that the request can be sent again without starting a second run.
  return workflow?.idTemplate?.render(input) ?? uuidv7();
}

function timeoutsOf(workflow: AnyWorkflow | undefined, options: StartOptions) {
  const { timeout, queueTimeout } = options;
  return {
    ...workflow?.timeouts,
    ...(timeout === undefined ? {} : { run: durationFromMs(durationMs(timeout)) }),
    ...(queueTimeout === undefined ? {} : { queue: durationFromMs(durationMs(queueTimeout)) }),
  };
}

function debounceOf({ key, period, maxWait }: NonNullable<StartOptions["debounce"]>) {
  checkText("the key of debounce", key);
  return {
    key,
    period: durationFromMs(durationMs(period)),
    ...(maxWait === undefined ? {} : { maxWait: durationFromMs(durationMs(maxWait)) }),
  };
}

/** The workflow, where it is not named only. Throws UsageError for what is none. */
function definitionOf(workflow: unknown): AnyWorkflow | undefined {
  if (typeof workflow === "string") return undefined;
  if (isWorkflow(workflow)) return workflow;
  if (isStepFunction(workflow)) {
    throw new UsageError(
      `"${workflow.stepName}" is a step; start a workflow that has it, or make one: workflow("${workflow.stepName}", (ctx, input) => ctx.step(…))`,
    );
  }
  throw new UsageError(
    `a workflow, or the name of one, is needed to start a run; it is ${shown(workflow)}${workflow === undefined ? ": does the import exist?" : ""}`,
  );
}

/** Checks the input and makes the request; uploads an input that is too large to travel inline. */
export async function startRequest(
  platform: Platform,
  workflow: AnyWorkflow | string,
  input: unknown,
  options: StartOptions,
): Promise<StartRunRequest> {
  check(options);
  const definition = definitionOf(workflow);
  const name = definition?.workflowName ?? String(workflow);
  checkName("a workflow", name);
  const what = `the input of workflow "${name}"`;
  const flow = flowOf(options);
  const tags = checkTags(options.tags);
  // As it is now, whatever becomes of the caller's object.
  const encoded = encode(input, what);
  await validate(definition?.inputSchema, encoded.decoded(), what);
  const payload = await platform.send(encoded, what);
  return create(StartRunRequestSchema, {
    workflow: name,
    input: create(PayloadSchema, payload),
    runId: runIdOf(definition, input, options),
    idempotencyKey: options.idempotencyKey ?? "",
    queue: options.queue ?? definition?.queue ?? "",
    ...(options.priority === undefined ? {} : { priority: options.priority }),
    version: options.version ?? "",
    sessionId: options.sessionId ?? "",
    userId: options.userId ?? "",
    tags,
    timeouts: timeoutsOf(definition, options),
    ...(options.delay === undefined ? {} : { delay: durationFromMs(durationMs(options.delay)) }),
    ...(options.startAt === undefined
      ? {}
      : { startAt: timestampFromMs(momentMs("startAt", options.startAt)) }),
    traceparent: options.traceparent ?? "",
    ...(flow === undefined ? {} : { flow }),
    ...(options.debounce === undefined ? {} : { debounce: debounceOf(options.debounce) }),
  });
}
