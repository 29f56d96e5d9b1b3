/** Figures of single things: unary calls, memory and start of the server. */
import { setTimeout as sleep } from "node:timers/promises";
import { startServer } from "../harness/server.ts";
import type { Bench } from "./bench.ts";
import { readResidentMb } from "./cpu.ts";
import { measureProduct } from "./product/measure.ts";
import { median } from "./stats.ts";

/** `unary.stepCompleted`: plain calls, 64 at a time. */
export async function benchUnary(bench: Bench): Promise<void> {
  const name = "unary.stepCompleted";
  if (!bench.wants(name)) return;
  const measured = await measureProduct(bench, "sqlite", {
    worker: "unary-worker.ts",
    slots: 64,
    queued: 0,
    steps: 0,
    warmUpMs: 1_000,
    measureMs: bench.options.quick ? 1_500 : 3_000,
  });
  bench.add(name, measured.stepsPerSecond, "calls/s");
  bench.spent.push({ name, stepsPerSecond: measured.stepsPerSecond, cpu: measured.cpu });
}

/** `serve.ready` and `rss.idle`, of a server as a user starts it. */
export async function benchIdle(bench: Bench): Promise<void> {
  if (!bench.wants("serve.ready", "rss.idle")) return;
  const ready: number[] = [];
  const resident: number[] = [];
  // The first start fills Node's compile cache, as an installation's first start does.
  const rounds = bench.options.quick ? 2 : 4;
  for (let round = 0; round < rounds; round += 1) {
    const begin = performance.now();
    const server = await startServer();
    ready.push(performance.now() - begin);
    await sleep(1_000);
    const mb = readResidentMb(server.pid);
    if (mb !== undefined) resident.push(mb);
    await server.stop();
  }
  bench.progress(`serve.ready: ${ready.map((ms) => Math.round(ms)).join(", ")} ms`);
  bench.add("serve.ready", median(ready.slice(1)), "ms");
  bench.add("serve.ready.first", ready[0] ?? 0, "ms");
  if (resident.length > 0) bench.add("rss.idle", median(resident.slice(1)), "MB");
  else bench.leaveOut("rss.idle", "only Linux's /proc is read.");
}
