import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type { Bench, StoreKind } from "./bench.ts";
import { type CpuTimes, hasCpuTimes, readIdleTimes, readNodeTimes, subtractTimes } from "./cpu.ts";
import type { StepRate } from "./step-meter.ts";

/** A round: how many steps, and which CPU time each cost. */
export interface Measured extends StepRate {
  stepsPerSecond: number;
  /** In µs per step. */
  cpu: CpuTimes;
  /** Which part of the machine other programs and the kernel took, 0 to 1; 0 where it is not known. */
  others: number;
  /** The server's event loop: p99 of how late it ran timers, in ms; 0 for the pipe. */
  loopDelayP99: number;
}

/** Runs the worker, reading CPU times when its warm-up ends and when its measurement ends. */
export async function measureSteps(
  bench: Bench,
  kind: StoreKind,
  serverPid: number,
  workerPid: number,
  times: { warmUpMs: number; measureMs: number },
  work: () => Promise<StepRate>,
  clientPid?: number,
): Promise<Measured> {
  const read = async () => ({
    at: performance.now(),
    times: {
      ...readNodeTimes(serverPid, "server"),
      ...(await bench.databaseTimes(kind)),
      ...readNodeTimes(workerPid, "worker"),
      ...(clientPid === undefined ? {} : readNodeTimes(clientPid, "client")),
      ...readIdleTimes(),
    },
  });
  const rating = work();
  // The readings are a moment off the worker's window; rates are what is compared, so that cancels.
  const readings = (async () => {
    await sleep(times.warmUpMs);
    const before = await read();
    await sleep(times.measureMs);
    return { before, after: await read() };
  })();
  const [rate, { before, after }] = await Promise.all([rating, readings]);
  const stepsPerSecond = (rate.steps / rate.ms) * 1000;
  const steps = (stepsPerSecond * (after.at - before.at)) / 1000;
  const used = subtractTimes(after.times, before.times);
  const cpu = Object.fromEntries(
    Object.entries(used).map(([name, ms]) => [name, (ms * 1000) / steps]),
  );
  const known = Object.values(used).reduce((sum, ms) => sum + ms, 0);
  const there = (after.at - before.at) * availableParallelism();
  const others = hasCpuTimes ? Math.max(0, 1 - known / there) : 0;
  return { ...rate, stepsPerSecond, cpu, others, loopDelayP99: 0 };
}
