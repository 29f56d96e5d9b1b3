/** When a run may start and how long it may take, from the options of `pawl run`. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { StartRunRequestSchema } from "@pawl/proto";
import { durationOf } from "../../lib/duration.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { duration } from "../../rpc/convert/common-messages.ts";
import type { Args } from "./args.ts";
import { usageError } from "./exit.ts";

type When = Pick<
  MessageInitShape<typeof StartRunRequestSchema>,
  "delay" | "timeouts" | "flow" | "debounce"
>;

export function whenOf(args: Args): When {
  const run = durationIn(args, "timeout");
  const queue = durationIn(args, "queue-timeout");
  const delay = durationIn(args, "delay");
  const flow = flowOf(args);
  const debounce = debounceOf(args);
  return {
    ...(delay && { delay }),
    ...((run ?? queue) && { timeouts: { ...(run && { run }), ...(queue && { queue }) } }),
    ...(flow && { flow }),
    ...(debounce && { debounce }),
  };
}

function flowOf(args: Args): When["flow"] {
  const limit = args.integer("concurrency", 1, BOUNDS.flowLimitMax);
  const concurrency = limit && { limit, key: args.text("concurrency-key") ?? "" };
  const rate = rateOf(args);
  const fairnessKey = args.text("fairness-key");
  needs(args, "concurrency-key", "concurrency");
  needs(args, "rate-key", "rate");
  if (!concurrency && !rate && fairnessKey === undefined) return undefined;
  return {
    ...(concurrency && { concurrency }),
    ...(rate && { rate }),
    ...(fairnessKey !== undefined && { fairnessKey }),
  };
}

function rateOf(args: Args) {
  const text = args.text("rate");
  if (text === undefined) return undefined;
  const [, count = "", period = ""] = /^(\d+)\/(.+)$/.exec(text) ?? [];
  const ms = durationOf(period);
  const limit = Number(count);
  if (ms === undefined || limit < 1 || limit > BOUNDS.flowLimitMax)
    throw usageError(`--rate is "${text}"; it must be N/DURATION, such as 10/1m.`);
  return { limit, period: duration(ms), key: args.text("rate-key") ?? "" };
}

function debounceOf(args: Args): When["debounce"] {
  needs(args, "debounce-for", "debounce");
  needs(args, "debounce-max", "debounce");
  const key = args.text("debounce");
  if (key === undefined) return undefined;
  needs(args, "debounce", "debounce-for");
  const period = durationIn(args, "debounce-for");
  const maxWait = durationIn(args, "debounce-max");
  return { key, ...(period && { period }), ...(maxWait && { maxWait }) };
}

function needs(args: Args, option: string, other: string): void {
  if (args.text(option) !== undefined && args.text(other) === undefined)
    throw usageError(`--${option} requires --${other}.`);
}

function durationIn(args: Args, option: string) {
  const ms = args.duration(option);
  return ms === undefined ? undefined : duration(ms);
}
