/**
 * Goal: the order of the example is undone once, no matter who dies in the middle of that.
 * Method: its worker is killed with SIGKILL while it undoes; the books of the shop are read.
 */
import { readLedger } from "@pawl/examples/order-saga/shop.ts";
import { order } from "@pawl/examples/order-saga/workflow.ts";
import type { Client } from "@pawl/worker";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sleep, stores } from "../semantics/lab.ts";
import { ExampleStage } from "./stage.ts";

describe.each(stores)("%s", (store) => {
  let stage: ExampleStage;
  let client: Client;
  let dir: string;
  beforeAll(async () => {
    stage = await ExampleStage.set(store, "order-saga");
    ({ client, dir } = stage);
  });
  afterAll(() => stage[Symbol.asyncDispose]());

  const deeds = async (orderId: string): Promise<string[]> =>
    (await readLedger(dir)).filter((line) => line.orderId === orderId).map(({ deed }) => deed);

  test("undone in reverse, each once, by any worker that is alive", async () => {
    const first = await stage.worker("first");
    const failing = await client.start(order, {
      ...{ orderId: "A-2", amount: 1_200, dir, tooLarge: true, paceMs: 300 },
    });
    const waiting = await client.start(order, { orderId: "A-3", amount: 700, dir, paceMs: 300 });
    for (let waited = 0; (await waiting.get()).status !== "waiting"; waited += 20) {
      if (waited > 20_000) throw new Error(`It does not come to wait:\n${first.output}`);
      await sleep(20);
    }
    await waiting.cancel({ reason: "not wanted", grace: "60 s" });
    // In the middle of both: one thing is undone, another is being undone.
    await first.waitFor(/refund A-3/);
    first.kill("SIGKILL");
    await stage.worker("second");
    await expect(failing.result({ timeout: "30 s" })).rejects.toMatchObject({
      status: "failed",
      message: "no courier has room for this parcel",
    });
    await expect(waiting.result({ timeout: "30 s" })).rejects.toMatchObject({
      status: "cancelled",
      message: "not wanted",
    });
    expect(await deeds("A-2")).toEqual(["reserve", "charge", "refund", "release"]);
    expect(await deeds("A-3")).toEqual([
      ...["reserve", "charge", "book"],
      ...["unbook", "refund", "release"],
    ]);
  });
});
