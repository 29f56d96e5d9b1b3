/** `--long`: whether a database with a million steps is as fast as an empty one. */
import { join } from "node:path";
import { type Bench, type StoreKind, storeKinds } from "./bench.ts";
import { Child } from "./child.ts";
import { queueRuns, type WorkerCommand } from "./product/measure.ts";
import { BenchServer } from "./product/server.ts";
import { median } from "./stats.ts";
import type { StepRate } from "./step-meter.ts";

const steps = 1_000_000;
const stepsPerRun = 10;
/** How many runs wait beyond those of the million, so that the queue never runs dry. */
const moreRuns = 20_000;
const windowMs = 5_000;
const slots = 64;

/** `million.STORE.ratio`: steps per second at the end of a million, against those at its start. */
export async function benchMillion(bench: Bench): Promise<void> {
  if (!bench.options.long) {
    if (bench.wants("million.sqlite", "million.postgres"))
      bench.leaveOut("million.*", "it takes minutes; use --long.");
    return;
  }
  for (const kind of storeKinds) {
    if (bench.wants(`million.${kind}`)) await measureMillion(bench, kind);
  }
}

async function measureMillion(bench: Bench, kind: StoreKind): Promise<void> {
  const store = await bench.createDatabase(kind);
  await queueRuns(store, steps / stepsPerRun + moreRuns);
  const server = await BenchServer.start({ store });
  const worker = new Child(join(import.meta.dirname, "product", "sdk-worker.ts"), {
    env: { BENCH_STEPS: String(stepsPerRun) },
  });
  try {
    const { address } = server;
    const rates: number[] = [];
    for (let done = 0; done < steps; ) {
      const rate = await worker.call<WorkerCommand, StepRate>({
        ...{ address, slots },
        ...{ warmUpMs: 0, measureMs: windowMs },
      });
      done += rate.steps;
      rates.push((rate.steps / rate.ms) * 1000);
      bench.progress(`million.${kind}: ${done} steps, ${Math.round(rates.at(-1) ?? 0)} steps/s`);
    }
    // The first window is the processes' warm-up.
    const early = median(rates.slice(1, 4));
    const late = median(rates.slice(-3));
    bench.add(`million.${kind}.c${slots}`, late, "steps/s");
    bench.add(`million.${kind}.ratio`, late / early, "ratio");
  } finally {
    await worker.kill();
    await server.child.kill();
    await bench.dropDatabase(store);
  }
}
