/**
 * Goal: children that are started beside their parent are started once, can be joined, and end with
 * it as was asked for.
 * Method: parents and children over the wire on both stores; a parent's code throws once after its
 * steps, so that it is replayed.
 */
import { type Client, type Context, type RunHandle, TerminalError, workflow } from "@pawl/worker";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sleep, stores } from "./lab.ts";
import { SdkLab } from "./sdk-lab.ts";

describe.each(stores)("%s", (store) => {
  let lab: SdkLab;
  let client: Client;
  const ran: string[] = [];
  const crashed = new Set<string>();

  const child = workflow("child", async (ctx: Context, input: { n: number; waits?: boolean }) => {
    await ctx.step("work", () => ran.push(`${ctx.runId} work`));
    ctx.compensate("undo", () => ran.push(`${ctx.runId} undo`));
    if (input.waits === true) await ctx.signal("go");
    return input.n * 10;
  });
  const joins = workflow("joins", async (ctx: Context) => {
    const first = await ctx.spawn(child, { n: 1 });
    const second = await ctx.spawn(child, { n: 2 });
    const keyed = await ctx.spawn(child, { n: 3 }, { key: "k" });
    const beside = await ctx.step("beside", () => "beside");
    const results = [await second.result(), await first.result(), await keyed.result()];
    if (!crashed.has(ctx.runId)) {
      crashed.add(ctx.runId);
      throw new TerminalError("once");
    }
    return { beside, results, again: await first.result(), ids: [first.runId, keyed.runId] };
  });
  const leaves = workflow("leaves", async (ctx: Context, waits: boolean) => {
    const kept = await ctx.spawn(child, { n: 1, waits: true }, { parentClose: "abandon" });
    const ended = await ctx.spawn(child, { n: 2, waits: true });
    if (waits) await ctx.child(child, { n: 3, waits: true });
    return [kept.runId, ended.runId];
  });

  beforeAll(async () => {
    lab = await SdkLab.open(store, "children");
    ({ client } = lab);
    await lab.work({ workflows: [child, joins, leaves] });
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  async function until(run: RunHandle<unknown>, ...statuses: string[]): Promise<void> {
    for (let waited = 0; waited < 15_000; waited += 20) {
      const status = await run.get().then(
        (info) => info.status,
        () => "none",
      );
      if (statuses.includes(status)) return;
      await sleep(20);
    }
    throw new Error(`The run "${run.runId}" did not become ${statuses.join(" or ")}.`);
  }

  test("started once, joined in any order, and replayed without being asked", async () => {
    const run = await client.start(joins, undefined, { runId: "joins-1" });
    await expect(run.result({ timeout: "20 s" })).rejects.toThrow(/once/);
    await run.retry();
    expect(await run.result({ timeout: "20 s" })).toEqual({
      beside: "beside",
      results: [20, 10, 30],
      again: 10,
      ids: ["joins-1~spawn:child", expect.stringContaining("joins-1~spawn:child")],
    });
    expect(ran.filter((what) => what.startsWith("joins-1"))).toHaveLength(3);
  });

  test("a parent that ends cancels its children, which clean up; those on their own continue", async () => {
    const run = await client.start(leaves, false, { runId: "leaves-1" });
    const [kept = "", ended = ""] = await run.result({ timeout: "20 s" });
    await until(client.handle(ended), "cancelled");
    expect((await client.handle(kept).get()).status).toMatch(/queued|running|waiting/);
    await client.handle(kept).signal("go");
    expect(await client.handle(kept).result({ timeout: "20 s" })).toBe(10);
  });

  test("a cancel continues to the children that are waited for", async () => {
    const run = await client.start(leaves, true, { runId: "leaves-2" });
    for (let waited = 0; waited < 15_000; waited += 20) {
      const { runs } = await client.list({ parentRunId: "leaves-2" });
      if (runs.filter(({ status }) => status === "waiting").length === 3) break;
      await sleep(20);
    }
    const { runs } = await client.list({ parentRunId: "leaves-2" });
    expect(runs).toHaveLength(3);
    await run.cancel();
    await until(run, "cancelled");
    const statuses = async (): Promise<string[]> =>
      (await client.list({ parentRunId: "leaves-2" })).runs.map(({ status }) => status).sort();
    for (let waited = 0; waited < 15_000; waited += 20) {
      if ((await statuses()).filter((status) => status === "cancelled").length === 2) break;
      await sleep(20);
    }
    expect(await statuses()).toEqual(["cancelled", "cancelled", "waiting"]);
    expect(ran.filter((what) => /leaves-2.*undo/.test(what))).toHaveLength(2);
  });
});
