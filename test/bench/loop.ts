/** The server's event loop under load, and the embedded store on either thread. */
import type { Bench } from "./bench.ts";
import { measureProduct } from "./product/measure.ts";

const slowMs = 10;

/**
 * `loop.delay.p99`: the worst of all rounds under load, those with a slow disk among them. And
 * beside it, what it would be with the embedded store on the main thread.
 */
export async function benchLoop(bench: Bench): Promise<void> {
  const name = "loop.delay.p99";
  if (!bench.wants(name, "thread.")) return;
  const { quick } = bench.options;
  const times = quick ? { warmUpMs: 500, measureMs: 1_000 } : { warmUpMs: 1_000, measureMs: 2_000 };
  for (const mainThread of quick ? [false] : [false, true]) {
    const where = mainThread ? "main" : "own";
    for (const fsyncMs of [0, slowMs]) {
      const measured = await measureProduct(bench, "sqlite", {
        ...times,
        worker: "sdk-worker.ts",
        slots: 256,
        queued: 6_000,
        steps: 10,
        fsyncMs,
        mainThread,
      });
      const disk = fsyncMs === 0 ? "" : `.fsync${fsyncMs}ms`;
      bench.add(`thread.${where}${disk}.c256`, measured.stepsPerSecond, "steps/s");
      bench.add(`thread.${where}${disk}.loop.p99`, measured.loopDelayP99, "ms");
      bench.noteOthers(`thread.${where}${disk}`, measured.others);
      if (!mainThread) bench.loopDelays.push(measured.loopDelayP99);
    }
  }
  bench.add(name, Math.max(...bench.loopDelays), "ms");
}
