/** A worker and a client in one process: from a signal to the step that waited for it. */
import { setTimeout as sleep } from "node:timers/promises";
import { Client, Worker, workflow } from "@pawl/worker";
import { serveCommands } from "../child.ts";
import { workflowName } from "./bench-runs.ts";

export interface SignalCommand {
  /** `host:port`. */
  address: string;
  count: number;
}

/** When the step after the signal ran, by run id. */
const resumed = new Map<string, (at: number) => void>();

const waiting = workflow(workflowName, async (ctx) => {
  await ctx.signal("go");
  await ctx.step("after", () => resumed.get(ctx.runId)?.(performance.now()));
});

let parts: { client: Client; worker: Worker } | undefined;

async function start(address: string): Promise<Client> {
  if (parts !== undefined) return parts.client;
  const url = `http://${address}`;
  const worker = new Worker({ url, workflows: [waiting], slots: 10 });
  await worker.start();
  parts = { client: new Client({ url }), worker };
  return parts.client;
}

/** Suspended runs, one after the other: from the call of `signal` until the step's code runs, in ms. */
async function measure({ address, count }: SignalCommand): Promise<number[]> {
  const client = await start(address);
  const times: number[] = [];
  for (let n = 0; n < count; n += 1) {
    const run = await client.start(waiting, {});
    const ran = new Promise<number>((resolve) => resumed.set(run.runId, resolve));
    while ((await run.get()).status !== "waiting") await sleep(1);
    const begin = performance.now();
    await run.signal("go");
    times.push((await ran) - begin);
    await run.result();
    resumed.delete(run.runId);
  }
  return times;
}

serveCommands<SignalCommand, number[]>(measure);
