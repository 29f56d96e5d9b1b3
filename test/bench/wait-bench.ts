/** What waiting costs, and how soon it is over. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { RunService, StepKind, WaitKind, WaitService, WorkerService } from "@pawl/proto";
import { openStore } from "../../server/src/store/open.ts";
import { type Bench, type StoreKind, storeKinds } from "./bench.ts";
import { Child } from "./child.ts";
import { readResidentMb } from "./cpu.ts";
import { registerWorkflow, workflowName } from "./product/bench-runs.ts";
import { makeSleepers } from "./product/million-sleepers.ts";
import { BenchServer } from "./product/server.ts";
import type { SignalCommand } from "./product/signal-worker.ts";
import { seedSleepers } from "./product/waiting.ts";
import { median, percentile } from "./stats.ts";
import { Wire } from "./wire.ts";

const warmUpRuns = 15_000;
const waitingRuns = 10_000;
const million = 1_000_000;
/** Due in each second, for `timers.lag`. */
const timersPerSecond = 1_000;
const hourMs = 3_600_000;

/** `wait.10k.rss`: how much larger the server is with 10,000 runs that wait, which it took itself. */
export async function benchWaiting(bench: Bench): Promise<void> {
  if (!bench.wants("wait.10k.rss")) return;
  const store = await bench.createDatabase("sqlite");
  const server = await BenchServer.start({ store });
  const wire = new Wire(server.address);
  try {
    await registerWorkflow(wire);
    // The same work before: a heap that has grown for taking that many runs is no cost of waiting.
    await suspendRuns(wire, warmUpRuns);
    const before = await settledMb(server.pid);
    await suspendRuns(wire, waitingRuns);
    const after = await settledMb(server.pid);
    bench.progress(`wait.10k: ${before.toFixed(1)} MB before, ${after.toFixed(1)} MB after`);
    bench.add("wait.10k.rss", Math.max(0, after - before), "MB");
  } finally {
    wire.close();
    await server.child.kill();
    await bench.dropDatabase(store);
  }
}

/** Runs that are started, claimed and suspended on a sleep of an hour, 64 at a time. */
async function suspendRuns(wire: Wire, count: number): Promise<void> {
  let left = count;
  const duration = { seconds: BigInt(hourMs / 1_000) };
  const input = { data: new TextEncoder().encode("{}"), encoding: "json" };
  const one = async () => {
    while (left > 0) {
      left -= 1;
      const start = { workflow: workflowName, input, claim: true, workerId: "bench" };
      const { claimed } = await wire.call(RunService.method.startRun, start);
      const { runId = "", fence = 0 } = claimed?.lease ?? {};
      const wait = { stepKey: "sleep:nap", kind: StepKind.SLEEP, wait: { duration } };
      await wire.call(WorkerService.method.suspendRun, { runId, fence, waits: [wait] });
    }
  };
  await Promise.all(Array.from({ length: 64 }, one));
}

async function untilOver(wire: Wire): Promise<void> {
  for (;;) {
    const { waits } = await wire.call(WaitService.method.listWaits, { pageSize: 1 });
    if (waits.length === 0) return;
    await sleep(50);
  }
}

/** The smallest of some readings once it is quiet: garbage comes and goes. */
async function settledMb(pid: number): Promise<number> {
  const readings: number[] = [];
  for (let n = 0; n < 10; n += 1) {
    await sleep(300);
    readings.push(readResidentMb(pid) ?? 0);
  }
  return Math.min(...readings);
}

/**
 * `timers.rate`: how many timers that were due long ago a starting server fires per second.
 * `timers.lag.p99`: how late timers fire when 1,000 are due in each second.
 */
export async function benchTimers(bench: Bench): Promise<void> {
  for (const kind of storeKinds) {
    const [rate, lag] = [resultName("rate", kind), resultName("lag.p99", kind)];
    if (bench.wants(rate)) {
      const now = Date.now();
      const count = bench.options.quick ? 5_000 : 20_000;
      const moments = Array.from({ length: count }, () => now - 1_000);
      const { at } = await fireTimers(bench, kind, moments);
      const spanMs = Math.max(1, (at.at(-1) ?? 0) - (at[0] ?? 0));
      bench.add(rate, (at.length / spanMs) * 1_000, "timers/s");
    }
    if (bench.wants(lag)) {
      const base = Date.now() + (kind === "sqlite" ? 4_000 : 8_000);
      const seconds = bench.options.quick ? 3 : 5;
      const count = seconds * timersPerSecond;
      const moments = Array.from({ length: count }, (_, i) => base + (i * 1_000) / timersPerSecond);
      const { lags } = await fireTimers(bench, kind, moments);
      bench.progress(`${lag}: p50 ${median(lags)} ms, max ${lags.at(-1)} ms`);
      bench.add(lag, percentile(lags, 99), "ms");
    }
  }
}

/** SQLite is what a user has first; its names are the plain ones. */
function resultName(what: string, kind: StoreKind): string {
  return kind === "sqlite" ? `timers.${what}` : `timers.postgres.${what}`;
}

interface Fired {
  /** When each fired, and how late that was; both sorted, in ms, by the server's clock. */
  readonly at: number[];
  readonly lags: number[];
}

async function fireTimers(
  bench: Bench,
  kind: StoreKind,
  moments: readonly number[],
): Promise<Fired> {
  const store = await bench.createDatabase(kind);
  const ids = await seedSleepers(store, moments);
  const server = await BenchServer.start({ store });
  const wire = new Wire(server.address);
  try {
    await sleep(Math.max(0, (moments.at(-1) ?? 0) - Date.now()));
    await untilOver(wire);
    await server.end();
    return await readFired(store, ids);
  } finally {
    wire.close();
    await server.child.kill();
    await bench.dropDatabase(store);
  }
}

async function readFired(url: string, runIds: readonly string[]): Promise<Fired> {
  const store = await openStore(url, { onMessage: () => undefined });
  const at: number[] = [];
  const lags: number[] = [];
  try {
    for (let from = 0; from < runIds.length; from += 500) {
      const refs = runIds
        .slice(from, from + 500)
        .map((runId) => ({ org: "default", runId, afterSeq: 0 }));
      for (const run of await store.loadRuns(refs)) {
        const until = run?.entries.find(({ meta }) => meta.until !== undefined)?.meta.until;
        const entry = run?.entries.find(({ type }) => type === "workflow.wait.resolved");
        if (until === undefined || entry === undefined) continue;
        at.push(entry.at);
        lags.push(entry.at - until);
      }
    }
  } finally {
    await store.close();
  }
  const ascending = (x: number, y: number): number => x - y;
  return { at: at.sort(ascending), lags: lags.sort(ascending) };
}

/** `signal.resume.p50`: from a signal to the step of a suspended run that waited for it. */
export async function benchSignal(bench: Bench): Promise<void> {
  if (!bench.wants("signal.resume.p50")) return;
  const store = await bench.createDatabase("sqlite");
  const server = await BenchServer.start({ store });
  const worker = new Child(join(import.meta.dirname, "product", "signal-worker.ts"));
  try {
    const { address } = server;
    await worker.call<SignalCommand, number[]>({ address, count: 30 });
    const count = bench.options.quick ? 100 : 300;
    const times = await worker.call<SignalCommand, number[]>({ address, count });
    const sorted = times.toSorted((x, y) => x - y);
    bench.add("signal.resume.p50", median(times), "ms");
    bench.add("signal.resume.p99", percentile(sorted, 99), "ms");
  } finally {
    await worker.kill();
    await server.child.kill();
    await bench.dropDatabase(store);
  }
}

/**
 * `wait.1m.ready`: how long a server takes to start over a million waiting runs in PostgreSQL, and
 * `wait.1m.lag.p99`: how late a thousand timers among them fire. It takes a minute or two, so it is
 * measured with --long or when it is asked for.
 */
export async function benchMillionWaits(bench: Bench): Promise<void> {
  if (!bench.wants("wait.1m.ready", "wait.1m.list.p50", "wait.1m.lag.p99")) return;
  if (!bench.options.long && !bench.options.only.startsWith("wait.1m")) {
    bench.leaveOut("wait.1m.*", "it takes minutes; use --long, or --only wait.1m.");
    return;
  }
  const store = await bench.createDatabase("postgres");
  const empty = await bench.createDatabase("postgres");
  try {
    const begun = Date.now();
    await makeSleepers(store, million, begun + 24 * hourMs);
    bench.progress(
      `wait.1m: ${million} runs made in ${Math.round((Date.now() - begun) / 1_000)} s`,
    );
    bench.add("wait.0.ready", await readyMs(empty), "ms");
    bench.add("wait.1m.ready", await readyMs(store), "ms");
    const base = Date.now() + 6_000;
    const moments = Array.from({ length: timersPerSecond }, (_, i) => base + i);
    const ids = await seedSleepers(store, moments);
    const server = await BenchServer.start({ store });
    await sleep(Math.max(0, base + 4_000 - Date.now()));
    bench.add("wait.1m.list.p50", await listMs(server.address), "ms");
    const mb = readResidentMb(server.pid);
    if (mb !== undefined) bench.add("wait.1m.rss", mb, "MB");
    await server.end();
    const { lags } = await readFired(store, ids);
    if (lags.length < ids.length) throw new Error(`Only ${lags.length} of ${ids.length} fired.`);
    bench.add("wait.1m.lag.p99", percentile(lags, 99), "ms");
  } finally {
    await bench.dropDatabase(store);
    await bench.dropDatabase(empty);
  }
}

/** The median time of a page of the oldest timers, and of the questions, of which there are none. */
async function listMs(address: string): Promise<number> {
  const wire = new Wire(address);
  const times: number[] = [];
  try {
    for (let n = 0; n < 50; n += 1) {
      const kinds = n % 2 === 0 ? [] : [WaitKind.USER];
      const begin = performance.now();
      await wire.call(WaitService.method.listWaits, { kinds, pageSize: 50 });
      times.push(performance.now() - begin);
    }
  } finally {
    wire.close();
  }
  return median(times);
}

/** The median of some starts, by the process's own clock; the first ones migrate and compile. */
async function readyMs(store: string): Promise<number> {
  const times: number[] = [];
  for (let n = 0; n < 4; n += 1) {
    const begin = performance.now();
    const server = await BenchServer.start({ store });
    times.push(performance.now() - begin);
    await server.end();
  }
  return median(times.slice(1));
}
