/** Steps per second and time per step, of the product and of the bare pipe in turns. */
import type { Bench, StoreKind } from "./bench.ts";
import { othersMax, storeKinds } from "./bench.ts";
import type { Measured } from "./measure.ts";
import { measurePipe } from "./pipe/measure.ts";
import { measureProduct, type WorkerScript } from "./product/measure.ts";
import { median } from "./stats.ts";

interface Times {
  warmUpMs: number;
  measureMs: number;
}

type Round = (
  kind: StoreKind,
  runs: number,
  previous: ReadonlyMap<string, Measured[]>,
) => Promise<Measured>;

/**
 * `pipe.*`: no engine and no SDK. `steps.*`: the product. `bare.*`: the real server, with a worker
 * that has no SDK; what lies between it and `steps.*` is the SDK's.
 */
export async function benchSpeed(bench: Bench): Promise<void> {
  const { quick } = bench.options;
  // Both are measured warm: V8 has more to compile of the product than of the pipe, some 5 s long.
  const times = quick
    ? { warmUpMs: 2_500, measureMs: 2_000 }
    : { warmUpMs: 5_000, measureMs: 3_000 };
  const sides: Record<string, Round> = {
    pipe: (kind, runs) => measurePipe(bench, kind, runs, times),
    steps: product(bench, "sdk-worker.ts", times),
    ...(quick ? {} : { bare: product(bench, "bare-worker.ts", times) }),
  };
  if (quick && bench.wants("bare."))
    bench.leaveOut("bare.*", "--quick was given, and it only explains steps.*.");
  for (const runs of [64, 256, 1]) {
    const rounds = quick ? 1 : runs === 64 ? 3 : 2;
    for (const kind of storeKinds) {
      const suffix = runs === 1 ? `${kind}.c1.p50` : `${kind}.c${runs}`;
      if (!bench.wants(...Object.keys(sides).map((side) => `${side}.${suffix}`))) continue;
      await compare(bench, sides, kind, runs, rounds, suffix);
    }
  }
}

/** Rounds of the real server with one of our workers. */
function product(bench: Bench, worker: WorkerScript, times: Times): Round {
  return async (kind, runs, previous) => {
    // More than even the pipe would need, so that the queue never runs dry.
    const pipe = median((previous.get("pipe") ?? []).map((round) => round.stepsPerSecond));
    const seconds = (times.warmUpMs + times.measureMs) / 1000;
    const steps = runs === 1 ? 1_000_000 : 10;
    const queued = runs === 1 ? 1 : Math.ceil((1.2 * pipe * seconds) / steps);
    return measureProduct(bench, kind, { ...times, worker, slots: runs, queued, steps });
  };
}

/** How often a disturbed round is measured again in all, so that the bench comes to an end. */
const repeatsMax = 6;

/** A B A B, so that a slow moment of the machine falls on both. */
async function compare(
  bench: Bench,
  sides: Readonly<Record<string, Round>>,
  kind: StoreKind,
  runs: number,
  rounds: number,
  suffix: string,
): Promise<void> {
  const measured = new Map<string, Measured[]>();
  for (let round = 1; round <= rounds; round += 1) {
    for (const [side, measure] of Object.entries(sides)) {
      // What the SDK costs needs no more than an impression.
      if (side === "bare" && (round > 1 || runs === 256)) continue;
      const what = `${side}.${suffix} round ${round}/${rounds}`;
      let result = await measure(kind, runs, measured);
      report(bench, what, result);
      if (result.others > othersMax && bench.repeats < repeatsMax) {
        bench.repeats += 1;
        const again = await measure(kind, runs, measured);
        report(bench, `${what} again`, again);
        if (again.others < result.others) result = again;
      }
      measured.set(side, [...(measured.get(side) ?? []), result]);
      if (side === "steps" && runs > 1) bench.loopDelays.push(result.loopDelayP99);
    }
  }
  for (const [side, all] of measured) {
    const stepsPerSecond = median(all.map((result) => result.stepsPerSecond));
    if (runs === 1) {
      bench.add(`${side}.${suffix}`, median(all.map((result) => result.p50)), "ms");
    } else bench.add(`${side}.${suffix}`, stepsPerSecond, "steps/s");
    bench.noteOthers(`${side}.${suffix}`, median(all.map((result) => result.others)));
    const names = Object.keys(all[0]?.cpu ?? {});
    const cpu = names.map((name) => [name, median(all.map((result) => result.cpu[name] ?? 0))]);
    bench.spent.push({ name: `${side}.${suffix}`, stepsPerSecond, cpu: Object.fromEntries(cpu) });
  }
}

function report(bench: Bench, what: string, { stepsPerSecond, p50, p99, others }: Measured): void {
  const busy = others > othersMax ? `, others took ${Math.round(others * 100)} % of the CPU` : "";
  bench.progress(
    `${what}: ${Math.round(stepsPerSecond)} steps/s, ` +
      `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms${busy}`,
  );
}
