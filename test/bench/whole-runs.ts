/**
 * Whole runs, from a client's start to its result, as a user's program has them: a client in a process
 * of its own starts a run, waits for its result, and starts the next.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Bench, othersMax, type StoreKind, storeKinds } from "./bench.ts";
import { Child } from "./child.ts";
import { type Measured, measureSteps } from "./measure.ts";
import { registerWorkflow } from "./product/bench-runs.ts";
import type { ChildCommand } from "./product/child-worker.ts";
import type { ClientCommand } from "./product/loop-client.ts";
import type { WorkerCommand } from "./product/measure.ts";
import { BenchServer } from "./product/server.ts";
import { median, percentile } from "./stats.ts";
import type { StepRate } from "./step-meter.ts";
import { Wire } from "./wire.ts";

interface Times {
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** How long the server is watched for the table of parts. */
const profileMs = 2_000;
const stepsPerRun = 10;

/** `e2e.STORE.c64`, `c256` and `c1.p50`, `runs1.sqlite.c64`. */
export async function benchWholeRuns(bench: Bench): Promise<void> {
  const { quick } = bench.options;
  const times = quick
    ? { warmUpMs: 2_000, measureMs: 2_000 }
    : { warmUpMs: 4_000, measureMs: 3_000 };
  for (const runs of [64, 256, 1]) {
    for (const kind of storeKinds) {
      const name = runs === 1 ? `e2e.${kind}.c1.p50` : `e2e.${kind}.c${runs}`;
      const load = { kind, runs, steps: stepsPerRun };
      if (bench.wants(name)) await measureRounds(bench, name, load, times);
    }
  }
  const name = "runs1.sqlite.c64";
  const load = { kind: "sqlite", runs: 64, steps: 1 } as const;
  if (bench.wants(name)) await measureRounds(bench, name, load, times);
}

/** What is started, and how often at the same time. */
interface Load {
  readonly kind: StoreKind;
  readonly runs: number;
  readonly steps: number;
}

async function measureRounds(bench: Bench, name: string, load: Load, times: Times): Promise<void> {
  const rounds: Measured[] = [];
  for (let round = 1; round <= (bench.options.quick ? 1 : 2); round += 1) {
    const measured = await withRuns(bench, load, times, ({ server, worker, client, rate }) =>
      measureSteps(bench, load.kind, server.pid, worker.pid, times, () => rate, client.pid),
    );
    const { stepsPerSecond, p50, p99, others } = measured;
    const busy = others > othersMax ? `, others took ${Math.round(others * 100)} % of the CPU` : "";
    bench.progress(
      `${name} round ${round}: ${Math.round(stepsPerSecond)} runs/s, p50 ${p50.toFixed(2)} ms, ` +
        `p99 ${p99.toFixed(2)} ms${busy}`,
    );
    rounds.push(measured);
  }
  addResults(bench, name, load, rounds);
  // One level of concurrency is enough: a lone run's server is mostly idle.
  if (load.runs === 64) await measureParts(bench, name, load, times);
}

function addResults(bench: Bench, name: string, load: Load, rounds: readonly Measured[]): void {
  const runsPerSecond = median(rounds.map(({ stepsPerSecond }) => stepsPerSecond));
  const p50 = median(rounds.map((round) => round.p50));
  if (load.runs === 1) bench.add(name, p50, "ms");
  else if (load.steps === 1) bench.add(name, runsPerSecond, "runs/s");
  else bench.add(name, runsPerSecond * load.steps, "steps/s");
  if (load.runs === 64 && load.steps > 1) {
    const p99 = median(rounds.map((round) => round.p99));
    bench.add(`${name}.p50`, p50, "ms");
    bench.add(`${name}.p99.ratio`, p99 / p50, "ratio");
  }
  bench.noteOthers(name, median(rounds.map(({ others }) => others)));
  const threads = Object.keys(rounds[0]?.cpu ?? {});
  const cpu = threads.map((thread) => [thread, median(rounds.map((one) => one.cpu[thread] ?? 0))]);
  const spent = { name, stepsPerSecond: runsPerSecond, cpu: Object.fromEntries(cpu) };
  bench.spentPerRun.push(spent);
}

/** A round of its own, since taking samples slows the server down. */
async function measureParts(bench: Bench, name: string, load: Load, times: Times): Promise<void> {
  const window = { ...times, measureMs: profileMs };
  await withRuns(bench, load, window, async ({ server, rate }) => {
    await sleep(window.warmUpMs);
    const { cpuMs, seconds, shares } = await server.profile(profileMs);
    const { steps, ms } = await rate;
    const usPerRun = (cpuMs * ms) / (steps * seconds);
    const parts = Object.entries(shares).map(([part, share]) => [part, share * usPerRun]);
    bench.parts.push({ name, parts: Object.fromEntries(parts) });
  });
}

interface Running {
  readonly server: BenchServer;
  readonly worker: Child;
  readonly client: Child;
  /** What the client has measured; a step of it is a whole run. */
  readonly rate: Promise<StepRate>;
}

/** Runs under way on an empty database, in three processes. */
async function withRuns<T>(
  bench: Bench,
  { kind, runs, steps }: Load,
  times: Times,
  use: (running: Running) => Promise<T>,
): Promise<T> {
  const store = await bench.createDatabase(kind);
  const server = await BenchServer.start({ store });
  const worker = newChild("sdk-worker.ts", { BENCH_STEPS: String(steps) });
  const client = newChild("loop-client.ts");
  try {
    const { address } = server;
    const wire = new Wire(address);
    await registerWorkflow(wire);
    wire.close();
    const slots = Math.max(10, 2 * runs);
    const working = worker.call<WorkerCommand, StepRate>({ address, slots, ...times });
    const running = client.call<ClientCommand, StepRate>({ address, runs, ...times });
    const rate = Promise.all([running, working]).then(([whole]) => whole);
    return await use({ server, worker, client, rate });
  } finally {
    await client.kill();
    await worker.kill();
    await server.child.kill();
    await bench.dropDatabase(store);
  }
}

/** `child.c1.p50`: from a parent's call of a child that does nothing until it has its result. */
export async function benchChildren(bench: Bench): Promise<void> {
  const name = "child.c1.p50";
  if (!bench.wants(name)) return;
  const store = await bench.createDatabase("sqlite");
  const server = await BenchServer.start({ store });
  const worker = newChild("child-worker.ts");
  try {
    const { address } = server;
    const count = bench.options.quick ? 200 : 500;
    await worker.call<ChildCommand, number[]>({ address, count });
    const times = await worker.call<ChildCommand, number[]>({ address, count });
    const sorted = times.toSorted((a, b) => a - b);
    bench.progress(`${name}: p99 ${percentile(sorted, 99).toFixed(1)} ms`);
    bench.add(name, percentile(sorted, 50), "ms");
  } finally {
    await worker.kill();
    await server.child.kill();
    await bench.dropDatabase(store);
  }
}

function newChild(script: string, env: Readonly<Record<string, string>> = {}): Child {
  return new Child(join(import.meta.dirname, "product", script), { env });
}
