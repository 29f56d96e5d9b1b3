import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { pythonCache } from "./scripts/run.ts";
import { patienceMs } from "./test/harness/patience.ts";
import { LongestFirst } from "./test/harness/sequencer.ts";

/** What all projects share: real processes and a real database take their time. */
const common = {
  // What a test waits for ends it before, and says what did not come.
  testTimeout: 2 * patienceMs,
  hookTimeout: 2 * patienceMs,
  expect: { poll: { timeout: patienceMs } },
  teardownTimeout: 20_000,
  pool: "forks",
  // For the many programs that tests start.
  env: {
    NODE_COMPILE_CACHE: join(import.meta.dirname, "node_modules", ".cache", "node"),
    ...pythonCache,
  },
  // Concurrent tests wait for processes most of the time.
  maxConcurrency: 10,
  // Nothing is mocked, and what is heavy are other processes: files share a worker, which saves each
  // of them a start and the loading of everything, a quarter of the CPU time of all.
  isolate: false,
} as const;

export default defineConfig({
  test: {
    // More than there are cores: most tests wait, for leases, disks and other processes.
    maxWorkers: 5,
    globalSetup: ["test/harness/bundle-setup.ts"],
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: { ...common, name: "tidy", include: ["test/tidy/**/*.test.ts"] },
      },
      {
        test: {
          ...common,
          name: "unit",
          include: ["server/src/**/*.test.ts", "worker-sdk/typescript/test/**/*.test.ts"],
        },
      },
      {
        test: {
          ...common,
          name: "system",
          // Real processes on a shared machine: what fails once is tried once more, and printed as
          // FLAKY (test/harness/flaky-reporter.ts). What fails twice has failed.
          retry: 1,
          include: ["test/**/*.test.ts", "examples/**/*.test.ts"],
          exclude: ["test/tidy/**", "**/node_modules/**"],
          globalSetup: ["test/harness/global-setup.ts"],
        },
      },
    ],
  },
});
