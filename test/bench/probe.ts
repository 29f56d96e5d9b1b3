/**
 * Loaded into a server process with `--import`: measures how late its event loop runs timers, takes
 * profiles, and reports to the bench over the IPC channel. The server itself knows nothing of it.
 *
 * With `BENCH_FSYNC_MS` every SQLite commit takes that much longer, as on a slow disk: the thread
 * that commits is held, whichever thread that is.
 */
import { createHistogram } from "node:perf_hooks";
import { StatementSync } from "node:sqlite";
import { isMainThread } from "node:worker_threads";
import { serveCommands } from "./child.ts";
import { type PartTimes, startProfile } from "./profile.ts";

/** What the bench asks of a process with a probe. */
export type ProbeCommand = "reset" | "profile" | "parts";

/** How late timers ran since the last reset, in ms. */
export interface LoopDelay {
  p50: number;
  p99: number;
  max: number;
  /** How many timers. */
  count: number;
}

const intervalMs = 5;
const nsPerMs = 1e6;

const slowMs = Number(process.env.BENCH_FSYNC_MS ?? "0");
if (slowMs > 0) holdCommits(slowMs);
if (isMainThread && process.send !== undefined) serveProbe();

function holdCommits(ms: number): void {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  StatementSync.prototype.run = new Proxy(StatementSync.prototype.run, {
    apply(run, statement: StatementSync, values) {
      const result = Reflect.apply(run, statement, values);
      if (statement.sourceSQL === "COMMIT") Atomics.wait(cell, 0, 0, ms);
      return result;
    },
  });
}

function serveProbe(): void {
  const histogram = createHistogram();
  let due = performance.now() + intervalMs;
  const tick = () => {
    const now = performance.now();
    histogram.record(Math.max(1, Math.round((now - due) * nsPerMs)));
    due = now + intervalMs;
    setTimeout(tick, intervalMs).unref();
  };
  setTimeout(tick, intervalMs).unref();
  let endProfile: (() => Promise<PartTimes>) | undefined;
  serveCommands<ProbeCommand, LoopDelay | PartTimes | undefined>(async (command) => {
    if (command === "parts") return endProfile?.();
    if (command === "profile") {
      endProfile = await startProfile();
      return undefined;
    }
    const { count, max } = histogram;
    const delay = {
      p50: histogram.percentile(50) / nsPerMs,
      p99: histogram.percentile(99) / nsPerMs,
      max: max / nsPerMs,
      count,
    };
    histogram.reset();
    return delay;
  });
  // The server ends by its own rules.
  process.channel?.unref();
}
