/**
 * Goal: waiting for people, calls from outside and signals means the same over a session and by
 * polling, on both stores, live and after the run was away; and nothing stays open that nobody
 * waits for.
 * Method: workflows of the SDK in a worker of this process, answered through the client.
 */
import { randomUUID } from "node:crypto";
import {
  type Client,
  type Context,
  chainByAmount,
  RequestError,
  silentLogger,
  WaitCancelledError,
  type WaitView,
  Worker,
  workflow,
} from "@pawl/worker";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import type { TestServer } from "../harness/server.ts";
import { sleep, stores } from "../semantics/lab.ts";
import { SdkLab } from "../semantics/sdk-lab.ts";

const form = z.object({ column: z.string().trim(), drop: z.boolean().default(false) });

const interview = workflow("interview", async (ctx: Context) => {
  const both = await ctx.all({
    name: () => ctx.waitForUser("Name?"),
    size: () => ctx.waitForUser("Size?", { type: "choice", options: ["s", { value: "m" }] }),
  });
  const extras = await ctx.waitForUser("Extras?", { type: "multichoice", options: ["a", "b"] });
  const fields = await ctx.waitForUser("Form?", { type: "form", schema: form });
  const more = await ctx.waitForUser("More?", { skippable: true });
  return { ...both, extras, fields, more };
});

const expense = workflow("expense", (ctx: Context, amount: number) =>
  ctx.approval("Pay?", {
    chain: chainByAmount(amount, [
      { approvers: ["mia", "max"], needed: 2, name: "managers" },
      { from: 1_000, approvers: "dora" },
      { from: 10_000, approvers: "vic" },
    ]),
  }),
);

const pay = workflow("pay", async (ctx: Context) => {
  const urls: string[] = [];
  const callback = await ctx.callback<{ paid: number }>("paid");
  // Its argument is compared in a replay: the URL is the same one.
  await ctx.step("tell", (url: string) => url, [callback.url]);
  urls.push(callback.url);
  const { paid } = await callback.result();
  return { paid, urls };
});

const races = workflow("races", async (ctx: Context) => {
  const first = await ctx.race({
    answer: () => ctx.waitForUser("Now?"),
    go: () => ctx.signal("go"),
    late: () => ctx.sleep("1 day").then(() => "late"),
  });
  // Nobody takes it away: the wait that lost is closed.
  const answer = await ctx.waitForUser("Now?", { key: "again" });
  const second = await ctx.race({
    answer: () => ctx.waitForUser("Or now?"),
    stop: () => ctx.signal("stop"),
  });
  return { first, answer, second, stop: await ctx.signal("stop") };
});

const orders = workflow("orders", async (ctx: Context) => {
  const seen: unknown[] = [];
  for await (const order of ctx.signals<number>("order")) {
    seen.push(await ctx.step("handle", () => order));
    if (order === 3) break;
  }
  return [...seen, await ctx.signal("order")];
});

const cancelled = workflow("cancelled", async (ctx: Context) => {
  try {
    return await ctx.waitForUser("Forget it?");
  } catch (error) {
    if (!(error instanceof WaitCancelledError)) throw error;
    const { actor, comment } = error;
    await ctx.sleepUntil({ cron: "* * * * * *", timeZone: "Europe/Berlin" });
    const late = await ctx.waitForUser("Late?", { timeout: "10 ms", default: "nobody" });
    return { actor, comment, late };
  }
});

const quick = workflow("quick", (ctx: Context) =>
  ctx.signal("go", { timeout: "900 ms", default: "none" }),
);

const workflows = [interview, expense, pay, races, orders, cancelled, quick];

describe.each(stores)("%s", (store) => {
  let lab: SdkLab;
  let server: TestServer;
  let client: Client;
  beforeAll(async () => {
    lab = await SdkLab.open(store, "waits_sdk");
    ({ server, client } = lab);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  describe.each(["stream", "poll"] as const)("%s", (mode) => {
    const start = (name: string, input?: unknown) =>
      client.start(name, input, { queue: mode, runId: `${name}-${mode}` });
    beforeAll(async () => {
      await lab.work({ workflows, mode, queues: [mode], workerId: `people-${mode}` });
    });

    /** The open question of a run with that text. */
    async function question(runId: string, prompt: string): Promise<WaitView> {
      for (;;) {
        const { waits } = await client.waits({ runId, kinds: ["user"] });
        const found = waits.find((wait) => wait.question?.prompt === prompt);
        if (found !== undefined) return found;
        await sleep(15);
      }
    }

    const waiting = async (runId: string) => {
      while ((await client.handle(runId).get()).status !== "waiting") await sleep(15);
    };

    test.concurrent("each question gets its own answer, of its type, in any order", async () => {
      const run = await start("interview");
      const size = await question(run.runId, "Size?");
      await waiting(run.runId);
      const refused = await client.answer(size.waitId, "xl").catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(RequestError);
      expect(refused).toMatchObject({ reason: "INVALID_ANSWER" });
      expect((await client.answer(size.waitId, "m", { actor: "ada" })).wait.resolvedBy).toBe("ada");
      const again = await client.answer(size.waitId, "s").catch((error: unknown) => error);
      expect(again).toMatchObject({
        reason: "WAIT_ALREADY_RESOLVED",
        metadata: { resolved_by: "ada" },
      });
      await client.answer((await question(run.runId, "Name?")).waitId, "");
      await client.answer((await question(run.runId, "Extras?")).waitId, []);
      const fields = await question(run.runId, "Form?");
      expect(fields.question?.schema).toMatchObject({ properties: { column: { type: "string" } } });
      await client.answer(fields.waitId, { column: " age " });
      await client.skip((await question(run.runId, "More?")).waitId);
      expect(await run.result()).toEqual({
        name: "",
        size: "m",
        extras: [],
        fields: { column: "age", drop: false },
        more: undefined,
      });
      expect(await client.wait(size.waitId)).toMatchObject({ outcome: "answered", payload: "m" });
    });

    test("a signal that comes just as its wait is registered reaches the code", async () => {
      const runs = Array.from({ length: 4 * 40 }, (_, i) => `quick-${mode}-${i}`);
      const ends: unknown[] = [];
      while (runs.length > 0) {
        // Many at once, so that a wait and its signal are often committed together.
        const some = runs.splice(0, 40).map(async (runId) => {
          const run = await client.start("quick", undefined, { queue: mode, runId });
          await sleep(Math.random() * 40);
          await run.signal("go", "now");
          ends.push(await run.result());
        });
        await Promise.all(some);
      }
      expect(ends).toEqual(ends.map(() => "now"));
    });

    test("what ends concurrently reaches the code in the order of the journal, live and replayed", async () => {
      const orders: string[][] = [];
      const side = workflow("side", async (ctx: Context) => {
        const order: string[] = [];
        const note = (name: string) => () => void order.push(name);
        await ctx.all([
          (ctx) => ctx.signal("go").then(note("signal:go")),
          (ctx) => ctx.signal("late", { timeout: "100 ms", default: 0 }).then(note("signal:late")),
          (ctx) =>
            ctx
              .step("step", async () => {
                await client.handle(ctx.runId).signal("go", 1);
                // No timer of this process reports the other one meanwhile.
                for (const endMs = Date.now() + 250; Date.now() < endMs; );
              })
              .then(note("step")),
        ]);
        orders.push(order);
        if (orders.length === 1) throw new Error("on purpose");
      });
      const queue = `side-${mode}-${randomUUID()}`;
      await lab.work({ workflows: [side], mode, queues: [queue], workerId: queue });
      const run = await client.start("side", undefined, { queue });
      await expect(run.result({ timeout: "20 s" })).rejects.toThrow("on purpose");
      await run.retry();
      await run.result({ timeout: "20 s" });
      expect(orders[0]?.toSorted()).toEqual(["signal:go", "signal:late", "step"]);
      expect(orders[1]).toEqual(orders[0]);
    });

    test.concurrent("an approval by two, then the next level, until somebody rejects", async () => {
      const run = await start("expense", 50_000);
      const managers = await question(run.runId, "Pay?");
      expect(managers.stepKey).toBe("approval:Pay?/user:managers");
      const { assignees, needed } = managers.question ?? {};
      expect({ assignees, needed }).toEqual({ assignees: ["mia", "max"], needed: 2 });
      const stranger = client.answer(managers.waitId, true, { actor: "eve" });
      await expect(stranger).rejects.toMatchObject({ reason: "PERMISSION_DENIED" });
      await client.answer(managers.waitId, true, { actor: "max", comment: "fine" });
      await client.answer(managers.waitId, true, { actor: "mia" });
      for (;;) {
        const { waits } = await client.waits({ assignee: "dora", kinds: ["user"] });
        const [one] = waits.filter(({ runId }) => runId === run.runId);
        if (one !== undefined) {
          await client.answer(one.waitId, false, { actor: "dora", comment: "too much" });
          break;
        }
        await sleep(15);
      }
      const outcome = await run.result();
      expect(outcome).toMatchObject({
        approved: false,
        decision: "rejected",
        round: "dora",
        timedOut: false,
        votes: [
          { actor: "max", approved: true, comment: "fine", round: "managers" },
          { actor: "mia", approved: true, round: "managers" },
          { actor: "dora", approved: false, comment: "too much", round: "dora" },
        ],
      });
    });

    test.concurrent("a callback's URL is the same in a replay, and its body is the result", async () => {
      const run = await start("pay");
      await waiting(run.runId);
      const step = await run.journal();
      let url = "";
      for await (const entry of step) if (entry.name === "tell") url = String(entry.payload);
      const body = JSON.stringify({ paid: 5 });
      const headers = { "content-type": "application/json" };
      expect((await fetch(url, { method: "POST", headers, body })).status).toBe(200);
      expect(await run.result()).toEqual({ paid: 5, urls: [url] });
      expect((await fetch(url, { method: "POST", headers, body: "{}" })).status).toBe(409);
    });

    test.concurrent("what loses a race is closed", async () => {
      const run = await start("races");
      const lost = await question(run.runId, "Now?");
      await waiting(run.runId);
      await run.signal("go", "went");
      while ((await client.wait(lost.waitId)).outcome === "") await sleep(15);
      expect((await client.wait(lost.waitId)).outcome).toBe("lost");
      const again = await question(run.runId, "Now?");
      expect(again.stepKey).toBe("user:question[again]");
      expect((await client.waits({ runId: run.runId })).waits).toHaveLength(1);
      await waiting(run.runId);
      await client.answer(again.waitId, "yes");
      const orNow = await question(run.runId, "Or now?");
      const open = await client.waits({ runId: run.runId, kinds: ["signal"] });
      const closed = open.waits.find(({ name }) => name === "stop")?.waitId ?? "";
      await client.answer(orNow.waitId, "fine");
      while ((await client.wait(closed)).outcome === "") await sleep(15);
      await run.signal("stop", "taken");
      expect(await run.result()).toEqual({
        ...{ first: "went", answer: "yes" },
        ...{ second: "fine", stop: "taken" },
      });
    });

    test.concurrent("signals are taken one by one, also over suspensions", async () => {
      const run = await start("orders");
      await run.signal("order", 1);
      await waiting(run.runId);
      for (const order of [2, 3, 4]) await run.signal("order", order);
      expect(await run.result()).toEqual([1, 2, 3, 4]);
    });

    test.concurrent("a question that is cancelled says so; a cron time and a timeout come", async () => {
      const run = await start("cancelled");
      const { waitId } = await question(run.runId, "Forget it?");
      await client.cancelWait(waitId, { actor: "ops", comment: "obsolete" });
      expect(await run.result()).toEqual({ actor: "ops", comment: "obsolete", late: "nobody" });
    });
  });

  test.concurrent("a program that executes its own run waits for people too", async () => {
    const ask = workflow("own", (ctx: Context) => ctx.waitForUser("Own?", { type: "approval" }));
    const running = client.execute(ask, undefined, { runId: "own" });
    let link: { url: string } | undefined;
    while (link === undefined) {
      const { waits } = await client.waits({ runId: "own" });
      if (waits[0] === undefined) await sleep(20);
      else
        link = await client.createWaitLink(waits[0].waitId, { assignee: "ada", expiresIn: "1 h" });
    }
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ answer: true, comment: "by mail" });
    expect((await fetch(link.url, { method: "POST", headers, body })).status).toBe(200);
    expect(await running).toMatchObject({ approved: true, actor: "ada", comment: "by mail" });
  });

  test.concurrent("a deploy that asks something new moves no answer", async () => {
    const name = "deployed";
    const flow = (asks: readonly string[]) =>
      workflow(name, async (ctx: Context) => {
        const answers: Record<string, string> = {};
        for (const ask of asks) answers[ask] = await ctx.waitForUser(ask);
        return answers;
      });
    const serve = async (asks: readonly string[]) => {
      const worker = new Worker({
        url: server.grpcUrl,
        workflows: [flow(asks)],
        logger: silentLogger,
      });
      await worker.start();
      return worker;
    };
    const old = await serve(["Delete?", "Sure?"]);
    const run = await client.start(name, undefined, { runId: "deployed" });
    while ((await run.get()).status !== "waiting") await sleep(15);
    await old.stop();
    const openQuestion = async () => (await client.waits({ runId: "deployed" })).waits[0];
    await client.answer((await openQuestion())?.waitId ?? "", "no");
    const next = await serve(["Really new?", "Delete?", "Sure?"]);
    for (const ask of ["Really new?", "Sure?"]) {
      while ((await openQuestion())?.question?.prompt !== ask) await sleep(15);
      await client.answer((await openQuestion())?.waitId ?? "", ask);
    }
    const answers = { "Really new?": "Really new?", "Delete?": "no", "Sure?": "Sure?" };
    expect(await run.result()).toEqual(answers);
    await next.stop();
  });
});
