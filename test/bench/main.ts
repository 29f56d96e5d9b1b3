/**
 * `pnpm bench [--json] [--quick] [--long] [--only PREFIX]`: measures Pawl on this machine, and
 * beside it the bare pipe: the same wire and the same durable write, with no engine and no SDK.
 *
 * Results are held against their targets, but a slow machine is not an error: the exit code is 0
 * unless something breaks.
 */
import { readOptions } from "../harness/command-line.ts";
import { Bench } from "./bench.ts";
import { benchClaims } from "./claims.ts";
import { benchFlat } from "./flat.ts";
import { benchLanguages } from "./languages.ts";
import { benchLoop } from "./loop.ts";
import { benchMillion } from "./million.ts";
import { benchFirstStep, benchServerRestart, benchWorkerKill } from "./recovery.ts";
import { describeMachine, formatResults, round } from "./report.ts";
import { benchIdle, benchUnary } from "./small.ts";
import { benchSpeed } from "./speed.ts";
import { formatParts, formatSpent, formatSpentPerRun } from "./spent.ts";
import { benchMillionWaits, benchSignal, benchTimers, benchWaiting } from "./wait-bench.ts";
import { benchBacklog, benchDeltas, benchWatch, benchWatchReplica } from "./watch.ts";
import { benchChildren, benchWholeRuns } from "./whole-runs.ts";

const usage = `pnpm bench [--json] [--quick] [--long] [--only PREFIX]

  --json         print {machine, results: [{name, value, unit}], parts, leftOut} instead of tables
  --quick        shorter and fewer rounds: about 3 min instead of 15
  --long         also a million steps and a million waiting runs, which takes some minutes more
  --only PREFIX  only results whose names begin with this: steps.sqlite, recovery …`;

/** In this order: idle figures first, while the machine is quiet. */
const measurements = [
  benchIdle,
  benchSpeed,
  benchWholeRuns,
  benchChildren,
  benchLanguages,
  benchLoop,
  benchUnary,
  benchFirstStep,
  benchWorkerKill,
  benchServerRestart,
  benchFlat,
  benchClaims,
  benchSignal,
  benchTimers,
  benchWaiting,
  benchWatch,
  benchWatchReplica,
  benchDeltas,
  benchBacklog,
  benchMillion,
  benchMillionWaits,
];

const values = readOptions(usage, {
  json: { type: "boolean", default: false },
  quick: { type: "boolean", default: false },
  long: { type: "boolean", default: false },
  only: { type: "string", default: "" },
});
await run();

async function run(): Promise<void> {
  const begin = performance.now();
  const bench = await Bench.create(values);
  try {
    const machine = describeMachine(await bench.measureFsync());
    for (const measure of measurements) await attempt(bench, measure);
    const results = bench.results.map((result) => ({ ...result, value: round(result.value) }));
    if (values.json) {
      const { parts, leftOut } = bench;
      console.log(JSON.stringify({ machine, results, parts, leftOut }, undefined, 2));
      return;
    }
    const seconds = Math.round((performance.now() - begin) / 1000);
    const { cpu, cores, memoryMb, platform, node, fsyncMs } = machine;
    console.log(
      `\n${cores} × ${cpu}, ${memoryMb} MB, ${platform}, Node ${node}, fsync ${fsyncMs} ms; took ${seconds} s\n`,
    );
    console.log(formatResults(results, bench.measured));
    if (bench.spent.length > 0) console.log(`\n${formatSpent(bench.spent, cores)}`);
    if (bench.spentPerRun.length > 0) console.log(`\n${formatSpentPerRun(bench.spentPerRun)}`);
    if (bench.parts.length > 0) console.log(`\n${formatParts(bench.parts)}`);
    for (const note of bench.notes) console.log(`\n${note}`);
    for (const { name, why } of bench.leftOut) console.log(`\nLEFT OUT: ${name}: ${why}`);
  } finally {
    await bench.close();
  }
}

/** What breaks takes only its own results with it, and makes the exit code 1. */
async function attempt(bench: Bench, measure: (bench: Bench) => Promise<void>): Promise<void> {
  try {
    await measure(bench);
  } catch (error) {
    process.exitCode = 1;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    bench.progress(`${measure.name} broke: ${text}`);
    bench.leaveOut(`results of ${measure.name}`, `it broke: ${String(error)}`);
  }
}
