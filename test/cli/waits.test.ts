/**
 * Goal: a person finds what waits for them, and answers it, in as few words as possible; programs
 * do the same with JSON.
 * Method: the real program against a real server; the runs' worker is in this process.
 */
import { EXIT } from "@pawl/server/internal";
import { Client, type Context, silentLogger, Worker, workflow } from "@pawl/worker";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type TestServer } from "../harness/server.ts";
import { sleep } from "../semantics/lab.ts";
import { errorOf, pawl } from "./cli.ts";

const order = workflow("order", async (ctx: Context) => {
  const size = await ctx.waitForUser("Which size?", {
    type: "choice",
    options: ["small", { value: "big", label: "Really big" }],
    skippable: true,
  });
  const extras = await ctx.waitForUser("Which extras?", {
    type: "multichoice",
    options: ["milk", "sugar"],
  });
  return { size, extras };
});
const schema = {
  type: "object",
  required: ["name", "age"],
  properties: {
    name: { type: "string", minLength: 2 },
    age: { type: "integer", minimum: 3 },
    kind: { enum: ["a", "b"] },
  },
};
const form = workflow("form", async (ctx: Context) => [
  await ctx.waitForUser("Who?", { type: "form", schema }),
  await ctx.waitForUser("Again?", { type: "form", schema }),
]);
const pay = workflow("pay", (ctx: Context) =>
  ctx.approval("Pay it?", {
    chain: [{ approvers: ["mia", "max"], needed: 2 }, { approvers: "dora" }],
  }),
);
const two = workflow("two", (ctx: Context) =>
  ctx.all([() => ctx.waitForUser("One?"), () => ctx.waitForUser("Two?")]),
);
const nap = workflow("nap", async (ctx: Context) => {
  await ctx.sleepUntil({ cron: "0 9 * * *", timeZone: "Europe/Berlin" });
});

let server: TestServer;
let client: Client;
let worker: Worker;

beforeAll(async () => {
  server = await startServer();
  client = new Client({ url: server.grpcUrl, logger: silentLogger });
  worker = new Worker({
    url: server.grpcUrl,
    workflows: [order, form, pay, two, nap],
    logger: silentLogger,
  });
  await worker.start();
});

afterAll(async () => {
  await worker?.stop();
  client?.close();
  await server?.stop();
});

const cli = (args: readonly string[], input = "") =>
  pawl(args, { url: server.httpUrl, input, env: { PAWL_ACTOR: "max" } });

/** Starts a run; resolves once this many waits of it are open. */
async function start(name: string, runId: string, waits = 1) {
  const run = await client.start(name, undefined, { runId });
  await open(runId, waits);
  return run;
}

async function open(runId: string, count: number, prompt = ""): Promise<void> {
  for (;;) {
    const { waits } = await client.waits({ runId });
    const fits = waits.filter(({ question }) => question?.prompt.includes(prompt) ?? true);
    if (fits.length === count) return;
    await sleep(20);
  }
}

test.concurrent("a choice is asked by number, again until it is one; several are words or numbers", async () => {
  const run = await start("order", "order-1");
  const answered = await cli(["answer", "order-1"], "3\nhuge\n2\n");
  expect(answered.code, answered.err).toBe(EXIT.OK);
  expect(answered.err).toMatch(/Which size\?.*1 {2}small.*2 {2}Really big \(big\)/s);
  expect(answered.err).toMatch(/"3" is not one of.*"huge" is not one of: "small", "big".*by max/s);
  await open("order-1", 1, "extras");
  const second = await cli(["answer", "order-1", "milk", "sugar", "--json"]);
  expect(JSON.parse(second.out)).toMatchObject({ wait: { outcome: "answered" } });
  expect(await run.result()).toEqual({ size: "big", extras: ["milk", "sugar"] });

  const other = await start("order", "order-2");
  expect((await cli(["answer", "order-2", "--skip"])).err).toContain("skipped by max");
  await open("order-2", 1, "extras");
  expect((await cli(["answer", "order-2"], "\n")).code).toBe(EXIT.OK);
  expect(await other.result()).toEqual({ size: undefined, extras: [] });
});

test.concurrent("a form is asked field by field, again when the server refuses it; or set by words", async () => {
  const run = await start("form", "form-1");
  const typed = ["A", "x", "2", "", "Ada", "36", "c", "b", ""].join("\n");
  const answered = await cli(["answer", "form-1"], typed);
  expect(answered.code, answered.err).toBe(EXIT.OK);
  expect(answered.err).toMatch(/it must be a number.*does not fit.*name.*one of a, b.*Recorded/s);
  await open("form-1", 1, "Again");
  const bad = await cli(["answer", "form-1", "age=4", "nmae=Bob"]);
  expect([bad.code, bad.err]).toEqual([EXIT.USAGE, expect.stringContaining("name=… age=…")]);
  const refused = await cli(["answer", "form-1", "--json-answer", "{}", "--json"]);
  expect([refused.code, errorOf(refused).reason]).toEqual([EXIT.REFUSED, "INVALID_ANSWER"]);
  expect((await cli(["answer", "form-1", "age=4", "name=Bob"])).code).toBe(EXIT.OK);
  expect(await run.result()).toEqual([
    { name: "Ada", age: 36, kind: "b" },
    { name: "Bob", age: 4 },
  ]);
});

test.concurrent("an approval: who may, how far it is, and what a rejection does", async () => {
  const run = await start("pay", "pay-1");
  const stranger = await cli(["approve", "pay-1", "--actor", "eve"]);
  expect([stranger.code, stranger.err]).toEqual([
    EXIT.REFUSED,
    expect.stringMatching(/mia, max.*--actor/s),
  ]);
  // The answer is all that comes through the pipe: the comment may be left out.
  const piped = await start("pay", "pay-2");
  expect((await cli(["answer", "pay-2"], "no")).err).toContain("rejected by max");
  expect(await piped.result()).toMatchObject({ approved: false });
  const mine = await cli(["waits", "--mine"]);
  expect(mine.out).toMatch(
    /(?:^|\n)Pay it\? {2}pay-1\n {2}an approval by 2 of mia, max .*pay, .* ago\n/,
  );
  expect(mine.out).toContain("pawl approve pay-1   or   pawl reject pay-1 --comment WHY");
  expect((await cli(["approve", "pay-"])).err).toContain("1 of 2 approvals so far");
  const hers = await cli(["waits", "--assignee", "mia", "--actor", "eve"]);
  expect(hers.out).toMatch(/max approved.*pawl approve pay-1 --actor mia/s);
  const twice = await cli(["approve", "pay-1"]);
  expect([twice.code, twice.err]).toEqual([EXIT.REFUSED, expect.stringContaining("max")]);
  await cli(["approve", "pay-1", "--actor", "mia"]);
  await open("pay-1", 1);
  const no = await cli(["reject", "pay-1", "--actor", "dora", "--comment", "too much"]);
  expect(no.err).toContain("rejected by dora");
  expect(await run.result()).toMatchObject({ approved: false, round: "dora" });
  expect((await cli(["reject", "pay-1"])).code).toBe(EXIT.NOT_FOUND);
});

test.concurrent("of two open questions the id says which; what is over says who answered", async () => {
  const run = await start("two", "two-1", 2);
  const unclear = await cli(["answer", "two-1", "x"]);
  expect([unclear.code, unclear.err]).toEqual([
    EXIT.USAGE,
    expect.stringMatching(/matches 2 open waits.*w\w{21} {2}One\?/s),
  ]);
  const one = /(w\w{21}) {2}One\?/.exec(unclear.err)?.[1] ?? "";
  const refused = await cli(["approve", one]);
  expect([refused.code, refused.err]).toEqual([EXIT.USAGE, expect.stringContaining("pawl answer")]);
  expect((await cli(["answer", one, "first"])).code).toBe(EXIT.OK);
  const late = await cli(["answer", one, "other"]);
  expect([late.code, late.err]).toEqual([EXIT.REFUSED, expect.stringContaining("max")]);
  expect((await cli(["answer", "two-1"])).code).toBe(EXIT.USAGE);
  expect((await cli(["answer", "two-1", "second", "one"])).code).toBe(EXIT.OK);
  expect(await run.result()).toEqual(["first", "second one"]);
  const kind = await cli(["waits", "--kind", "people"]);
  expect([kind.code, kind.err]).toEqual([EXIT.USAGE, expect.stringContaining("user, signal")]);
});

test.concurrent("timers are listed with their times, and cancelled", async () => {
  const run = await start("nap", "nap-1");
  const listed = await cli(["timers"]);
  expect(listed.out).toMatch(/nap-1 +nap +sleep:sleep .*0 9 \* \* \* \(Europe\/Berlin\)/);
  const cancelled = await cli(["timers", "--cancel", "nap-1", "--comment", "enough", "--json"]);
  expect(JSON.parse(cancelled.out)).toMatchObject({ wait: { outcome: "cancelled" } });
  await expect(run.result()).rejects.toThrow(/cancelled by max: enough/);
});
