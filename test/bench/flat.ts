/** `flat.step10k.ratio`: whether a long run costs more per step than a short one, and its resumption. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Bench } from "./bench.ts";
import { Child } from "./child.ts";
import { readResidentMb } from "./cpu.ts";
import { registerWorkflow, startRun } from "./product/bench-runs.ts";
import type { LongRunCommand, LongRunTimes } from "./product/long-worker.ts";
import { BenchServer } from "./product/server.ts";
import { median } from "./stats.ts";
import { Wire } from "./wire.ts";

/** As in long-worker.ts, which is a process of its own. */
const comparedSteps = 400;

export async function benchFlat(bench: Bench): Promise<void> {
  const name = "flat.step10k.ratio";
  if (!bench.wants(name, "resume.step10k")) return;
  if (bench.options.quick) {
    bench.leaveOut(`${name}, resume.step10k`, "--quick was given.");
    return;
  }
  const store = await bench.createDatabase("sqlite");
  const server = await BenchServer.start({ store });
  const wire = new Wire(server.address);
  const first = newWorker("1");
  const second = newWorker("0");
  try {
    await registerWorkflow(wire);
    const { address } = server;
    await first.call<LongRunCommand, void>({ kind: "start", address });
    // The first run warms both processes up, so that its compilation is not taken for a cost.
    await startRun(wire, "warm-up");
    await reach(first, "warm-up");
    await startRun(wire, "short");
    await startRun(wire, "long");
    const [short, long] = await Promise.all([reach(first, "short"), reach(first, "long")]);
    const early = median(short.times.slice(-comparedSteps));
    const late = median(long.times.slice(-comparedSteps));
    bench.progress(
      `steps 10 to 410: ${early.toFixed(3)} ms, the last of 10,000: ${late.toFixed(3)} ms`,
    );
    bench.add(name, late / early, "ratio");
    await resume(bench, server, first, second);
  } finally {
    await first.kill();
    await second.kill();
    wire.close();
    await server.child.kill();
    await bench.dropDatabase(store);
  }
}

function reach(worker: Child, runId: string): Promise<LongRunTimes> {
  return worker.call<LongRunCommand, LongRunTimes>({ kind: "reach", runId });
}

/** Kills the worker at the end of the runs, and times the other's way through the long journal. */
async function resume(
  bench: Bench,
  server: BenchServer,
  first: Child,
  second: Child,
): Promise<void> {
  const before = readResidentMb(server.pid);
  const workerBefore = readResidentMb(second.pid);
  await second.call<LongRunCommand, void>({ kind: "start", address: server.address });
  await sleep(300);
  await first.kill();
  const { totalMs } = await reach(second, "long");
  bench.add("resume.step10k", totalMs, "ms");
  const after = readResidentMb(server.pid);
  const workerAfter = readResidentMb(second.pid);
  if (workerBefore !== undefined && workerAfter !== undefined) {
    bench.add("resume.step10k.workerGrowth", Math.max(0, workerAfter - workerBefore), "MB");
  }
  if (before !== undefined && after !== undefined) {
    bench.add("resume.step10k.serverGrowth", Math.max(0, after - before), "MB");
  }
}

function newWorker(inTurns: "0" | "1"): Child {
  const script = join(import.meta.dirname, "product", "long-worker.ts");
  return new Child(script, { env: { BENCH_IN_TURNS: inTurns } });
}
