/**
 * Goal: a replay hands the URL of a callback to the code where the first execution did, however the code
 * joins it with what happens beside it.
 * Method: workers of this process on a real server; many runs at once, each of which opens a callback beside
 * a step, continues by what came first, and is replayed after a wait.
 */
import { Client, silentLogger, Worker, workflow } from "@pawl/worker";
import { expect, test } from "vitest";
import { startServer } from "../harness/server.ts";

const RUNS = 150;
const first = new Map<string, string>();

const both = workflow("both", async (ctx) => {
  const order: string[] = [];
  const note = (what: string) => () => order.push(what);
  await Promise.all([
    ctx.callback("c").then(note("callback")),
    ctx.step("s", () => 1).then(note("step")),
    ctx.step("t", () => 2).then(note("other")),
  ]);
  const came = order.join();
  if (!first.has(ctx.runId)) first.set(ctx.runId, came);
  await ctx.step(`after ${order[0]}`, () => 0);
  await ctx.signal("go");
  return came;
});

test("the URL of a callback comes at its place in a replay", async () => {
  const server = await startServer();
  const url = server.grpcUrl;
  const worker = new Worker({ url, workflows: [both], slots: RUNS, logger: silentLogger });
  await worker.start();
  const client = new Client({ url });
  try {
    const runs = await Promise.all(
      Array.from({ length: RUNS }, () => client.start(both, undefined)),
    );
    for (const run of runs)
      await expect.poll(async () => (await run.get()).status, { timeout: 60_000 }).toBe("waiting");
    for (const run of runs) await run.signal("go");
    for (const run of runs) expect(await run.result()).toBe(first.get(run.runId));
  } finally {
    client.close();
    await worker.stop();
    await server.stop();
  }
});
