/**
 * Goal: in replay-always mode code is given every result by a replay, runs nothing twice, and shows at
 * once when it depends on something that is not on record.
 * Method: a real server and a worker in that mode.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type AnyWorkflow, Client, silentLogger, Worker, workflow } from "../src/index.ts";
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

async function within<T>(definition: AnyWorkflow, mode: "stream" | "poll", work: () => Promise<T>) {
  const worker = new Worker({
    ...{ url: server.grpcUrl, workflows: [definition], mode },
    ...{ logger: silentLogger, replay: "always" as const },
  });
  await worker.start();
  try {
    return await work();
  } finally {
    await worker.stop();
  }
}

test.each(["stream", "poll"] as const)("every result comes by a replay, by %s", async (mode) => {
  let executions = 0;
  const effects: string[] = [];
  const effect = (name: string) => () => effects.push(name);
  const steps = workflow(`steps-${mode}`, async (ctx) => {
    executions += 1;
    await ctx.step("a", effect("a"));
    await ctx.all({ b: (c) => c.step("b", effect("b")), c: (c) => c.step("c", effect("c")) });
    await ctx.sleep(20);
    await ctx.step("outer", (s) => s.step("inner", effect("inner")));
    return ctx.signal("go");
  });
  const result = await within(steps, mode, async () => {
    const run = await client.start(steps, undefined);
    await run.signal("go", "gone");
    return run.result({ timeout: "30 s" });
  });
  expect(result).toBe("gone");
  expect(effects.sort()).toEqual(["a", "b", "c", "inner"]);
  expect(executions).toBeGreaterThanOrEqual(5);
});

test("code that depends on something unrecorded pauses its run", async () => {
  let times = 0;
  const moody = workflow("moody", async (ctx) => {
    times += 1;
    await ctx.step(`mood ${times}`, () => times);
    return ctx.step("after", () => 1);
  });
  const info = await within(moody, "stream", async () => {
    const run = await client.start(moody, undefined);
    for (;;) {
      const { status: state, statusReason } = await run.get();
      if (state === "paused") return statusReason;
      if (state !== "running" && state !== "queued") return state;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });
  expect(info).toBe("non_determinism");
});
