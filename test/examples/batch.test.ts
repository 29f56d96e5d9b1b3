/**
 * Goal: a batch survives its worker, keeps its bounds, reports what failed, and takes its items with
 * it when it is cancelled.
 * Method: the example's worker is killed with SIGKILL in the middle; children are counted while it runs.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { batch } from "@pawl/examples/batch/workflow.ts";
import type { Client } from "@pawl/worker";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sleep, stores } from "../semantics/lab.ts";
import { ExampleStage } from "./stage.ts";

describe.each(stores)("%s", (store) => {
  let stage: ExampleStage;
  let client: Client;
  let dir: string;
  beforeAll(async () => {
    stage = await ExampleStage.set(store, "batch");
    ({ client, dir } = stage);
  });
  afterAll(() => stage[Symbol.asyncDispose]());

  const resized = async (): Promise<string[]> =>
    (await readFile(join(dir, "resized.txt"), "utf8").catch(() => "")).split("\n").slice(0, -1);

  test("some fail, the worker is killed, and each of the others is done", async () => {
    const first = await stage.worker("first");
    const pictures = Array.from({ length: 10 }, (_, i) => ({
      name: `p${i}`,
      bytes: i % 4 === 1 ? 0 : 400,
    }));
    const run = await client.start(batch, { pictures, dir, paceMs: 200, concurrency: 3 });
    let most = 0;
    while ((await resized()).length < 2) {
      const { runs } = await client.list({ parentRunId: run.runId });
      most = Math.max(most, runs.filter(({ status }) => !status.startsWith("COMP")).length);
      await sleep(30);
    }
    await first.kill("SIGKILL");
    await stage.worker("second");
    expect(await run.result({ timeout: "40 s" })).toEqual({
      resized: 7,
      bytes: 700,
      failed: ["p1", "p5", "p9"].map((name) => ({ name, problem: `${name} is empty` })),
    });
    expect([...new Set(await resized())].sort()).toEqual(
      ["p0", "p2", "p3", "p4", "p6", "p7", "p8"].sort(),
    );
    // What was in flight may have been done twice: three pictures at most.
    expect((await resized()).length).toBeLessThanOrEqual(10);
    expect(most).toBeLessThanOrEqual(4);
    const told: unknown[] = [];
    for await (const event of run.watch())
      if (event.type === "workflow.step.completed" && event.stepKey.endsWith("/tell"))
        told.push(event.stepKey);
    expect(new Set(told).size).toBe(10);
  });

  test("a batch that is cancelled takes its items with it", async () => {
    const pictures = Array.from({ length: 6 }, (_, i) => ({ name: `q${i}`, bytes: 400 }));
    const run = await client.start(batch, { pictures, dir, paceMs: 20_000 });
    const children = async (): Promise<string[]> =>
      (await client.list({ parentRunId: run.runId })).runs.map(({ status }) => status);
    while ((await children()).filter((state) => state === "running").length < 3) await sleep(20);
    await run.cancel();
    await expect(run.result({ timeout: "20 s" })).rejects.toMatchObject({ status: "cancelled" });
    while ((await children()).some((state) => state !== "cancelled")) await sleep(20);
    expect(await children()).toHaveLength(3);
  });
});
