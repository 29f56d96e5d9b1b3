/** Simulates the worlds of some seeds again after others, in this process, and says whether they are the same. */
import { scaled } from "../harness/scale.ts";
import { simulate } from "./universe.ts";

const seeds = scaled([11, 12, 13, 11, 13, 12], [11, 12, 11]);
const seen = new Map<number, string>();
const differences: string[] = [];
for (const seed of seeds) {
  const { digest, commands, runs, events, violations } = await simulate(seed);
  const outcome = JSON.stringify({ digest, commands, runs, events, violations });
  const before = seen.get(seed) ?? outcome;
  if (before !== outcome) differences.push(`seed ${seed}: first ${before}, then ${outcome}`);
  seen.set(seed, outcome);
}
console.log(differences.length === 0 ? "the same" : differences.join("\n"));
// What was under way in the worlds still is.
process.exit();
