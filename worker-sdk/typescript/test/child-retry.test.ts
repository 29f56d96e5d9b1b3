/**
 * Goal: a parent that is retried continues with the child that failed, from its failed step.
 * Method: a real server, and children whose second step fails until it is put right.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  Client,
  type Context,
  silentLogger,
  TerminalError,
  Worker,
  workflow,
} from "../src/index.ts";
import { TestServer } from "./support/test-server.ts";

let server: TestServer;
const effects: string[] = [];
const broken = new Set<string>();

const kid = workflow("kid", async (ctx, name: string) => {
  await ctx.step("one", () => effects.push(`${name} one`));
  await ctx.step("two", () => {
    effects.push(`${name} two`);
    if (broken.has(name)) throw new TerminalError("not yet");
  });
  return name;
});
const ways = {
  child: (ctx: Context, name: string) => ctx.child(kid, name),
  spawn: async (ctx: Context, name: string) => (await ctx.spawn(kid, name)).result(),
  "own id": (ctx: Context, name: string) => ctx.child(kid, name, { runId: `${ctx.runId}-kid` }),
};
const parents = Object.entries(ways).map(([name, way]) =>
  workflow(name, async (ctx) => way(ctx, name)),
);

beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

test("with ctx.child, ctx.spawn and ids of one's own", async () => {
  const workflows = [kid, ...parents];
  const worker = new Worker({ url: server.grpcUrl, workflows, logger: silentLogger });
  const client = new Client({ url: server.grpcUrl });
  await worker.start();
  try {
    for (const name of Object.keys(ways)) {
      broken.add(name);
      const run = await client.start(name, undefined);
      await expect(run.result({ timeout: "20 s" })).rejects.toThrow("not yet");
      broken.delete(name);
      await run.retry();
      expect(await run.result({ timeout: "20 s" })).toBe(name);
      expect(effects.splice(0)).toEqual([`${name} one`, `${name} two`, `${name} two`]);
    }
  } finally {
    await worker.stop();
    client.close();
  }
});
