import {
  RunService,
  type StartRunRequest,
  type StartRunResponse,
  type WorkItem,
} from "@pawl/proto";
import { RequestError } from "../errors.ts";
import { delay } from "../lib/delay.ts";
import type { Logger } from "../lib/logger.ts";
import type { Platform } from "../transport/platform.ts";
import { LeaseKeeper } from "../worker/leases.ts";
import { RunTable } from "../worker/run-table.ts";
import { UnaryLink } from "../worker/unary-link.ts";
import type { AnyWorkflow } from "../workflow-types.ts";
import { hasEnded, outcomeOf, RunHandle } from "./handle.ts";

const heartbeatMs = 5_000;

/** Executes what was claimed until it has left this process. */
async function perform(
  platform: Platform,
  item: WorkItem,
  workflow: AnyWorkflow,
  logger: Logger,
  abortSignal: AbortSignal | undefined,
): Promise<void> {
  const left = Promise.withResolvers<void>();
  const runs = new RunTable(logger, left.resolve);
  const leases = new LeaseKeeper(platform, runs, logger);
  const link = new UnaryLink({
    platform,
    logger,
    // While this process lives, it is the one that continues with the run.
    suspends: false,
    onReleased: (run) => runs.released(run),
    onAttention: () => leases.beat(),
  });
  const abort = () => runs.dropAll("the caller gave the run up");
  abortSignal?.addEventListener("abort", abort);
  leases.start(heartbeatMs);
  try {
    await runs.take(item, workflow, { platform, link, logger });
    if (abortSignal?.aborted === true) abort();
    if (runs.size > 0) await left.promise;
  } finally {
    abortSignal?.removeEventListener("abort", abort);
    leases.stop();
    link.close();
  }
}

export interface ClaimWishes {
  /** How long to wait while another process executes the run. */
  readonly leaseWaitMs: number;
  readonly abortSignal: AbortSignal | undefined;
}

async function claim(
  platform: Platform,
  request: StartRunRequest,
  leaseWaitMs: number,
  abortSignal: AbortSignal | undefined,
): Promise<StartRunResponse> {
  const endMs = performance.now() + leaseWaitMs;
  for (;;) {
    try {
      return await platform.call(RunService.method.startRun, request);
    } catch (error) {
      const leased = error instanceof RequestError && error.reason === "RUN_LEASED";
      if (!leased || performance.now() >= endMs) throw error;
      await delay(Math.min(error.retryAfterMs ?? 500, endMs - performance.now()), abortSignal);
      abortSignal?.throwIfAborted();
    }
  }
}

/** Claims a run, executes it here and returns its result. */
export async function executeClaimed(
  platform: Platform,
  request: StartRunRequest,
  workflow: AnyWorkflow,
  logger: Logger,
  { leaseWaitMs, abortSignal }: ClaimWishes,
): Promise<unknown> {
  request.claim = true;
  const response = await claim(platform, request, leaseWaitMs, abortSignal);
  const { run, claimed } = response;
  if (run !== undefined && hasEnded(run)) return outcomeOf(platform, run);
  if (claimed === undefined) {
    throw new RequestError({
      reason: "INTERNAL",
      message: "the server gave neither a lease nor an outcome",
      code: 13,
    });
  }
  await perform(platform, claimed, workflow, logger, abortSignal);
  abortSignal?.throwIfAborted();
  const runId = claimed.lease?.runId ?? request.runId;
  const handle = new RunHandle(platform, runId, true);
  const info = await handle.get();
  if (info.status === "paused") {
    throw new RequestError({
      reason: "RUN_PAUSED",
      message: `the run ${runId} is paused: ${info.statusDetail || info.statusReason}`,
      code: 9,
      metadata: { run_id: runId, state_reason: info.statusReason },
    });
  }
  // Ended here, or taken over by somebody else.
  return handle.result();
}
