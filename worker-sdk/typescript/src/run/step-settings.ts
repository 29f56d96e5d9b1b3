import type { StepKind } from "@pawl/proto";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { digestText, type PayloadInit } from "../codec/payload.ts";
import { type Duration, durationMs } from "../duration.ts";
import { UsageError } from "../errors.ts";
import { refuseUnknown } from "../lib/options.ts";
import { type Retry, type RetryPolicy, resolveRetry } from "../policy/retry.ts";
import { checkSchema } from "../schema.ts";
import type { Keep } from "./stream-event.ts";

/** How the items that a step yields become its result. */
export type Reduce = "join" | "collect" | "last" | ((items: never[]) => unknown);

/** The options of a step. Unknown names are rejected. */
export interface StepOptions {
  /**
   * Distinguishes steps with the same name, such as `{ key: order.id }`; unique per name and scope. Default:
   * the order of the calls. Set it in loops over a list that can change, and for concurrent calls of the
   * same name, where the order would depend on timing (AmbiguousStepKeyError).
   */
  readonly key?: string | number;
  /**
   * How failed attempts are retried: the number of attempts, or RetryOptions. Default: that of the workflow,
   * else no retry, because not every step may be repeated. The server keeps count, so crashes do not reset it.
   */
  readonly retry?: Retry;
  /**
   * The time limit of one attempt. Default: that of the workflow (`stepTimeout`), else none, because a
   * worker crash is detected in any case. An attempt that exceeds it fails and counts for `retry`; its
   * `abortSignal` fires. Code that ignores the signal continues in the background, and its result is discarded.
   */
  readonly timeout?: Duration;
  /**
   * What happens to a step that was in flight when its worker crashed. `retry` runs it again. `at_most_once`
   * never does: the run is paused (UNKNOWN_OUTCOME) until a person decides, and `pause` waits for such a step
   * to end. Default: `retry`. Use `at_most_once` only for effects that must not happen twice and accept no
   * idempotency key; it costs one more commit per step.
   */
  readonly recovery?: "retry" | "at_most_once";
  /**
   * How the items of a body that yields become its result: `join` concatenates strings, `collect` makes a
   * list, `last` takes the last item (or undefined), and a function receives the list. Events (`event`) are
   * not items. Default: the output of the body's agent, if it reports one in `agent.completed`, else `join`.
   */
  readonly reduce?: Reduce;
  /**
   * How long the server keeps the yielded items for watchers: `ephemeral` delivers them to current watchers
   * only, `buffered` keeps them until a minute after the attempt has ended, `durable` as long as the run.
   * Default: `buffered`, because the result is recorded anyway. `durable` costs storage for every item.
   */
  readonly keep?: Keep;
  /**
   * Identifies the definition of the step. If a recorded step has another one, the run is paused with
   * NON_DETERMINISM. Default: none. Set it if results of older code must not be reused.
   */
  readonly version?: string;
  /** A schema for the first argument of a step with arguments; the body gets the parsed value. */
  readonly input?: StandardSchemaV1;
  /** A schema for the result; the parsed value is recorded. A result that does not match fails the step. */
  readonly output?: StandardSchemaV1;
}

/** Step options, complete and checked. */
export interface StepSettings {
  readonly key: string | undefined;
  readonly retry: RetryPolicy | undefined;
  readonly timeoutMs: number | undefined;
  readonly atMostOnce: boolean;
  readonly reduce: Reduce | undefined;
  readonly keep: Keep | undefined;
  readonly definitionDigest: string;
  readonly input: StandardSchemaV1 | undefined;
  readonly output: StandardSchemaV1 | undefined;
}

/** A step that is asked for: what is to be executed, and how. */
export interface StepCall {
  readonly name: string;
  readonly kind: StepKind;
  /** Called with `args`, or where there are none with the step's context. */
  readonly body: (...args: never[]) => unknown;
  readonly args: readonly unknown[] | undefined;
  readonly settings: StepSettings;
  readonly inputDigest: string;
  /** The input, for people, where it is small. */
  readonly input: PayloadInit | undefined;
}

const known = {
  key: true,
  retry: true,
  timeout: true,
  recovery: true,
  reduce: true,
  keep: true,
  version: true,
  input: true,
  output: true,
} satisfies Record<keyof StepOptions, true>;

function check(options: StepOptions): void {
  refuseUnknown(options, known, "a step option");
  const { reduce, recovery, keep } = options;
  if (keep !== undefined && !["ephemeral", "buffered", "durable"].includes(keep)) {
    throw new UsageError(`keep is "ephemeral", "buffered" or "durable"; it is ${String(keep)}`);
  }
  if (
    reduce !== undefined &&
    typeof reduce !== "function" &&
    !["join", "collect", "last"].includes(reduce)
  ) {
    throw new UsageError(
      `reduce is "join", "collect", "last" or a function; it is ${String(reduce)}`,
    );
  }
  if (recovery !== undefined && recovery !== "retry" && recovery !== "at_most_once") {
    throw new UsageError(`recovery is "retry" or "at_most_once"; it is ${String(recovery)}`);
  }
}

/** Completes step options. */
export function resolveStepOptions(options: StepOptions): StepSettings {
  check(options);
  checkSchema("the input of a step", options.input);
  checkSchema("the output of a step", options.output);
  return {
    key: options.key === undefined ? undefined : String(options.key),
    retry: options.retry === undefined ? undefined : resolveRetry(options.retry),
    timeoutMs: options.timeout === undefined ? undefined : durationMs(options.timeout),
    atMostOnce: options.recovery === "at_most_once",
    reduce: options.reduce,
    keep: options.keep,
    definitionDigest: options.version === undefined ? "" : digestText(options.version),
    input: options.input,
    output: options.output,
  };
}

export const defaultSettings: StepSettings = resolveStepOptions({});

/** Settings in which what `over` leaves open is taken from `base`. */
export function mergeOptions(base: StepOptions, over: StepOptions): StepOptions {
  return { ...base, ...over };
}
