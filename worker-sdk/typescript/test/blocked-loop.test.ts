/**
 * Goal: a step that keeps the event loop busy, right after its run came, is executed once; the log
 * says so; and a client in the same process gets its result.
 * Method: a real server, and a worker in this process whose steps compute for longer than the server
 * waits for the acknowledgement of a dispatch (3 s).
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Client, type Logger, silentLogger, Worker, workflow } from "../src/index.ts";
import { TestServer } from "./support/test-server.ts";

const blockMs = 3_600;
let server: TestServer;
const executed: string[] = [];

function compute(name: string): string {
  executed.push(name);
  const end = performance.now() + blockMs;
  while (performance.now() < end);
  return name;
}

const busy = workflow("busy", async (ctx) => {
  const first = await ctx.step("parse", () => compute("parse"));
  await ctx.signal("go");
  return [first, await ctx.step("render", () => compute("render"))];
});

beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

test("after a dispatch and after a wake-up", async () => {
  const lines: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (message) => void lines.push(message) };
  const worker = new Worker({ url: server.grpcUrl, workflows: [busy], logger });
  const client = new Client({ url: server.grpcUrl });
  await worker.start();
  try {
    const run = await client.start(busy, undefined);
    const result = run.result();
    while ((await run.get()).status !== "waiting") await new Promise((r) => setTimeout(r, 100));
    await run.signal("go", 1);
    expect(await result).toEqual(["parse", "render"]);
    expect(executed).toEqual(["parse", "render"]);
    const told = lines.filter((line) => line.startsWith("the event loop was blocked for "));
    expect(
      told.some((line) =>
        /^the event loop was blocked for 3[5-9]\d\d|[4-9]\d{3} ms \(step parse\)$/.test(line),
      ),
      lines.join("\n"),
    ).toBe(true);
    expect(told.join(), lines.join("\n")).toContain("(step render)");
  } finally {
    await worker.stop();
    client.close();
  }
});
