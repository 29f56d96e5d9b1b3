/** `claim.100k.ratio`: what it costs to get a run when very many wait. */
import type { Bench } from "./bench.ts";
import { type ClaimProbe, openClaimProbe, registerWorkflow, startRuns } from "./product/runs.ts";
import { BenchServer } from "./product/server.ts";
import { median } from "./stats.ts";
import { Wire } from "./wire.ts";

const few = 100;
const many = 100_000;
const claims = 50;

export async function benchClaims(bench: Bench): Promise<void> {
  if (!bench.wants("claim.100k.ratio")) return;
  if (bench.options.quick) {
    bench.notes.push("claim.100k.ratio is left out by --quick: it starts 100,000 runs.");
    return;
  }
  const store = await bench.createDatabase("sqlite");
  const server = await BenchServer.start({ store });
  const wire = new Wire(server.address);
  try {
    await registerWorkflow(wire);
    const probe = await openClaimProbe(wire);
    await startRuns(wire, few + claims);
    await measure(probe);
    await startRuns(wire, claims);
    const short = await measure(probe);
    bench.progress(`claims with ${few} queued: p50 ${short.toFixed(2)} ms; starting ${many} runs`);
    await startRuns(wire, many);
    const long = await measure(probe);
    bench.progress(`claims with ${many} queued: p50 ${long.toFixed(2)} ms`);
    bench.add("claim.100k.ratio", long / short, "ratio");
    bench.add("claim.100k.p50", long, "ms");
  } finally {
    wire.close();
    await server.child.kill();
    await bench.dropDatabase(store);
  }
}

/** The median time from a credit to the dispatch that uses it, one at a time. */
async function measure(probe: ClaimProbe): Promise<number> {
  const times: number[] = [];
  for (let n = 0; n < claims; n += 1) times.push(await probe.claim());
  return median(times);
}
