import { join } from "node:path";
import type { Bench, StoreKind } from "../bench.ts";
import { Child } from "../child.ts";
import { type Measured, measureSteps } from "../measure.ts";
import type { StepRate } from "../step-meter.ts";
import type { PipeServerCommand } from "./server.ts";
import type { PipeWorkerCommand } from "./worker.ts";

/**
 * One round of the bare pipe, in fresh processes and on an empty database.
 *
 * @param runs how many at the same time.
 */
export async function measurePipe(
  bench: Bench,
  kind: StoreKind,
  runs: number,
  times: { warmUpMs: number; measureMs: number },
): Promise<Measured> {
  const url = await bench.createDatabase(kind);
  const server = new Child(join(import.meta.dirname, "server.ts"), { env: { PIPE_STORE: url } });
  const worker = new Child(join(import.meta.dirname, "worker.ts"));
  try {
    const address = await server.call<PipeServerCommand, string>({ kind: "address" });
    return await measureSteps(bench, kind, server.pid, worker.pid, times, () =>
      worker.call<PipeWorkerCommand, StepRate>({ address, runs, ...times }),
    );
  } finally {
    await worker.kill();
    await server.kill();
    await bench.dropDatabase(url);
  }
}
