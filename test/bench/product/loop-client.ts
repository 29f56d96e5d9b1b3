/**
 * A client as a user writes it, with `@pawl/worker`, in a process of its own: it starts a run, waits
 * for its result, and starts the next one; some at the same time.
 */
import { Client } from "@pawl/worker";
import { serveCommands } from "../child.ts";
import { StepMeter, type StepRate } from "../step-meter.ts";
import { workflowName } from "./bench-runs.ts";

export interface ClientCommand {
  /** `host:port`. */
  address: string;
  /** How many runs at the same time. */
  runs: number;
  warmUpMs: number;
  measureMs: number;
}

/** Here a "step" of the rate is a whole run, from the call of `run` to its result. */
async function measure({ address, runs, ...times }: ClientCommand): Promise<StepRate> {
  const client = new Client({ url: `http://${address}` });
  const meter = new StepMeter(times.warmUpMs, times.measureMs);
  meter.begin();
  const loop = async () => {
    while (!meter.isOver) {
      const begin = performance.now();
      await client.run(workflowName, {});
      meter.count(begin);
    }
  };
  await Promise.all(Array.from({ length: runs }, loop));
  client.close();
  return meter.result();
}

serveCommands<ClientCommand, StepRate>(measure);
