/**
 * `claim.100k.ratio`: what it costs to get a run when very many wait, of the embedded store;
 * `claim.100k.postgres.ratio`: of PostgreSQL.
 */
import { type Bench, type StoreKind, storeKinds } from "./bench.ts";
import {
  type ClaimProbe,
  openClaimProbe,
  registerWorkflow,
  startRuns,
} from "./product/bench-runs.ts";
import { BenchServer } from "./product/server.ts";
import { median } from "./stats.ts";
import { Wire } from "./wire.ts";

const few = 100;
const many = 100_000;
const claims = 50;

export async function benchClaims(bench: Bench): Promise<void> {
  for (const kind of storeKinds) {
    const prefix = kind === "sqlite" ? "claim.100k" : `claim.100k.${kind}`;
    const name = `${prefix}.ratio`;
    if (!bench.wants(name)) continue;
    if (bench.options.quick) {
      bench.leaveOut(name, "--quick was given, and it starts 100,000 runs.");
    } else await measureStore(bench, kind, prefix);
  }
}

async function measureStore(bench: Bench, kind: StoreKind, prefix: string): Promise<void> {
  const store = await bench.createDatabase(kind);
  const server = await BenchServer.start({ store });
  const wire = new Wire(server.address);
  try {
    await registerWorkflow(wire);
    const probe = await openClaimProbe(wire);
    await startRuns(wire, few + claims);
    await measure(probe);
    await startRuns(wire, claims);
    const short = await measure(probe);
    bench.progress(
      `${kind}: claims with ${few} queued: p50 ${short.toFixed(2)} ms; starting ${many} runs`,
    );
    await startRuns(wire, many);
    const long = await measure(probe);
    bench.progress(`${kind}: claims with ${many} queued: p50 ${long.toFixed(2)} ms`);
    bench.add(`${prefix}.ratio`, long / short, "ratio");
    bench.add(`${prefix}.p50`, long, "ms");
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
