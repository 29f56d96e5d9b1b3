import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { PayloadSchema, type StartRunRequest, StartRunRequestSchema } from "@pawl/proto";
import { type Duration, durationFromMs, durationMs } from "../duration.ts";
import { UsageError } from "../errors.ts";
import { type FlowOptions, flowOf } from "../flow-control.ts";
import { uuidv7 } from "../lib/ids.ts";
import { validate } from "../schema.ts";
import type { Platform } from "../transport/platform.ts";
import type { AnyWorkflow } from "../workflow.ts";

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
   * Joins starts with the same key: the run starts when none has come for the period, at the latest
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
}

function runIdOf(workflow: AnyWorkflow | undefined, input: unknown, options: StartOptions): string {
  if (options.runId !== undefined) return options.runId;
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
  return {
    key,
    period: durationFromMs(durationMs(period)),
    ...(maxWait === undefined ? {} : { maxWait: durationFromMs(durationMs(maxWait)) }),
  };
}

/** Checks the input and makes the request; uploads an input that is too large to travel inline. */
export async function startRequest(
  platform: Platform,
  workflow: AnyWorkflow | string,
  input: unknown,
  options: StartOptions,
): Promise<StartRunRequest> {
  check(options);
  const definition = typeof workflow === "string" ? undefined : workflow;
  const name = typeof workflow === "string" ? workflow : workflow.workflowName;
  const what = `the input of workflow "${name}"`;
  await validate(definition?.inputSchema, input, what);
  const flow = flowOf(options);
  const payload = await platform.payload(input, what);
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
    tags: { ...options.tags },
    timeouts: timeoutsOf(definition, options),
    ...(options.delay === undefined ? {} : { delay: durationFromMs(durationMs(options.delay)) }),
    ...(options.startAt === undefined
      ? {}
      : { startAt: timestampFromMs(options.startAt.getTime()) }),
    traceparent: options.traceparent ?? "",
    ...(flow === undefined ? {} : { flow }),
    ...(options.debounce === undefined ? {} : { debounce: debounceOf(options.debounce) }),
  });
}
