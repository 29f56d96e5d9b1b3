/**
 * Simulates worlds, seed after seed, until the time is up or one is wrong.
 *
 *   pnpm simulate --seed 1 --seconds 60      from this seed on; without one, a seed of its own
 *   pnpm simulate --seed 1 --trace           one world, with everything that happens in it
 */
import { parseArgs } from "node:util";
import { simulate } from "./universe.ts";
import { realMs } from "./world.ts";

const { values } = parseArgs({
  args: process.argv.slice(2).filter((arg) => arg !== "--"),
  options: {
    seed: { type: "string" },
    seconds: { type: "string", default: "30" },
    trace: { type: "boolean", default: false },
  },
});

const first =
  values.seed === undefined ? Math.floor(Math.random() * 1_000_000_000) : Number(values.seed);
const endMs = realMs() + Number(values.seconds) * 1_000;
const totals = { worlds: 0, runs: 0, commands: 0, events: 0, faults: 0 };
console.log(`Simulating from seed ${first}.`);
process.on("unhandledRejection", (error) => {
  console.log(
    `seed ${first + totals.worlds}: an unhandled rejection: ${error instanceof Error ? error.stack : String(error)}`,
  );
  process.exit(1);
});
for (let seed = first; realMs() < endMs; seed += 1) {
  const { violations, ...outcome } = await simulate(seed, values.trace ? console.log : undefined);
  totals.worlds += 1;
  totals.runs += outcome.runs;
  totals.commands += outcome.commands;
  totals.events += outcome.events;
  totals.faults += outcome.faults;
  if (violations.length > 0) {
    console.log(`seed ${seed}: ${violations.length} violations`);
    for (const violation of violations) console.log(`  ${violation}`);
    console.log(`Again, with all that happened: pnpm simulate --seed ${seed} --trace`);
    process.exitCode = 1;
    break;
  }
  if (values.trace) break;
}
const { worlds, runs, commands, events, faults } = totals;
console.log(
  `${worlds} worlds, ${runs} runs, ${commands} commands, ${faults} faults, ${events} events.`,
);
process.exit();
