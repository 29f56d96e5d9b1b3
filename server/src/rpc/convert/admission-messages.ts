/** Limits of runs: from the wire into the model's words, and back. */
import type { FlowControl as FlowControlProto } from "@pawl/proto";
import { type FlowControl, flowFrom, templateProblem } from "../../model/admission.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { invalid } from "../../model/errors.ts";
import { duration } from "./common-messages.ts";
import { durationMs, number, text } from "./fields.ts";

/** Only what is set; undefined where nothing is. */
export function flowIn(
  field: string,
  flow: FlowControlProto | undefined,
): Partial<FlowControl> | undefined {
  if (flow === undefined) return undefined;
  const { concurrency, rate } = flow;
  const fairnessKey = template(`${field}.fairness_key`, flow.fairnessKey);
  const limit = (name: string, value: number): number =>
    number(`${field}.${name}.limit`, value, 1, BOUNDS.flowLimitMax);
  if (rate !== undefined && rate.period === undefined)
    throw invalid(`${field}.rate.period`, "must be set");
  const periodMs =
    rate?.period === undefined
      ? 0
      : durationMs(`${field}.rate.period`, rate.period, BOUNDS.ratePeriodMaxMs);
  if (rate !== undefined && periodMs < 1)
    throw invalid(`${field}.rate.period`, "must be 1 ms at least");
  return {
    ...(concurrency && {
      concurrency: {
        limit: limit("concurrency", concurrency.limit),
        key: template(`${field}.concurrency.key`, concurrency.key),
      },
    }),
    ...(rate && {
      rate: {
        limit: limit("rate", rate.limit),
        periodMs,
        key: template(`${field}.rate.key`, rate.key),
      },
    }),
    ...(fairnessKey === "" ? {} : { fairnessKey }),
  };
}

/** Text with variables, `{a.b}`. */
function template(field: string, value: string): string {
  const problem = templateProblem(text(field, value, BOUNDS.idBytes));
  if (problem !== undefined) throw invalid(field, problem);
  return value;
}

/** As stored with a workflow; undefined where it has none. */
export function flowOut(stored: string) {
  if (stored === "") return undefined;
  const { concurrency, rate, fairnessKey } = flowFrom(stored);
  return {
    ...(concurrency && { concurrency }),
    ...(rate && { rate: { limit: rate.limit, key: rate.key, period: duration(rate.periodMs) } }),
    fairnessKey,
  };
}
