/**
 * A run's events until its end, even if the connection breaks: after each break the stream
 * continues from the last cursor.
 */
import { ConnectError } from "@connectrpc/connect";
import type { Event } from "@pawl/proto";
import { ErrorInfoSchema } from "@pawl/proto/google/rpc/error_details_pb.js";
import { sleep, systemClock } from "../../lib/clock.ts";
import type { Server } from "./client-command.ts";
import { ENDED } from "./run-text.ts";

const FIRST_DELAY_MS = 200;
const LAST_DELAY_MS = 2_000;
/** After this long without a response, it gives up. */
const PATIENCE_MS = 300_000;
/** Reasons that go away by themselves. */
const PASSING = new Set(["DRAINING", "STORE_UNAVAILABLE", "SLOW_CONSUMER", "RATE_LIMITED"]);
const TERMINAL = new Set(["run.completed", "run.failed", "run.cancelled"]);

export interface Follow {
  readonly runId: string;
  /** Empty: from the start. */
  readonly afterCursor?: string;
  readonly waitForStart?: boolean;
  readonly includeChildren?: boolean;
  /** Called when the connection breaks, and when there is a new one. */
  readonly onBreak?: (state: "broken" | "back") => void;
}

export function isTerminal(event: Event, runId: string): boolean {
  return event.runId === runId && TERMINAL.has(event.type);
}

/**
 * Batches of events in order. Ends after the run's last event. Rejects if the first connection
 * fails, if the server refuses, or after five minutes without a response.
 */
export async function* followRun(server: Server, follow: Follow): AsyncGenerator<readonly Event[]> {
  const { runId, waitForStart = false, includeChildren = false, onBreak } = follow;
  let afterCursor = follow.afterCursor ?? "";
  let answered = false;
  let over = false;
  let brokenAt: number | undefined;
  for (let delay = FIRST_DELAY_MS; ; delay = Math.min(LAST_DELAY_MS, delay * 2)) {
    try {
      const request = { runId, afterCursor, waitForStart, includeChildren };
      for await (const { events } of server.events.watchRun(request)) {
        if (brokenAt !== undefined) onBreak?.("back");
        brokenAt = undefined;
        answered = true;
        delay = FIRST_DELAY_MS;
        afterCursor = events.at(-1)?.cursor ?? afterCursor;
        yield events;
        // The stream is read to its end: left before it, its connection would keep the process alive.
        over ||= events.some((event) => isTerminal(event, runId));
      }
      if (over) return;
      const { run } = await server.runs.getRun({ runId });
      // Nothing follows this cursor any more: the run had ended before.
      if (run !== undefined && ENDED.has(run.status)) return;
    } catch (error) {
      if (over) return;
      const now = systemClock.now();
      if (brokenAt === undefined) {
        brokenAt = now;
        if (answered && mayPass(error)) onBreak?.("broken");
      }
      if (!answered || !mayPass(error) || now - brokenAt > PATIENCE_MS) throw error;
    }
    await sleep(delay);
  }
}

/** Whether another attempt may succeed: there was no response, or the server says that the problem is temporary. */
function mayPass(error: unknown): boolean {
  if (!(error instanceof ConnectError)) return false;
  const [info] = error.findDetails(ErrorInfoSchema);
  return info === undefined || PASSING.has(info.reason);
}
