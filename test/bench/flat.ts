/** `flat.step10k.ratio`: whether a long run costs more per step than a short one, and its resumption. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Bench } from "./bench.ts";
import { Child } from "./child.ts";
import { readResidentMb } from "./cpu.ts";
import type { LongRunCommand, LongRunTimes } from "./product/long-worker.ts";
import { registerWorkflow, startRuns } from "./product/runs.ts";
import { BenchServer } from "./product/server.ts";
import { median } from "./stats.ts";
import { Wire } from "./wire.ts";

const steps = 10_000;
/** How many steps are compared, at the start and at the end of a run. */
const sample = 300;
const skipped = 10;

export async function benchFlat(bench: Bench): Promise<void> {
  const name = "flat.step10k.ratio";
  if (!bench.wants(name, "resume.step10k")) return;
  if (bench.options.quick) {
    bench.notes.push(`${name} is left out by --quick.`);
    return;
  }
  const store = await bench.createDatabase("sqlite");
  const server = await BenchServer.start({ store });
  const wire = new Wire(server.address);
  const first = newWorker();
  const second = newWorker();
  try {
    await registerWorkflow(wire);
    const { address } = server;
    // The first run warms both processes up, so that its compilation is not taken for a cost.
    await startRuns(wire, 1);
    await first.call<LongRunCommand, void>({ kind: "start", address });
    await first.call<LongRunCommand, LongRunTimes>({ kind: "reach", steps });
    await startRuns(wire, 1);
    const { times } = await first.call<LongRunCommand, LongRunTimes>({ kind: "reach", steps });
    const early = median(times.slice(skipped, skipped + sample));
    const late = median(times.slice(-sample));
    bench.progress(`step ${skipped}: ${early.toFixed(3)} ms, step ${steps}: ${late.toFixed(3)} ms`);
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

/** Kills the worker at the end of both runs, and times the other's way through the journals. */
async function resume(
  bench: Bench,
  server: BenchServer,
  first: Child,
  second: Child,
): Promise<void> {
  const before = readResidentMb(server.pid);
  await second.call<LongRunCommand, void>({ kind: "start", address: server.address });
  await sleep(300);
  await first.kill();
  const { resumeMs } = await second.call<LongRunCommand, LongRunTimes>({ kind: "resume" });
  bench.add("resume.step10k", resumeMs, "ms");
  const after = readResidentMb(server.pid);
  if (before !== undefined && after !== undefined) {
    bench.add("resume.step10k.serverGrowth", Math.max(0, after - before), "MB");
  }
}

function newWorker(): Child {
  const script = join(import.meta.dirname, "product", "long-worker.ts");
  return new Child(script, { env: { BENCH_STEPS: String(steps) } });
}
