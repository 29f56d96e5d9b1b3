import type { StandardSchemaV1 } from "@standard-schema/spec";
import { digestText } from "../codec/payload.ts";
import { type Duration, durationMs } from "../duration.ts";
import { UsageError } from "../errors.ts";
import { type Retry, type RetryPolicy, resolveRetry } from "../policy/retry.ts";
import { checkSchema } from "../schema.ts";
import type { Keep } from "./events.ts";

/** How the items that a step yields become its result. */
export type Reduce = "join" | "collect" | "last" | ((items: never[]) => unknown);

/** How a step is executed. */
export interface StepOptions {
  /**
   * Tells uses of one name apart by what they are about instead of by their
   * order: `{ key: order.id }`. Unique per name and scope.
   */
  readonly key?: string | number;
  /** When failed attempts are tried again. Default: the workflow's, else not at all. */
  readonly retry?: Retry;
  /** How long one attempt may take. Default: no limit. */
  readonly timeout?: Duration;
  /**
   * What happens to a step that was in flight in a crash: `retry` runs it again;
   * `at_most_once` never does: the run is paused for a person to decide. `pause` waits until such a
   * step has ended, also where its body waits for something.
   * Default: `retry`.
   */
  readonly recovery?: "retry" | "at_most_once";
  /**
   * For a body that yields: `join` concatenates texts, `collect` makes a list, `last` takes the
   * last item (or undefined), a function gets the list. The same for no, one and many items;
   * events (`event`) are none. Default: the output of the body's agent, if it reports one in
   * `agent.completed`, else `join`.
   */
  readonly reduce?: Reduce;
  /** How long what the body yields is kept for watchers. Default: `buffered`. */
  readonly keep?: Keep;
  /** Names the step's definition; a recorded step with another one pauses the run. */
  readonly version?: string;
  /** Checks the first argument of a step that has arguments; the body gets what it turns out. */
  readonly input?: StandardSchemaV1;
  /** Checks the result; what it turns out is recorded. */
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

const known = new Set([
  "key",
  "retry",
  "timeout",
  "recovery",
  "reduce",
  "keep",
  "version",
  "input",
  "output",
]);

function check(options: StepOptions): void {
  for (const name of Object.keys(options)) {
    if (!known.has(name)) {
      throw new UsageError(`"${name}" is not a step option; those are ${[...known].join(", ")}`);
    }
  }
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
