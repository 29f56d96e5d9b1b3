/** What becomes of runs, as lines of the log: by their ids and types of errors, never by what they carry. */
import type { Entry, EntryType } from "../../model/entry.ts";
import type { RunHeader } from "../../model/run.ts";
import { runSpanId, stepSpanId } from "../../telemetry/span-ids.ts";
import type { EngineLog } from "../engine-log.ts";
import type { CommittedRun } from "../writer.ts";

/** Entries that an operator wants to see; the rest is for who searches. */
const LEVELS: ReadonlyMap<EntryType, "debug" | "info"> = new Map([
  ["run.started", "debug"],
  ["run.completed", "debug"],
  ["run.cancelled", "debug"],
  ["run.resumed", "debug"],
  ["run.retried", "debug"],
  ["run.failed", "info"],
  ["run.paused", "info"],
  ["run.recovered", "info"],
  ["workflow.step.retrying", "debug"],
  ["workflow.step.failed", "debug"],
]);

export function logCommitted(log: EngineLog, runs: readonly CommittedRun[]): void {
  for (const { draft } of runs) {
    for (const entry of draft.entries) {
      const level = LEVELS.get(entry.type);
      if (level === undefined) continue;
      if (level === "info") log.info(entry.type, factsOf(draft.header, entry));
      else if (log.debugging === true) log.debug?.(entry.type, factsOf(draft.header, entry));
    }
  }
}

/** The attempt's, or the run's first: as its tracer derives it. */
function spanOf({ runId }: RunHeader, key: string, attempt: number): string {
  return key === "" ? runSpanId(runId) : stepSpanId(runId, key, attempt);
}

function factsOf(header: RunHeader, { key, attempt, meta }: Entry) {
  const traceId = header.options.traceparent?.split("-")[1];
  return {
    org: header.org,
    run_id: header.runId,
    workflow: header.workflow,
    ...(key === "" ? {} : { step_key: key, attempt }),
    ...(meta.worker === undefined ? {} : { worker_id: meta.worker }),
    ...(meta.failure === undefined ? {} : { error_type: meta.failure.type }),
    ...(header.reason === "" ? {} : { reason: header.reason }),
    ...(traceId === undefined ? {} : { trace_id: traceId, span_id: spanOf(header, key, attempt) }),
  };
}
