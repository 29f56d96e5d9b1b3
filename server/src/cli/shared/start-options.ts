/** When a run may start, and how long it may take: options of `run`, and what they ask for. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { StartRunRequestSchema } from "@pawl/proto";
import { durationOf } from "../../lib/duration.ts";
import { LIMITS } from "../../model/limits.ts";
import { duration } from "../../rpc/convert/common.ts";
import type { Args, Option } from "./args.ts";
import { usageError } from "./exit.ts";

type When = Pick<
  MessageInitShape<typeof StartRunRequestSchema>,
  "delay" | "timeouts" | "flow" | "debounce"
>;

export const WHEN_OPTIONS = {
  delay: { type: "string", value: "TIME", help: "Not before this long from now, such as 10m." },
  timeout: {
    type: "string",
    value: "TIME",
    help: "From now to its end; then it is cleaned up and has failed.",
  },
  "queue-timeout": { type: "string", value: "TIME", help: "How long it may wait for a worker." },
  concurrency: {
    type: "string",
    value: "N",
    help: "At most N runs of the workflow at once, this one included.",
  },
  "concurrency-key": {
    type: "string",
    value: "KEY",
    help: "N for each such key, such as '{customerId}' of the input.",
  },
  rate: {
    type: "string",
    value: "N/TIME",
    help: "At most N starts of the workflow in any such time: 10/1m.",
  },
  "rate-key": { type: "string", value: "KEY", help: "N/TIME for each such key." },
  fair: {
    type: "string",
    value: "KEY",
    help: "Runs held back by --concurrency start in turns of such keys.",
  },
  debounce: {
    type: "string",
    value: "KEY",
    help: "Joins starts with this key that follow shortly: one run, with the last input.",
  },
  "debounce-for": {
    type: "string",
    value: "TIME",
    help: "It starts once none has come for so long.",
  },
  "debounce-max": {
    type: "string",
    value: "TIME",
    help: "It starts this long after the first of them at the latest.",
  },
} as const satisfies Record<string, Option>;

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
  const limit = args.integer("concurrency", 1, LIMITS.flowLimitMax);
  const concurrency = limit && { limit, key: args.text("concurrency-key") ?? "" };
  const rate = rateOf(args);
  const fairnessKey = args.text("fair");
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
  if (ms === undefined || limit < 1 || limit > LIMITS.flowLimitMax)
    throw usageError(`--rate is "${text}"; it must be N/TIME, such as 10/1m.`);
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
    throw usageError(`--${option} needs --${other}.`);
}

function durationIn(args: Args, option: string) {
  const ms = args.duration(option);
  return ms === undefined ? undefined : duration(ms);
}
