/**
 * Goal: hostile values hurt nothing but their own step, over the wire as well: the run ends, code
 * sees the same in a replay, and the worker continues.
 * Method: a real server and worker, by session and by plain calls; each run asks again after a wait
 * that gives it back.
 */
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Client, silentLogger, Worker, workflow } from "../src/index.ts";
import { hostile } from "./support/hostile.ts";
import { TestServer } from "./support/test-server.ts";

const unhandled: unknown[] = [];
const note = (error: unknown) => void unhandled.push(error);
let server: TestServer;

beforeAll(async () => {
  process.on("unhandledRejection", note);
  server = await TestServer.start();
});

afterAll(async () => {
  process.off("unhandledRejection", note);
  await server.stop();
});

async function told(work: () => Promise<unknown>): Promise<string> {
  try {
    return `result ${inspect(await work(), { depth: 8 })}`;
  } catch (error) {
    return `error ${String(error)}`;
  }
}

describe.each(["stream", "poll"] as const)("by %s", (mode) => {
  test("every value ends its run, and is the same in a replay", async () => {
    const seen = new Map<string, string[]>();
    const all = workflow(`hostile-${mode}`, async (ctx, name: string) => {
      const make = hostile[name] ?? (() => undefined);
      const lives = seen.get(name) ?? [];
      seen.set(name, lives);

      const texts = [
        await told(() => ctx.step("returned", () => [make()])),
        await told(() => ctx.step("thrown", () => Promise.reject(make()))),
        await told(() =>
          ctx.step("yielded", async function* () {
            yield make() as string;
          }),
        ),
        await told(() => ctx.step("given", (x: unknown) => typeof x, [make()])),
      ];
      lives.push(texts.join("\n"));
      await ctx.sleep("3 s");
      ctx.compensate("undo", () => Promise.reject(make()));
      throw make();
    });
    const worker = new Worker({
      workflows: [all],
      url: server.grpcUrl,
      mode,
      logger: silentLogger,
    });
    await worker.start();
    const client = new Client({ url: server.grpcUrl });
    const runs = await Promise.all(
      Object.keys(hostile).map(async (name) => ({ name, run: await client.start(all, name) })),
    );
    for (const { name, run } of runs) {
      const error = await run.result({ timeout: "40 s" }).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error, name).toMatchObject({ name: "RunFailedError", status: "failed" });
      const lives = seen.get(name) ?? [];
      for (const life of lives) expect(life, name).toBe(lives[0]);
    }
    // On a slow machine some may not have been given back for what was left of the wait.
    expect([...seen.values()].flat().length).toBeGreaterThan(runs.length);
    expect(await client.workers()).toContainEqual(
      expect.objectContaining({ connected: true, workflows: [all.workflowName] }),
    );
    await worker.stop();
    client.close();
    expect(unhandled).toEqual([]);
  });
});
