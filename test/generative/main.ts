/** Generative conformance: programs by a seed, in every SDK, while things go wrong. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { foundSdks } from "../conformance/sdks.ts";
import { readNumber, readOptions } from "../harness/command-line.ts";
import { type Kept, keep, keptFolder, smaller } from "./kept.ts";
import { Processes } from "./processes.ts";
import type { Spec } from "./program.ts";
import { type Failure, planRound, playRound, type RoundPlan } from "./round.ts";

const help = `pnpm fuzz [--seed N] [--rounds N] [--seconds N] [--size N] [--sdks LIST] [--poll]
pnpm fuzz --kept FILE

Generates workflow programs by a seed, executes them in every SDK while things go wrong, and compares the
outcome with a model. Ends with code 1 at the first failure, which it makes smaller and keeps in kept/.

  --seed N      of the first round; each round adds one. Default: a random one
  --rounds N    how many rounds; default: 1
  --seconds N   instead of a count: rounds until the time is up
  --size N      how large the programs are; default: 5
  --sdks LIST   only these, such as python,go
  --poll        all workers poll, and not only some
  --minimize N  seconds in which a failure is made smaller; default: 45
  --kept FILE   only this program of kept/`;

const values = readOptions(help, {
  seed: { type: "string" },
  rounds: { type: "string" },
  seconds: { type: "string" },
  size: { type: "string", default: "5" },
  sdks: { type: "string" },
  poll: { type: "boolean", default: false },
  kept: { type: "string" },
  minimize: { type: "string", default: "45" },
});

const begin = performance.now();
const wanted = values.sdks?.split(",");
const sdks = foundSdks().filter(({ name }) => wanted === undefined || wanted.includes(name));
const first =
  values.seed === undefined ? Math.floor(Math.random() * 1e9) : readNumber("seed", values.seed);
const seconds = values.seconds === undefined ? undefined : readNumber("seconds", values.seconds, 1);
const roundsDefault = seconds === undefined ? 1 : Number.MAX_SAFE_INTEGER;
const rounds = values.rounds === undefined ? roundsDefault : readNumber("rounds", values.rounds, 1);
const endMs = begin + (seconds ?? Number.MAX_SAFE_INTEGER) * 1_000;
const size = readNumber("size", values.size, 1);
const minimizeMs = readNumber("minimize", values.minimize) * 1_000;
console.log(`Programs in ${sdks.map(({ name }) => name).join(", ")}.`);

function tell({ sdk, mode, problems, journal, spec }: Failure): void {
  console.log(`  ${sdk}, ${mode}:`);
  for (const problem of problems) console.log(`    ${problem}`);
  console.log(`    journal:\n      ${journal.join("\n      ")}`);
  console.log(`    ${JSON.stringify(spec)}`);
}

/** Makes a failure smaller as long as it still is one, and keeps it. */
async function minimize(seed: number, plan: RoundPlan, failure: Failure): Promise<string> {
  const until = performance.now() + minimizeMs;
  const own = sdks.filter(({ name }) => name === failure.sdk);
  const again = async (spec: Spec): Promise<Failure | undefined> => {
    const one = { specs: [spec], modes: [failure.mode], faults: plan.faults };
    return (await playRound(one, own, processes, { replay: true }))[0];
  };
  let least = failure;
  for (let found = true; found; ) {
    found = false;
    for (const spec of smaller(least.spec)) {
      if (performance.now() > until) break;
      const failed = await again(spec);
      if (failed === undefined) continue;
      least = failed;
      found = true;
      break;
    }
  }
  return await keep(seed, plan.faults, least);
}

async function playSeed(seed: number): Promise<boolean> {
  const at = performance.now();
  const plan = planRound(seed, sdks, size, values.poll);
  const failures = await playRound(plan, sdks, processes, { replay: true });
  const seconds = ((performance.now() - at) / 1_000).toFixed(1);
  const faults = plan.faults.map(({ what }) => what).join(", ") || "no faults";
  console.log(`seed ${seed}: ${plan.specs.length * sdks.length} runs, ${faults}, ${seconds} s`);
  for (const failure of failures) tell(failure);
  const [worst] = failures;
  if (worst === undefined) return true;
  console.log(`${failures.length} runs are wrong. Again: pnpm fuzz --seed ${seed}`);
  if (minimizeMs > 0) {
    console.log(`Kept as test/generative/kept/${await minimize(seed, plan, worst)}.`);
  }
  return false;
}

async function playKept(file: string): Promise<boolean> {
  const kept = JSON.parse(await readFile(join(keptFolder, file), "utf8")) as Kept;
  const own = foundSdks().filter(({ name }) => name === kept.sdk);
  const plan = { specs: [kept.spec], modes: [kept.mode], faults: kept.faults };
  const failures = await playRound(plan, own, processes, { replay: true });
  for (const failure of failures) tell(failure);
  console.log(`${file}: ${failures.length === 0 ? "right" : "wrong"}`);
  return failures.length === 0;
}

const processes = await Processes.start();
try {
  for (let seed = first; seed < first + rounds && performance.now() < endMs; seed += 1) {
    const isRight = values.kept === undefined ? await playSeed(seed) : await playKept(values.kept);
    if (!isRight) process.exitCode = 1;
    if (!isRight || values.kept !== undefined) break;
  }
} finally {
  await processes.stop();
}
process.exit();
