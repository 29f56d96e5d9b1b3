import type { AnyWorkflow } from "../../src/index.ts";
import { begin, type LinkOptions, type Outcome, RecordingLink } from "./recording-link.ts";

export function keysOf(link: RecordingLink): string[] {
  const recorded = link.journal.filter(({ type }) => type !== "workflow.step.cancelled");
  return recorded.filter(({ stepKey }) => stepKey !== "").map(({ stepKey }) => stepKey);
}

/** All keys, but for those of a race, whose losers may be recorded or not. */
export function certainKeys(link: RecordingLink): string[] {
  return [...new Set(keysOf(link))].filter((key) => !/^all:[ab]\/r$/.test(key)).sort();
}

export async function perform(
  definition: AnyWorkflow,
  options: LinkOptions = {},
  over: Parameters<typeof begin>[3] = {},
): Promise<{ link: RecordingLink; outcome: Outcome; result: unknown }> {
  const link = new RecordingLink(options);
  const run = begin(link, definition, undefined, over);
  const outcome = await link.outcome;
  const { request } = outcome;
  const output = request !== undefined && "output" in request ? request.output : undefined;
  const { data, encoding = "" } = output ?? {};
  const result =
    data === undefined || data.length === 0 || !encoding.startsWith("json")
      ? undefined
      : (JSON.parse(Buffer.from(data).toString()) as unknown);
  run.leave("the test is over");
  return { link, outcome, result };
}

export function failureOf(outcome: Outcome) {
  const { request } = outcome;
  return request !== undefined && "failure" in request ? request.failure : undefined;
}
