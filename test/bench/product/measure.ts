import { join } from "node:path";
import type { Bench, StoreKind } from "../bench.ts";
import { Child } from "../child.ts";
import { type Measured, measureSteps } from "../measure.ts";
import type { StepRate } from "../step-meter.ts";
import { Wire } from "../wire.ts";
import { registerWorkflow, startRuns } from "./bench-runs.ts";
import { BenchServer } from "./server.ts";

/** What the bench asks of a worker process. */
export interface WorkerCommand {
  /** `host:port`. */
  address: string;
  slots: number;
  warmUpMs: number;
  measureMs: number;
}

/** A worker of ours: with the SDK, with nothing but the wire, or of unary calls. */
export type WorkerScript = "sdk-worker.ts" | "bare-worker.ts" | "unary-worker.ts";

export interface ProductOptions {
  worker: WorkerScript;
  slots: number;
  /** How many runs wait when the worker comes; enough for all the time. */
  queued: number;
  /** Of each run; 10 for throughput. */
  steps: number;
  warmUpMs: number;
  measureMs: number;
  fsyncMs?: number;
  /** Whether the embedded store runs on the server's main thread; by default on its own. */
  mainThread?: boolean;
}

/**
 * One round: an empty database, runs started, then a worker that drains them.
 */
export async function measureProduct(
  bench: Bench,
  kind: StoreKind,
  options: ProductOptions,
): Promise<Measured> {
  const store = await bench.createDatabase(kind);
  const { fsyncMs = 0, queued, slots, steps, warmUpMs, measureMs } = options;
  const env = options.mainThread === true ? { PAWL_STORE_THREAD: "0" } : {};
  await queueRuns(store, queued);
  const server = await BenchServer.start({ store, fsyncMs, env });
  const worker = new Child(join(import.meta.dirname, options.worker), {
    env: { BENCH_STEPS: String(steps) },
  });
  try {
    await server.takeLoopDelay();
    const times = { warmUpMs, measureMs };
    const measured = await measureSteps(bench, kind, server.pid, worker.pid, times, () =>
      worker.call<WorkerCommand, StepRate>({ address: server.address, slots, ...times }),
    );
    const { p99 } = await server.takeLoopDelay();
    return { ...measured, loopDelayP99: p99 };
  } finally {
    await worker.kill();
    await server.child.kill();
    await bench.dropDatabase(store);
  }
}

/** Starts the runs with a server of its own, so that the measured one has nothing else to do. */
export async function queueRuns(store: string, count: number): Promise<void> {
  const server = await BenchServer.start({ store });
  const wire = new Wire(server.address);
  try {
    await registerWorkflow(wire);
    await startRuns(wire, count);
  } finally {
    wire.close();
    await server.end();
  }
}
