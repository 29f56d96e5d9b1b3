/** Simulates worlds, seed after seed, until the time is up or one is wrong. */
import { readNumber, readOptions } from "../harness/command-line.ts";
import { Coverage } from "./coverage.ts";
import { findMutants } from "./mutants.ts";
import { simulate } from "./universe.ts";
import { Digest, realMs } from "./world.ts";

/** How long the simulation may take to find a mutant, in seconds of a processor. */
const MUTANT_SECONDS = 60;

const help = `pnpm simulate [--seed N] [--seconds N] [--worlds N] [--trace] [--coverage]
pnpm simulate --mutants

Simulates servers, workers and clients in virtual time, world after world, until the time is up or one is
wrong.

  --seed N         of the first world; each world adds one. Default: a random one
  --seconds N      for how long; default: 30
  --cpu-seconds N  the same in time of a processor, for a machine that others use as well
  --worlds N       only this many worlds; their digest is the same each time
  --trace          one world, with everything that happens in it
  --coverage       also print how much of engine/decide the worlds executed
  --mutants        prove that it finds faults: take out each fix in mutants/ again`;

const values = readOptions(help, {
  seed: { type: "string" },
  seconds: { type: "string", default: "30" },
  "cpu-seconds": { type: "string" },
  worlds: { type: "string" },
  trace: { type: "boolean", default: false },
  mutants: { type: "boolean", default: false },
  coverage: { type: "boolean", default: false },
});

const seconds = readNumber("seconds", values.seconds);
/** Instead of the real time, for a machine that others use as well. */
const cpuSeconds =
  values["cpu-seconds"] === undefined
    ? undefined
    : readNumber("cpu-seconds", values["cpu-seconds"]);
const first =
  values.seed === undefined
    ? Math.floor(Math.random() * 1_000_000_000)
    : readNumber("seed", values.seed);
const worldsMax =
  values.worlds === undefined ? Number.POSITIVE_INFINITY : readNumber("worlds", values.worlds, 1);
if (values.mutants) process.exitCode = (await findMutants(first, MUTANT_SECONDS)) ? 0 : 1;
else {
  const coverage = values.coverage ? await Coverage.start() : undefined;
  process.exitCode = (await simulateFrom(first, seconds)) ? 0 : 1;
  for (const line of (await coverage?.report("server/src/engine/decide/")) ?? []) console.log(line);
}
// What was under way in the worlds still is.
process.exit();

/** @returns whether nothing was wrong in any of the worlds */
async function simulateFrom(first: number, seconds: number): Promise<boolean> {
  const endMs = realMs() + seconds * 1_000;
  const isOver = (): boolean =>
    cpuSeconds === undefined ? realMs() >= endMs : cpuUsed() >= cpuSeconds;
  const totals = { worlds: 0, runs: 0, commands: 0, events: 0, faults: 0 };
  console.log(`Simulating from seed ${first}.`);
  process.on("unhandledRejection", (error) => {
    const said = error instanceof Error ? error.stack : String(error);
    tell(first + totals.worlds, [`an unhandled rejection: ${said}`]);
    process.exit(1);
  });
  let isRight = true;
  const together = new Digest();
  for (let seed = first; isRight && !isOver() && totals.worlds < worldsMax; seed += 1) {
    const { violations, digest, ...outcome } = await simulate(
      seed,
      values.trace ? console.log : undefined,
    );
    totals.worlds += 1;
    totals.runs += outcome.runs;
    totals.commands += outcome.commands;
    totals.events += outcome.events;
    totals.faults += outcome.faults;
    together.addText(digest);
    isRight = violations.length === 0;
    if (!isRight) tell(seed, violations);
    if (values.trace) break;
  }
  const { worlds, runs, commands, events, faults } = totals;
  console.log(
    `${worlds} worlds, ${runs} runs, ${commands} commands, ${faults} faults, ${events} events in ${cpuUsed().toFixed(1)} s of a processor; digest ${together}.`,
  );
  return isRight;
}

/** What this process has used so far, in seconds. */
function cpuUsed(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000_000;
}

function tell(seed: number, violations: readonly string[]): void {
  console.log(`seed ${seed}: ${violations.length} violations`);
  for (const violation of violations) console.log(`  ${violation}`);
  console.log(`Again, with all that happened: pnpm simulate --seed ${seed} --trace`);
}
