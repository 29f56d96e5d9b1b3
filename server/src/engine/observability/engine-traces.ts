/**
 * The spans that only the server can make: what happens to a run while no worker has it. Steps and
 * the run itself are told by the worker that executes them, under ids that both sides derive.
 */
import type { Entry } from "../../model/entry.ts";
import { isTerminal, type RunHeader } from "../../model/run.ts";
import type { ClaimedRun } from "../../store/runs.ts";
import { runSpanId, stepSpanId } from "../../telemetry/span-ids.ts";
import type { SpanAttributes, Tracing } from "../../telemetry/tracing.ts";
import type { Draft } from "../draft.ts";
import type { StartedRun, StartRun } from "../runs/run-types.ts";
import type { CommittedRun } from "../writer.ts";
import { readySince } from "./engine-metrics.ts";

/** Starts a run within a span, and gives the run that span's context. */
export function startTraced(
  tracing: Tracing | undefined,
  start: StartRun,
  startRun: (start: StartRun) => Promise<StartedRun>,
): Promise<StartedRun> {
  if (tracing === undefined) return startRun(start);
  const name = "pawl.v1.RunService/StartRun";
  return tracing.serve(name, start.traceparent, async (traceparent) => {
    const answer = await startRun({ ...start, traceparent });
    const attributes = {
      "rpc.service": "pawl.v1.RunService",
      "rpc.method": "StartRun",
      ...attributesOf(answer.run.header),
      "pawl.run.existing": answer.existing,
    };
    return { answer, attributes };
  });
}

/** How long the run waited for a worker. */
export function traceClaimed(tracing: Tracing, { header, entries }: ClaimedRun): void {
  const { traceparent } = header.options;
  const last = entries.at(-1);
  if (traceparent === undefined || last === undefined || last.seq !== header.seq) return;
  tracing.finished({
    name: `dispatch ${header.workflow}`,
    traceparent,
    parentId: runSpanId(header.runId),
    start: readySince(header, last) ?? header.updatedAt,
    end: header.updatedAt,
    attributes: {
      ...attributesOf(header),
      "pawl.run.attempt": header.attempt,
      "pawl.run.recovery": last.type === "run.recovered",
    },
  });
}

export function traceCommitted(tracing: Tracing, runs: readonly CommittedRun[]): void {
  for (const run of runs) {
    const { traceparent } = run.draft.header.options;
    if (traceparent === undefined) continue;
    for (const entry of run.draft.entries) {
      if (entry.type === "workflow.wait.resolved") traceWait(tracing, run, entry, traceparent);
      else if (endedHere(entry)) {
        traceEnd(tracing, run.draft.header, entry.meta.failure?.type ?? "Cancelled");
      }
    }
  }
}

function traceWait(tracing: Tracing, { state }: CommittedRun, entry: Entry, traceparent: string) {
  const step = state.steps.get(entry.key);
  if (step === undefined) return;
  const { header } = state;
  tracing.finished({
    name: `${step.kind} ${step.name}`,
    traceparent,
    parentId: runSpanId(header.runId),
    spanId: stepSpanId(header.runId, entry.key, entry.attempt),
    start: step.firstAt,
    end: entry.at,
    attributes: {
      ...attributesOf(header),
      "pawl.step.key": entry.key,
      "pawl.step.name": step.name,
      "pawl.wait.outcome": entry.meta.outcome ?? "",
    },
  });
}

/** Makes a decision, and answers the header of the run if that ended it. */
export function withEnd<R>(
  draft: Draft,
  decide: () => R,
): { reply: R; ended: RunHeader | undefined } {
  const { seq } = draft.header;
  const reply = decide();
  const { header } = draft;
  return {
    reply,
    ended: header.seq > seq && isTerminal(header.status) ? { ...header } : undefined,
  };
}

/** The end that a worker reported which sends no spans. */
export function traceOutcome(
  tracing: Tracing | undefined,
  ended: RunHeader | undefined,
  errorType: string | undefined,
): void {
  if (tracing !== undefined && ended !== undefined) traceEnd(tracing, ended, errorType);
}

/** The run ended without a word from a worker that would tell of it. */
function endedHere(entry: Entry): boolean {
  if (entry.type !== "run.failed" && entry.type !== "run.cancelled") return false;
  return entry.meta.worker === undefined;
}

function traceEnd(tracing: Tracing, header: RunHeader, errorType: string | undefined): void {
  const { traceparent } = header.options;
  if (traceparent === undefined) return;
  const outcome = header.status.toLowerCase();
  tracing.finished({
    name: `run ${header.workflow}`,
    traceparent,
    spanId: runSpanId(header.runId),
    start: header.createdAt,
    end: header.endedAt,
    attributes: { ...attributesOf(header), "pawl.run.outcome": outcome },
    ...(errorType === undefined ? {} : { errorType }),
  });
}

function attributesOf(header: RunHeader): SpanAttributes {
  return {
    "pawl.run.id": header.runId,
    "pawl.workflow.name": header.workflow,
    "pawl.queue": header.queue,
  };
}
