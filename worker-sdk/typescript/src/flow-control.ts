import type { MessageInitShape } from "@bufbuild/protobuf";
import type { FlowControlSchema } from "@pawl/proto";
import { type Duration, durationFromMs, durationMs } from "./duration.ts";
import { UsageError } from "./errors.ts";
import { countMax, wholeNumber } from "./lib/options.ts";
import { checkText } from "./run/keys.ts";

/**
 * Limits on when runs may start. A run over a limit is QUEUED with the reason CONCURRENCY_LIMIT or
 * RATE_LIMIT, holds no worker, and starts automatically. A key is a template over the input, such as
 * `{customer.id}`: runs with the same key share the limit. Without a key, all runs of the workflow share it.
 */
export interface FlowOptions {
  /**
   * The maximum number of concurrent runs, from 1 to 100,000. A run counts while it is ready for a worker or
   * held by one; a run that waits frees its place. Default: no limit. The limit costs one more transaction
   * per start, so do not set it to limit a single worker: use `slots` for that.
   */
  readonly concurrency?: number | { readonly limit: number; readonly key?: string };
  /** The maximum number of starts in any period of this length (a sliding window). Default: no limit. */
  readonly rateLimit?: {
    readonly limit: number;
    readonly period: Duration;
    readonly key?: string;
  };
  /**
   * Queued runs that `concurrency` holds back are started round-robin across the values of this key. Default:
   * in their order. Set it so that one customer with many runs does not delay the others.
   */
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
