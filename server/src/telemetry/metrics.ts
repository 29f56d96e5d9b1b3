/**
 * What a server counts about itself; docs/observability.md lists the same names. Those that are read
 * rather than counted (queue, sessions, watchers) are added by who has them.
 */
import { monotonicMs, systemClock } from "../lib/clock.ts";
import { type Counter, type Histogram, Registry, type Series } from "../lib/metrics.ts";
import { uptimeMs } from "../lib/uptime.ts";
import { VERSION } from "../lib/version.ts";

/** Buckets from a fast commit to a slow store, in seconds. */
const FAST = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
/** Buckets from a dispatch at once to a queue that nobody serves, in seconds. */
const WAITS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
/** What user code takes, in seconds. */
const WORK = [0.001, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600];
/** What runs take, waits included, in seconds. */
const RUNS = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300, 900, 3_600, 21_600, 86_400, 604_800];
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024];

/** Why a lease ended without an outcome. */
const LOSSES = ["disconnected", "expired", "refused", "unacknowledged", "restarted", "forgotten"];
const WAIT_OUTCOMES = [
  "fired",
  "signalled",
  "answered",
  "skipped",
  "timed_out",
  "completed",
  "failed",
  "cancelled",
];

export interface Metrics {
  readonly registry: Registry;
  /** By workflow. */
  readonly runsStarted: Series<Counter>;
  /** By workflow and outcome. */
  readonly runsEnded: Series<Counter>;
  readonly runSeconds: Histogram;
  readonly stepsCompleted: Counter;
  readonly stepsFailed: Counter;
  readonly attemptsCompleted: Counter;
  readonly attemptsFailed: Counter;
  readonly retries: Counter;
  readonly stepSeconds: Histogram;
  readonly replays: Counter;
  /** By outcome. */
  readonly waitsResolved: Series<Counter>;
  readonly signals: Counter;
  readonly commitSize: Histogram;
  readonly commitSeconds: Histogram;
  readonly storeErrors: Counter;
  readonly dispatches: Counter;
  readonly dispatchSeconds: Histogram;
  /** By reason. */
  readonly leasesLost: Series<Counter>;
  readonly recoverySeconds: Histogram;
  readonly timerLagSeconds: Histogram;
  readonly eventLoopSeconds: Histogram;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  const attempts = registry.counters(
    "pawl_step_attempts_total",
    "Attempts of steps whose end was recorded, by outcome.",
    ["outcome"],
  );
  const steps = registry.counters(
    "pawl_steps_total",
    "Steps whose final result was recorded, by outcome.",
    ["outcome"],
  );
  const metrics: Metrics = {
    registry,
    ...runMetrics(registry),
    stepsCompleted: steps.of("completed"),
    stepsFailed: steps.of("failed"),
    attemptsCompleted: attempts.of("completed"),
    attemptsFailed: attempts.of("failed"),
    ...stepMetrics(registry),
    ...storeMetrics(registry),
    ...leaseMetrics(registry),
    eventLoopSeconds: registry.histogram(
      "pawl_event_loop_delay_seconds",
      "Delay of a 100 ms timer in the event loop.",
      [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
    ),
  };
  for (const reason of LOSSES) metrics.leasesLost.of(reason);
  for (const outcome of WAIT_OUTCOMES) metrics.waitsResolved.of(outcome);
  readProcess(registry);
  return metrics;
}

function runMetrics(registry: Registry) {
  return {
    runsStarted: registry.counters("pawl_runs_started_total", "Runs started, by workflow.", [
      "workflow",
    ]),
    runsEnded: registry.counters("pawl_runs_ended_total", "Runs ended, by workflow and outcome.", [
      "workflow",
      "outcome",
    ]),
    runSeconds: registry.histogram(
      "pawl_run_duration_seconds",
      "Time from the start of a run to its end, including waits.",
      RUNS,
    ),
  };
}

function stepMetrics(registry: Registry) {
  return {
    retries: registry.counter(
      "pawl_step_retries_total",
      "Failed attempts of steps that are retried.",
    ),
    stepSeconds: registry.histogram(
      "pawl_step_duration_seconds",
      "Duration of recorded attempts of steps, by the workers' clocks.",
      WORK,
    ),
    replays: registry.counter(
      "pawl_replays_total",
      "Recorded results that were replayed instead of computed again.",
    ),
    waitsResolved: registry.counters(
      "pawl_waits_resolved_total",
      "Resolved waits for timers, signals and child runs, by outcome.",
      ["outcome"],
    ),
    signals: registry.counter("pawl_signals_received_total", "Signals that runs received."),
  };
}

function storeMetrics(registry: Registry) {
  return {
    commitSize: registry.histogram(
      "pawl_commit_batch_size",
      "Commands and claims in one commit.",
      SIZES,
    ),
    commitSeconds: registry.histogram(
      "pawl_commit_duration_seconds",
      "Duration of a commit until it was durable.",
      FAST,
    ),
    storeErrors: registry.counter(
      "pawl_store_errors_total",
      "Failed calls of the store; failed commits are retried.",
    ),
  };
}

function leaseMetrics(registry: Registry) {
  return {
    dispatches: registry.counter("pawl_dispatches_total", "Runs given to workers."),
    dispatchSeconds: registry.histogram(
      "pawl_dispatch_latency_seconds",
      "Time from when a run was ready until a worker got it.",
      WAITS,
    ),
    leasesLost: registry.counters(
      "pawl_leases_lost_total",
      "Leases taken from their holders, by reason.",
      ["reason"],
    ),
    recoverySeconds: registry.histogram(
      "pawl_recovery_seconds",
      "Time from when a lease was lost until another worker got the run.",
      WAITS,
    ),
    timerLagSeconds: registry.histogram(
      "pawl_timer_lag_seconds",
      "Delay between a timer's due time and its firing.",
      WAITS,
    ),
  };
}

/** Under the names that Prometheus' own clients give them. */
function readProcess(registry: Registry): void {
  const startedAt = (systemClock.now() - uptimeMs()) / 1_000;
  registry.read(
    "gauge",
    "pawl_build_info",
    "Always 1; the label has the version of the server.",
    () => [{ labels: { version: VERSION }, value: 1 }],
  );
  registry.read("gauge", "process_resident_memory_bytes", "Resident memory.", () =>
    process.memoryUsage.rss(),
  );
  registry.read("counter", "process_cpu_seconds_total", "CPU time of user and system.", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  registry.read(
    "gauge",
    "process_start_time_seconds",
    "Start time of the process, since the epoch.",
    () => startedAt,
  );
}

/** Milliseconds by the monotonic clock, as a histogram wants them. */
export function secondsSince(startMs: number): number {
  return (monotonicMs() - startMs) / 1_000;
}
