import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import {
  Client,
  RequestError,
  RunFailedError,
  silentLogger,
  step,
  Worker,
  workflow,
} from "../src/index.ts";
import { TestServer } from "./support/test-server.ts";

let server: TestServer;
let client: Client;

beforeAll(async () => {
  server = await TestServer.start();
  client = new Client({ url: server.grpcUrl });
});

afterAll(async () => {
  client.close();
  await server.stop();
});

describe("a client", () => {
  let worker: Worker;
  const double = step("double", async (n: number) => n * 2);
  const quick = workflow(
    "quick",
    { input: z.object({ n: z.number() }), output: z.string() },
    async (_ctx, { n }) => `${await double(n)}`,
  );

  beforeAll(async () => {
    worker = new Worker({
      url: server.grpcUrl,
      workflows: [quick],
      workerId: "quick",
      queues: ["quick"],
      logger: silentLogger,
    });
    await worker.start();
  });
  afterAll(async () => {
    await worker.stop();
  });

  test("starts, lists, tags and deletes", async () => {
    const tags = { team: "blue" };
    const run = await client.start(quick, { n: 2 }, { queue: "quick", tags });
    expect(await run.result()).toBe("4");
    expect(await run.get()).toMatchObject({
      status: "completed",
      workflow: "quick",
      tags,
      attempt: 1,
    });
    await run.updateTags({ set: { seen: "yes" }, remove: ["team"] });
    const { runs } = await client.list({
      workflow: "quick",
      statuses: ["completed"],
      tags: { seen: "yes" },
    });
    expect(runs.map((info) => info.runId)).toEqual([run.runId]);
    expect(await client.workflows()).toContainEqual(
      expect.objectContaining({ name: "quick", servedBy: ["quick"] }),
    );
    expect((await client.workers()).find((info) => info.workerId === "quick")).toMatchObject({
      connected: true,
    });
    await run.delete();
    await expect(run.get()).rejects.toMatchObject({ reason: "NOT_FOUND" });
  });

  test("errors have reasons to branch on", async () => {
    await expect(client.start("nobody has this")).rejects.toMatchObject({
      reason: "NOT_FOUND",
      name: "RequestError",
    });
    await expect(client.start(quick, { n: "x" } as never)).rejects.toThrow(/fails its schema: n:/);
    await expect(client.start("quick", { n: "x" })).rejects.toMatchObject({
      reason: "INVALID_INPUT",
    });
    await client.start(quick, { n: 1 }, { runId: "taken", queue: "quick" });
    await expect(
      client.start(quick, { n: 2 }, { runId: "taken", queue: "quick" }),
    ).rejects.toMatchObject({ reason: "RUN_EXISTS" });
    await expect(client.handle("no such run").get()).rejects.toBeInstanceOf(RequestError);
    await expect(client.handle("missing").result()).rejects.toMatchObject({ reason: "NOT_FOUND" });
    const none = new Client({ url: "http://127.0.0.1:1", retryFor: 100 });
    await expect(none.list()).rejects.toMatchObject({ reason: "UNAVAILABLE" });
    none.close();
  });

  test("a result that takes too long is a deadline, not a failure", async () => {
    const run = await client.start(quick, { n: 1 }, { queue: "nobody serves this" });
    await expect(run.result({ timeout: 50 })).rejects.toMatchObject({
      reason: "DEADLINE_EXCEEDED",
    });
    await run.cancel();
  });

  test("execute runs here, and afterwards only tells", async () => {
    let executions = 0;
    const here = workflow("here", async (ctx, input: { n: number }) => {
      const a = await ctx.step("a", () => {
        executions += 1;
        return input.n;
      });
      await ctx.sleep(50);
      return a + (await ctx.child(quick, { n: 1 }, { queue: "quick" })).length;
    });
    expect(await client.execute(here, { n: 1 }, { runId: "here-1" })).toBe(2);
    expect(await client.execute(here, { n: 1 }, { runId: "here-1" })).toBe(2);
    expect(executions).toBe(1);
    const held = workflow("held", (ctx) => ctx.step("a", () => sleep(500, "ok")));
    const first = client.execute(held, undefined, { runId: "held-1" });
    await sleep(200);
    await expect(client.execute(held, undefined, { runId: "held-1" })).rejects.toMatchObject({
      reason: "RUN_LEASED",
    });
    expect(await first).toBe("ok");
    const fails = workflow("fails", async (ctx) =>
      ctx.step("a", () => Promise.reject(new Error("no"))),
    );
    await expect(client.execute(fails, undefined, { runId: "fails-1" })).rejects.toBeInstanceOf(
      RunFailedError,
    );
  });
});
