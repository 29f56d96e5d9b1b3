import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { PayloadSchema, type StartRunRequest, StartRunRequestSchema } from "@pawl/proto";
import { encode } from "../codec/payload.ts";
import { type Duration, durationFromMs, durationMs, momentMs } from "../duration.ts";
import { UsageError } from "../errors.ts";
import { type FlowOptions, flowOf } from "../flow-control.ts";
import { shown } from "../lib/foreign.ts";
import { uuidv7 } from "../lib/ids.ts";
import { refuseUnknown, wholeNumber } from "../lib/options.ts";
import { checkName, checkRunId, checkTags, checkText } from "../run/keys.ts";
import { validate } from "../schema.ts";
import { isStepFunction } from "../step-types.ts";
import type { Platform } from "../transport/platform.ts";
import { type AnyWorkflow, isWorkflow } from "../workflow-types.ts";

/** The options of a start. Unknown names are rejected. */
export interface StartOptions extends FlowOptions {
  /**
   * The run id: 1 to 200 letters, digits and -_.:~%/@. Default: built from the workflow's `id` template, else
   * a UUIDv7. Starting an existing id with the same input returns the existing run, so choose an id that
   * follows from the work to make starts idempotent. Not together with `idempotencyKey`.
   */
  readonly runId?: string;
  /** Instead of a run id: starting again with the same key returns the same run. At most 200 bytes. */
  readonly idempotencyKey?: string;
  /** The queue of the run. Default: that of the workflow, else `default`. Only workers that serve it get it. */
  readonly queue?: string;
  /** 0 to 9; queued runs with a higher priority start first. Default: 5, the middle. */
  readonly priority?: number;
  /** Pins the run to a version of the workflow; it waits for a worker with that version. Default: any. */
  readonly version?: string;
  /** The user's conversation, for your own use. Default: empty. */
  readonly sessionId?: string;
  /** The user, for your own use. Default: empty. */
  readonly userId?: string;
  /** At most 64 tags to find the run by; keys up to 64 bytes, values up to 256. Default: none. */
  readonly tags?: Readonly<Record<string, string>>;
  /**
   * The time limit of the run, from its start to its end, waits included. Default: that of the workflow, else
   * none. A run that exceeds it is cleaned up like a cancelled one and becomes FAILED with RunTimeout.
   */
  readonly timeout?: Duration;
  /** How long the run may wait for its first worker; then it fails. Default: that of the workflow, else no limit. */
  readonly queueTimeout?: Duration;
  /** The run does not start before this delay has passed. Not together with `startAt`. */
  readonly delay?: Duration;
  /** The run does not start before this time. Not together with `delay`. */
  readonly startAt?: Date;
  /**
   * Merges starts with the same key into one run. It starts once no further start has arrived for `period`, at
   * the latest `maxWait` after the first, with the latest input. All callers get the same run. Not together
   * with `runId`, `idempotencyKey`, `delay` or `startAt`.
   */
  readonly debounce?: {
    readonly key: string;
    readonly period: Duration;
    readonly maxWait?: Duration;
  };
  /** The W3C trace context of the caller. Default: that of the active span. */
  readonly traceparent?: string;
}

const known = {
  runId: true,
  idempotencyKey: true,
  queue: true,
  priority: true,
  version: true,
  sessionId: true,
  userId: true,
  tags: true,
  timeout: true,
  queueTimeout: true,
  delay: true,
  startAt: true,
  traceparent: true,
  concurrency: true,
  rateLimit: true,
  fairnessKey: true,
  debounce: true,
} satisfies Record<keyof StartOptions, true>;

function check(options: StartOptions): void {
  refuseUnknown(options, known, "an option of start");
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
