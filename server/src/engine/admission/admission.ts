/** What the limits of a workflow, or of one start, mean for a run. */
import { digest } from "../../lib/ids.ts";
import { type FlowControl, flowFrom, isTemplate, renderKey } from "../../model/admission.ts";
import { BOUNDS } from "../../model/bounds.ts";
import type { Caller } from "../../model/caller.ts";
import { invalid } from "../../model/errors.ts";
import type { RunHeader, RunOptions } from "../../model/run.ts";
import { isTerminal } from "../../model/run.ts";
import { textProblem } from "../../model/text.ts";
import type { AdmissionWrite, Gate } from "../../store/admission.ts";
import type { ReadyRow } from "../../store/runs.ts";
import type { Store } from "../../store/store.ts";
import type { StartRun } from "../runs/run-types.ts";

export type RunLimits = Pick<RunOptions, "concurrency" | "rate" | "fair">;

/**
 * The limits of a new run: those of the start, else those that its workflow declares. A caller who
 * executes the run itself is not held back.
 */
export async function limitsOf(
  store: Store,
  caller: Caller,
  start: StartRun,
  declared: string,
): Promise<RunLimits> {
  if (start.claim) return {};
  const own = start.flow;
  const flow: FlowControl = { ...flowFrom(declared), ...own };
  const { concurrency, rate, fairnessKey } = flow;
  if (concurrency === undefined && rate === undefined) return {};
  const templates = [concurrency?.key ?? "", rate?.key ?? "", fairnessKey];
  const input = templates.some(isTemplate) ? await readInput(store, caller, start) : undefined;
  const key = (template: string): string => {
    const rendered = renderKey(template, input);
    if ("key" in rendered) return checked(rendered.key, template, start.workflow);
    throw invalid(
      "input",
      `has no "${rendered.missing}" (a text, number or boolean), which the key "${template}" of the limits of "${start.workflow}" is made of`,
    );
  };
  return {
    ...(concurrency && { concurrency: { limit: concurrency.limit, key: key(concurrency.key) } }),
    ...(rate && { rate: { ...rate, key: key(rate.key) } }),
    ...(concurrency && fairnessKey !== "" ? { fair: shortened(key(fairnessKey)) } : {}),
  };
}

function checked(key: string, template: string, workflow: string): string {
  const problem =
    Buffer.byteLength(key) > BOUNDS.flowKeyBytes
      ? `is ${Buffer.byteLength(key)} bytes; at most ${BOUNDS.flowKeyBytes} are allowed`
      : textProblem(key);
  if (problem === undefined) return key;
  throw invalid(
    "input",
    `makes a key of the limits of "${workflow}" (from "${template}") that ${problem}`,
  );
}

async function readInput(store: Store, caller: Caller, { input }: StartRun): Promise<unknown> {
  let { data } = input;
  if (input.ref !== undefined) {
    const { sha256, size } = input.ref;
    data = (await store.getPayload(caller, sha256, 0, size))?.data;
  }
  if (data === undefined || input.encoding === "bytes" || input.encoding === "void") return {};
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(data));
    return value;
  } catch {
    throw invalid("input", `is not JSON, as its encoding "${input.encoding}" says`);
  }
}

function shortened(key: string): string {
  return Buffer.byteLength(key) <= BOUNDS.idBytes ? key : digest(key);
}

/** Limits of one workflow with the same key are one limit, no matter who declared it. */
function gateName(kind: "concurrency" | "rate", workflow: string, key: string): string {
  return `${kind}\n${workflow}\n${shortened(key)}`;
}

/** Before which gate the run has to stop on its way into the ready queue, if it has to. */
export function holdOf(
  { options, workflow, startedAt }: RunHeader,
  ready: ReadyRow,
): AdmissionWrite["hold"] | undefined {
  const { concurrency, rate, fair = "" } = options;
  const gates = [
    // A rate is about starts; who has started continues.
    ...(rate !== undefined && startedAt === 0 ? [gateName("rate", workflow, rate.key)] : []),
    ...(concurrency === undefined ? [] : [gateName("concurrency", workflow, concurrency.key)]),
  ];
  const [gate, nextGate = ""] = gates;
  if (gate === undefined) return undefined;
  const nextCapacity = concurrency?.limit ?? 0;
  return { gate, nextGate, nextCapacity, heldAt: ready.readyAt, fair, ready };
}

/** `hasChanged`: the run's row is written anew. */
export function flowWriteOf(
  header: RunHeader,
  hold: AdmissionWrite["hold"] | undefined,
  hasChanged: boolean,
): AdmissionWrite | undefined {
  const { concurrency, rate } = header.options;
  if (concurrency === undefined && rate === undefined) return undefined;
  const isLatest = header.startedAt === 0;
  const gates: Gate[] = [];
  if (concurrency !== undefined) {
    const name = gateName("concurrency", header.workflow, concurrency.key);
    gates.push({ name, capacity: concurrency.limit, periodMs: 0, isLatest });
  }
  if (hold !== undefined) {
    if (rate !== undefined && isLatest) {
      const name = gateName("rate", header.workflow, rate.key);
      gates.push({ name, capacity: rate.limit, periodMs: rate.periodMs, isLatest });
    }
    return { hold, gates };
  }
  const { status } = header;
  const stopped =
    status === "WAITING" || status === "PAUSED" || status === "CANCELLING" || isTerminal(status);
  if (!hasChanged || !stopped) return undefined;
  return { leave: true, gates: gates.map((gate) => ({ ...gate, isLatest: false })) };
}
