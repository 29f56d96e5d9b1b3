/** How fast runs start, and how fast they continue elsewhere. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Bench } from "./bench.ts";
import { Child } from "./child.ts";
import { registerWorkflow, startRuns } from "./product/bench-runs.ts";
import type { RecoveryCommand, StepTimes } from "./product/recovery-worker.ts";
import { BenchServer } from "./product/server.ts";
import { median, percentile } from "./stats.ts";
import { Wire } from "./wire.ts";

/** Runs that are in the middle when something is killed: each is one sample. */
const runs = 20;
const stepMs = 20;
const patienceMs = 20_000;

/** `start.firstStep.p50`: from a client's `start` to the first line of the first step. */
export async function benchFirstStep(bench: Bench): Promise<void> {
  const name = "start.firstStep.p50";
  if (!bench.wants(name)) return;
  const store = await bench.createDatabase("sqlite");
  const server = await BenchServer.start({ store });
  const worker = newWorker({});
  try {
    await worker.call<RecoveryCommand, void>({ kind: "start", address: server.address, slots: 10 });
    const count = bench.options.quick ? 100 : 300;
    await worker.call<RecoveryCommand, number[]>({ kind: "startRuns", count: 50 });
    const times = await worker.call<RecoveryCommand, number[]>({ kind: "startRuns", count });
    bench.add(name, median(times), "ms");
  } finally {
    await worker.kill();
    await server.child.kill();
    await bench.dropDatabase(store);
  }
}

/** `recovery.workerKill.p99`: from the holder's SIGKILL to the next step in another worker. */
export async function benchWorkerKill(bench: Bench): Promise<void> {
  const name = "recovery.workerKill.p99";
  if (!bench.wants(name)) return;
  const rounds = bench.options.quick ? 2 : 5;
  const samples = await repeat(bench, name, rounds, async (server) => {
    const holder = newWorker(endless);
    const other = newWorker(endless);
    try {
      await begin(server, holder);
      await other.call<RecoveryCommand, void>({
        kind: "start",
        address: server.address,
        slots: runs,
      });
      await sleep(300);
      const killedAt = now();
      await holder.kill();
      return await waitForSteps(other, killedAt);
    } finally {
      await holder.kill();
      await other.kill();
    }
  });
  addP99(bench, name, samples);
}

/** `recovery.serverRestart.p99`: from the moment a killed server is ready again to each run's next step. */
export async function benchServerRestart(bench: Bench): Promise<void> {
  const name = "recovery.serverRestart.p99";
  if (!bench.wants(name)) return;
  const rounds = bench.options.quick ? 2 : 5;
  const samples = await repeat(bench, name, rounds, async (server, store) => {
    const worker = newWorker(endless);
    let restarted: BenchServer | undefined;
    try {
      await begin(server, worker);
      await sleep(300);
      await server.child.kill();
      restarted = await BenchServer.start({ store, grpc: server.address });
      // The worker may reconnect before this process has read that the server is ready.
      const readyAt = now();
      return await waitForSteps(worker, readyAt);
    } finally {
      await worker.kill();
      await restarted?.child.kill();
    }
  });
  addP99(bench, name, samples);
}

const endless = { BENCH_STEPS: "100000", BENCH_STEP_MS: String(stepMs) };

function newWorker(env: Readonly<Record<string, string>>): Child {
  return new Child(join(import.meta.dirname, "product", "recovery-worker.ts"), { env });
}

/** All runs are under way in this worker. */
async function begin(server: BenchServer, worker: Child): Promise<void> {
  const wire = new Wire(server.address);
  await registerWorkflow(wire);
  const { address } = server;
  await worker.call<RecoveryCommand, void>({ kind: "start", address, slots: runs });
  await startRuns(wire, runs);
  wire.close();
  await waitForSteps(worker, 0);
}

async function repeat(
  bench: Bench,
  name: string,
  rounds: number,
  round: (server: BenchServer, store: string) => Promise<number[]>,
): Promise<number[]> {
  const samples: number[] = [];
  for (let n = 1; n <= rounds; n += 1) {
    const store = await bench.createDatabase("sqlite");
    const server = await BenchServer.start({ store });
    try {
      const times = await round(server, store);
      bench.progress(`${name} round ${n}/${rounds}: ${Math.round(Math.max(...times))} ms at most`);
      samples.push(...times);
    } finally {
      await server.child.kill();
      await bench.dropDatabase(store);
    }
  }
  return samples;
}

/** Waits until every run has started a step since then; returns how long each took to it, in ms. */
async function waitForSteps(worker: Child, since: number): Promise<number[]> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const times = await worker.call<RecoveryCommand, StepTimes>({ kind: "stepsSince", at: since });
    const all = Object.values(times);
    if (all.length >= runs) return all.map((time) => time - since);
    if (performance.now() > deadline) {
      throw new Error(`Only ${all.length} of ${runs} runs continued within ${patienceMs} ms.`);
    }
    await sleep(20);
  }
}

function addP99(bench: Bench, name: string, samples: number[]): void {
  const sorted = samples.toSorted((a, b) => a - b);
  bench.add(name, percentile(sorted, 99), "ms");
  bench.add(name.replace("p99", "p50"), percentile(sorted, 50), "ms");
}

/** Since the epoch, in ms with fractions: comparable between processes of one machine. */
function now(): number {
  return performance.timeOrigin + performance.now();
}
