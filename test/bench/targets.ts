/** What the results are held against. */

export interface Target {
  /** The result must be at least this; or */
  atLeast?: number;
  /** at most this; or */
  atMost?: number;
  /** this part of that other result of the same run; or */
  ratio?: { of: string; atLeast?: number; atMost?: number };
  /** at most that other result times a factor, and this much more. */
  within?: { of: string; times: number; plus: number };
  note?: string;
}

/** Figures for a machine whose pipe made 17,000 (SQLite) and 10,000 (PostgreSQL) at 64 runs. */
const note = "figure for a machine with a pipe of 17,000 (SQLite), 10,000 (PostgreSQL)";

/** By result name. */
export const targets: Readonly<Record<string, Target>> = {
  "steps.sqlite.c64": {
    atLeast: 12_000,
    ratio: { of: "pipe.sqlite.c64", atLeast: 0.6 },
    note,
  },
  "steps.sqlite.c256": {
    atLeast: 15_000,
    ratio: { of: "pipe.sqlite.c256", atLeast: 0.6 },
    note,
  },
  "steps.postgres.c64": {
    atLeast: 6_000,
    ratio: { of: "pipe.postgres.c64", atLeast: 0.6 },
    note,
  },
  "steps.postgres.c256": {
    atLeast: 9_000,
    ratio: { of: "pipe.postgres.c256", atLeast: 0.6 },
    note,
  },
  "steps.sqlite.c1.p50": { ratio: { of: "pipe.sqlite.c1.p50", atMost: 1.4 } },
  "steps.postgres.c1.p50": { ratio: { of: "pipe.postgres.c1.p50", atMost: 1.4 } },
  // For a comparison of commits: that ratio to the steps of the commit before.
  "e2e.sqlite.c64": { ratio: { of: "steps.sqlite.c64", atLeast: 0.65 } },
  "e2e.postgres.c64": { ratio: { of: "steps.postgres.c64", atLeast: 0.65 } },
  "e2e.sqlite.c64.p99.ratio": { atMost: 2 },
  "e2e.postgres.c64.p99.ratio": { atMost: 2 },
  "e2e.sqlite.c1.p50": { within: { of: "steps.sqlite.c1.p50", times: 10, plus: 1.3 } },
  "e2e.postgres.c1.p50": { within: { of: "steps.postgres.c1.p50", times: 10, plus: 1.8 } },
  "watch.backlog.first": { atMost: 50 },
  "steps.python.c64": { atLeast: 4_000 },
  "steps.go.c64": { atLeast: 10_000 },
  "unary.stepCompleted": { atLeast: 1_500 },
  "start.firstStep.p50": { atMost: 5 },
  "recovery.workerKill.p99": { atMost: 1_000 },
  "recovery.serverRestart.p99": { atMost: 2_000 },
  "flat.step10k.ratio": { atMost: 1.2 },
  "claim.100k.ratio": { atMost: 1.3 },
  "claim.100k.postgres.ratio": { atMost: 1.3 },
  "loop.delay.p99": { atMost: 20 },
  "watch.local.p50": { atMost: 10 },
  "watch.replica.p50": { atMost: 100 },
  "watch.fanout.1000": { atMost: 1_000 },
  "deltas.rate": { atLeast: 50_000 },
  "deltas.slowdown": { atMost: 1.1 },
  "signal.resume.p50": { atMost: 15 },
  "timers.rate": { atLeast: 1_000 },
  "timers.postgres.rate": { atLeast: 1_000 },
  "timers.lag.p99": { atMost: 100 },
  "timers.postgres.lag.p99": { atMost: 100 },
  "wait.10k.rss": { atMost: 30 },
  "wait.1m.ready": { ratio: { of: "wait.0.ready", atMost: 1.2 }, atMost: 1_500 },
  "wait.1m.lag.p99": { atMost: 1_000 },
  "wait.1m.list.p50": { atMost: 50 },
  "rss.idle": { atMost: 120 },
  "serve.ready": { atMost: 1_500 },
};
