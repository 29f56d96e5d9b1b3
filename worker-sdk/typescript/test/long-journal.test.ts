/**
 * Goal: a run with more on record than its worker keeps in memory is replayed all the same.
 * Method: results of some 12 MB in all, of steps one after the other and concurrently; the run fails
 * at its end, and its retry has to read them again.
 */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  Client,
  type Context,
  silentLogger,
  TerminalError,
  Worker,
  workflow,
} from "../src/index.ts";
import { limits } from "../src/limits.ts";
import { TestServer } from "./support/test-server.ts";

const steps = 100;
const branches = 10;
const stepsPerBranch = 10;
const bytes = 60_000;

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(async () => {
  await server.stop();
});

test("results that do not fit into a worker's memory come back in their order", async () => {
  let executed = 0;
  let failing = true;
  const text = (name: string): string => {
    executed += 1;
    return `${name} `.repeat(bytes / (name.length + 1));
  };
  const long = workflow("long", async (ctx: Context) => {
    const hash = createHash("sha256");
    for (let i = 0; i < steps; i += 1) hash.update(await ctx.step("one", () => text(`one-${i}`)));
    const order: string[] = [];
    const indices = Array.from({ length: branches }, (_, i) => i);
    await ctx.map("side", indices, async (i, inner) => {
      for (let n = 0; n < stepsPerBranch; n += 1) {
        const result = await inner.step("two", () => text(`two-${i}-${n}`));
        order.push(result.slice(0, 8));
        hash.update(result);
      }
    });
    if (failing) {
      failing = false;
      throw new TerminalError("on purpose");
    }
    return { digest: hash.digest("hex"), order };
  });
  const client = new Client({ url: server.grpcUrl, logger: silentLogger });
  const worker = new Worker({ url: server.grpcUrl, workflows: [long], logger: silentLogger });
  try {
    await worker.start();
    const run = await client.start(long, undefined);
    await expect(run.result({ timeout: "40 s" })).rejects.toThrow("on purpose");
    const count = steps + branches * stepsPerBranch;
    expect(count * bytes).toBeGreaterThan(2 * limits.memoPayloadBytesMax);
    expect(executed).toBe(count);
    const names: string[] = [];
    const hash = createHash("sha256");
    for await (const entry of run.journal()) {
      if (entry.type !== "workflow.step.completed") continue;
      const result = String(entry.payload);
      hash.update(result);
      if (result.startsWith("two")) names.push(result.slice(0, 8));
    }
    await run.retry();
    // What user code sees, and in which order, is what the journal says.
    const digest = hash.digest("hex");
    expect(await run.result({ timeout: "40 s" })).toEqual({ digest, order: names });
    expect(executed).toBe(count);
  } finally {
    await worker.stop();
    client.close();
  }
});
