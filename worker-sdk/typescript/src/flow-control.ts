import type { MessageInitShape } from "@bufbuild/protobuf";
import type { FlowControlSchema } from "@pawl/proto";
import { type Duration, durationFromMs, durationMs } from "./duration.ts";
import { UsageError } from "./errors.ts";
import { countMax, wholeNumber } from "./lib/options.ts";
import { checkText } from "./run/keys.ts";

/**
 * When runs may start. A run over a limit is QUEUED with the reason CONCURRENCY_LIMIT or RATE_LIMIT,
 * and starts by itself. A key is a template over the input, `{customer.id}`: what has the same key
 * shares the limit. Without a key, all runs of the workflow do.
 */
export interface FlowOptions {
  /**
   * How many runs may be under way at once: ready for a worker, or held by one. A run that waits
   * makes room. Default: no limit.
   */
  readonly concurrency?: number | { readonly limit: number; readonly key?: string };
  /** How many runs may start in any period of that length. Default: no limit. */
  readonly rateLimit?: {
    readonly limit: number;
    readonly period: Duration;
    readonly key?: string;
  };
  /** Runs that `concurrency` holds back start in turns, one of each key. Default: in their order. */
  readonly fairnessKey?: string;
}

export type FlowInit = MessageInitShape<typeof FlowControlSchema>;

function checkLimit(what: string, limit: number, key: string): void {
  wholeNumber(`the limit of ${what}`, limit, 1, countMax);
  checkTemplate(`the key of ${what}`, key);
}

/** Text and variables: `{customer.id}`. */
function checkTemplate(what: string, template: string): void {
  checkText(what, template);
  if (!/^(?:[^{}]|\{[^{}]+\})*$/.test(template)) {
    throw new UsageError(
      `${what} is "${template}", which has a brace without its other half; write for example "{customer.id}"`,
    );
  }
}

/** As the server wants it; undefined where there are no limits. Throws UsageError. */
export function flowOf(options: FlowOptions): FlowInit | undefined {
  const { concurrency, rateLimit, fairnessKey } = options;
  if (concurrency === undefined && rateLimit === undefined && fairnessKey === undefined)
    return undefined;
  if (fairnessKey !== undefined) checkTemplate("fairnessKey", fairnessKey);
  const flow: FlowInit = { fairnessKey: fairnessKey ?? "" };
  if (concurrency !== undefined) {
    const { limit, key = "" } =
      typeof concurrency === "number" ? { limit: concurrency } : concurrency;
    checkLimit("concurrency", limit, key);
    flow.concurrency = { limit, key };
  }
  if (rateLimit !== undefined) {
    const { limit, period, key = "" } = rateLimit;
    checkLimit("rateLimit", limit, key);
    flow.rate = { limit, period: durationFromMs(durationMs(period)), key };
  }
  return flow;
}
