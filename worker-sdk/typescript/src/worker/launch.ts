import type { Lease, WorkItem } from "@pawl/proto";
import { execute } from "../context/execute.ts";
import { msFrom } from "../duration.ts";
import type { Logger } from "../lib/logger.ts";
import { limits } from "../limits.ts";
import type { RunFacts } from "../run/facts.ts";
import type { RunLink } from "../run/link.ts";
import { Memo } from "../run/memo.ts";
import type { Run } from "../run/run.ts";
import { currentTracing } from "../telemetry/setup.ts";
import type { Platform } from "../transport/platform.ts";
import type { AnyWorkflow } from "../workflow-types.ts";

export interface LaunchContext {
  readonly platform: Platform;
  readonly link: RunLink;
  readonly logger: Logger;
  /** When the code may start; at once where it is not given. */
  readonly may?: Promise<void>;
  /** Executes the run anew after each record, where that is wanted. */
  readonly again?: ((before: RunFacts) => void) | undefined;
  /** The execution that it continues from, under the same lease. */
  readonly before?: RunFacts;
}

/**
 * A lease that has just been given ends a lease time from the server's now. Due times are the
 * server's, so that a worker whose clock is wrong must not compare them with its own.
 */
function clockAhead(lease: Lease | undefined): number {
  if (lease?.expiresAt === undefined) return 0;
  return msFrom(lease.expiresAt) - limits.leaseMs - Date.now();
}

function factsOf(
  item: WorkItem,
  memo: Memo,
  clockAheadMs: number,
  before: RunFacts | undefined,
): RunFacts {
  const { lease, parent } = item;
  const execution = (before?.execution ?? 0) + 1;
  const facts = {
    runId: lease?.runId ?? "",
    runUid: item.runUid,
    fence: lease?.fence ?? 0,
    attempt: lease?.attempt ?? 0,
    execution,
    ownAfterSeq: before?.ownAfterSeq ?? memo.lastSeq,
    workflow: item.workflow,
    version: item.version,
    tags: item.tags,
    sessionId: item.sessionId,
    userId: item.userId,
    traceparent: item.traceparent,
    parent: parent === undefined ? undefined : { runId: parent.runId, stepKey: parent.stepKey },
    cancelling: item.cancelling,
    clockAheadMs: before?.clockAheadMs ?? clockAheadMs,
    careful: item.careful && execution === 1,
    confirmStarts: item.confirmStarts,
  };
  const { startedMs, retries } = memo;
  const trace = currentTracing()?.run({ ...facts, startedMs, retries });
  return trace === undefined ? facts : { ...facts, trace };
}

/** Reads what is left of the journal, then starts to execute the run. */
export async function launch(
  item: WorkItem,
  workflow: AnyWorkflow,
  context: LaunchContext,
): Promise<Run> {
  const { platform, link, logger, may, again, before } = context;
  const clockAheadMs = clockAhead(item.lease);
  const runId = item.lease?.runId ?? "";
  const memo = new Memo((afterSeq) => platform.journalPage(runId, afterSeq));
  if (before === undefined) memo.add(item.journal);
  if (item.journalMore || before !== undefined) {
    for await (const page of platform.journal(runId, memo.lastSeq)) memo.add(page);
  }
  await may;
  const facts = factsOf(item, memo, clockAheadMs, before);
  return execute({ facts, workflow, link, memo, input: item.input, logger, again });
}
