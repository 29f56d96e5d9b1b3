/** A worker as a user writes it, with `@pawl/worker`: runs of some steps, one after the other. */
import { setTimeout as sleep } from "node:timers/promises";
import { Worker, workflow } from "@pawl/worker";
import { serveCommands } from "../child.ts";
import { output } from "../payload.ts";
import { StepMeter, type StepRate } from "../step-meter.ts";
import { workflowName } from "./bench-runs.ts";
import type { WorkerCommand } from "./measure.ts";

const steps = Number(process.env.BENCH_STEPS ?? "10");
let meter: StepMeter | undefined;

const bench = workflow(workflowName, async (ctx) => {
  for (let n = 1; n <= steps; n += 1) {
    const begin = performance.now();
    await ctx.step(`step-${n}`, () => output);
    meter?.count(begin);
  }
  return output;
});

let worker: Worker | undefined;

/** Works from the first command on; measures at each. */
async function measure(command: WorkerCommand): Promise<StepRate> {
  const { address, slots, warmUpMs, measureMs } = command;
  if (worker === undefined) {
    worker = new Worker({ url: `http://${address}`, workflows: [bench], slots });
    await worker.start();
  }
  meter = new StepMeter(warmUpMs, measureMs);
  meter.begin();
  await sleep(warmUpMs + measureMs);
  return meter.result();
}

serveCommands<WorkerCommand, StepRate>(measure);
