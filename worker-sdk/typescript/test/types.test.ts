import { expectTypeOf, test } from "vitest";
import { z } from "zod";
import {
  type Approval,
  type Client,
  type Context,
  chainByAmount,
  type Duration,
  duration,
  pipeline,
  RetryableError,
  type RunHandle,
  step,
  type Workflow,
  workflow,
} from "../src/index.ts";

// These functions are compiled, not called: the compiler checks what is in them.
const schema = z.object({ n: z.coerce.number<string>() });

test("workflow types follow schemas and functions", () => {
  const plain = workflow("plain", async (_ctx, input: { a: string }) => input.a.length);
  expectTypeOf(plain).toExtend<Workflow<{ a: string }, number>>();
  const shaped = workflow("shaped", { input: schema, output: z.date() }, async (_ctx, input) => {
    expectTypeOf(input).toEqualTypeOf<{ n: number }>();
    return new Date(input.n);
  });
  expectTypeOf(shaped).toExtend<Workflow<{ n: string }, Date>>();
  // @ts-expect-error the output schema wants a date
  workflow("wrong", { output: z.date() }, async () => "text");
  const optional = workflow(async function bare() {
    return "x";
  });
  expectTypeOf(optional).toBeCallableWith();
  // @ts-expect-error the input is required
  const forgotten = () => plain();
  expectTypeOf(forgotten).toBeFunction();
});

test("ids name properties of the input", () => {
  workflow("a", { input: schema, id: "a-{n}" }, async () => 1);
  workflow("a", { id: "a-{x}" }, async (ctx, input: { x: string }) => `${ctx.runId} ${input.x}`);
  // @ts-expect-error there is no y
  const worse = () => workflow("a", { id: "a-{y}" }, async (_ctx, input: { x: string }) => input.x);
  expectTypeOf(worse).toBeFunction();
  // @ts-expect-error there is no m
  const bad = () => workflow("a", { input: schema, id: "a-{m}" }, async () => 1);
  expectTypeOf(bad).toBeFunction();
});

test("results of steps", () => {
  const body = async (ctx: Context) => {
    expectTypeOf(await ctx.step("a", () => 1)).toEqualTypeOf<number>();
    expectTypeOf(await ctx.step("a", async (s) => s.attempt)).toEqualTypeOf<number>();
    expectTypeOf(
      await ctx.step("a", (x: string, y: number) => `${x}${y}`, ["a", 1]),
    ).toEqualTypeOf<string>();
    // @ts-expect-error the second argument is missing
    await ctx.step("a", (x: string, y: number) => `${x}${y}`, ["a"]);
    const charge = step("charge", async (amount: number) => ({ amount }));
    expectTypeOf(await ctx.step(charge, 5)).toEqualTypeOf<{ amount: number }>();
    expectTypeOf(await charge(5)).toEqualTypeOf<{ amount: number }>();
    // @ts-expect-error an amount is a number
    await ctx.step(charge, "5");
    async function* texts() {
      yield "a";
    }
    async function* numbers() {
      yield 1;
    }
    expectTypeOf(await ctx.step("g", texts)).toEqualTypeOf<string>();
    expectTypeOf(await ctx.step("g", numbers, { reduce: "collect" })).toEqualTypeOf<number[]>();
    expectTypeOf(await ctx.step("g", numbers, { reduce: "last" })).toEqualTypeOf<
      number | undefined
    >();
    expectTypeOf(
      await ctx.step("g", numbers, { reduce: (items: number[]) => items.length > 1 }),
    ).toEqualTypeOf<boolean>();
    // Without a reducer there is no result that could be used.
    expectTypeOf(await ctx.step("g", numbers)).toEqualTypeOf<never>();
  };
  expectTypeOf(body).toBeFunction();
});

test("results of branches, waits and children", () => {
  const kid = workflow("kid", { input: schema }, async () => "kid");
  const body = async (ctx: Context) => {
    const named = await ctx.all({ a: () => 1, b: async () => "x" });
    expectTypeOf(named).toEqualTypeOf<{ a: number; b: string }>();
    const listed = await ctx.all([() => 1, async () => "x"]);
    expectTypeOf(listed).toEqualTypeOf<[number, string]>();
    expectTypeOf(await ctx.race({ a: () => 1, b: async () => "x" })).toEqualTypeOf<
      number | string
    >();
    expectTypeOf(await ctx.race([() => 1, async () => "x"])).toEqualTypeOf<number | string>();
    const settled = await ctx.allSettled({ a: () => 1 });
    expectTypeOf(settled.a).toEqualTypeOf<PromiseSettledResult<number>>();
    expectTypeOf(
      await ctx.map("m", [1, 2], (n, c, i) => c.step("s", () => `${n}${i}`)),
    ).toEqualTypeOf<string[]>();
    expectTypeOf(await ctx.map("m", [1], { key: (n) => n }, (n) => n)).toEqualTypeOf<number[]>();
    expectTypeOf(await ctx.signal<{ ok: boolean }>("go")).toEqualTypeOf<{ ok: boolean }>();
    expectTypeOf(await ctx.child(kid, { n: "1" })).toEqualTypeOf<string>();
    // @ts-expect-error the child takes a text
    await ctx.child(kid, { n: 1 });
    expectTypeOf(await ctx.now()).toEqualTypeOf<number>();
    // @ts-expect-error branches are functions
    await ctx.all({ a: ctx.step("s", () => 1) });
  };
  expectTypeOf(body).toBeFunction();
});

test("answers have the type of their question", () => {
  const body = async (ctx: Context) => {
    expectTypeOf(await ctx.waitForUser("Why?")).toEqualTypeOf<string>();
    expectTypeOf(await ctx.waitForUser("Why?", { skippable: true })).toEqualTypeOf<
      string | undefined
    >();
    expectTypeOf(await ctx.waitForUser("Why?", { timeout: "1 h", default: null })).toEqualTypeOf<
      string | null
    >();
    expectTypeOf(await ctx.waitForUser("OK?", { type: "approval" })).toEqualTypeOf<Approval>();
    const size = { type: "choice", options: ["small", { value: "big", label: "Big" }] } as const;
    expectTypeOf(await ctx.waitForUser("Size?", size)).toEqualTypeOf<"small" | "big">();
    expectTypeOf(
      await ctx.waitForUser("Size?", { type: "choice", options: ["s", "m"], default: 0 }),
    ).toEqualTypeOf<"s" | "m" | 0>();
    expectTypeOf(
      await ctx.waitForUser("Size?", { type: "choice", options: ["s"], allowCustom: true }),
    ).toEqualTypeOf<string>();
    const dynamic: string[] = [];
    expectTypeOf(
      await ctx.waitForUser("Size?", { type: "choice", options: dynamic }),
    ).toEqualTypeOf<string>();
    expectTypeOf(
      await ctx.waitForUser("Sizes?", { type: "multichoice", options: ["s", "m"] }),
    ).toEqualTypeOf<("s" | "m")[]>();
    expectTypeOf(
      await ctx.waitForUser("Form", { type: "form", schema, skippable: true }),
    ).toEqualTypeOf<{ n: number } | undefined>();
    expectTypeOf(
      await ctx.waitForUser("Form", { type: "form", schema: { type: "object" } }),
    ).toEqualTypeOf<unknown>();
    // @ts-expect-error a choice needs options
    await ctx.waitForUser("Size?", { type: "choice" });
    // @ts-expect-error a text has no options
    await ctx.waitForUser("Size?", { options: ["s"] });
    // @ts-expect-error there is no such type
    await ctx.waitForUser("Size?", { type: "yes" });
    // @ts-expect-error a typing mistake
    await ctx.waitForUser("Size?", { timeot: "1 h" });
  };
  expectTypeOf(body).toBeFunction();
});

test("approvals, callbacks and signals", () => {
  const body = async (ctx: Context) => {
    const outcome = await ctx.approval("Pay?", { approvers: ["ada", "bob"], needed: 2 });
    expectTypeOf(outcome.decision).toEqualTypeOf<"approved" | "rejected">();
    expectTypeOf(outcome.votes[0]?.round).toEqualTypeOf<string | undefined>();
    await ctx.approval("Pay?", { chain: chainByAmount(5, [{ approvers: "a", from: 1 }]) });
    // @ts-expect-error somebody has to approve
    await ctx.approval("Pay?", {});
    // @ts-expect-error one or the other
    await ctx.approval("Pay?", { approvers: "a", chain: [] });
    const callback = await ctx.callback<{ paid: boolean }>("paid");
    expectTypeOf(callback.url).toEqualTypeOf<string>();
    expectTypeOf(await callback.result()).toEqualTypeOf<{ paid: boolean }>();
    for await (const order of ctx.signals<number>("order"))
      expectTypeOf(order).toEqualTypeOf<number>();
    await ctx.sleepUntil({ cron: "0 9 * * *", timeZone: "Europe/Berlin" });
    const won = await ctx.race({
      answer: () => ctx.waitForUser("Go?", { type: "choice", options: ["yes"] }),
      late: () => ctx.sleep("1 h"),
    });
    expectTypeOf(won).extract<string>().toEqualTypeOf<"yes">();
  };
  expectTypeOf(body).toBeFunction();
});

test("clients know what they start", () => {
  const plain = workflow("plain", async (_ctx, input: { a: string }) => input.a.length);
  const use = async (client: Client) => {
    expectTypeOf(await client.start(plain, { a: "x" })).toEqualTypeOf<RunHandle<number>>();
    expectTypeOf(await client.run(plain, { a: "x" })).toEqualTypeOf<number>();
    expectTypeOf(await client.start("by-name", 1)).toEqualTypeOf<RunHandle<unknown>>();
    // @ts-expect-error a is a text
    await client.start(plain, { a: 1 });
    expectTypeOf(await client.execute(plain, { a: "x" })).toEqualTypeOf<number>();
    expectTypeOf(client.handle("id", plain)).toEqualTypeOf<RunHandle<number>>();
  };
  expectTypeOf(use).toBeFunction();
  const pair = async (n: number) => [n, "x"] as const;
  const text = async (n: number, s: string) => `${n}${s}`;
  const line = pipeline("p", [pair, text]);
  expectTypeOf(line).toExtend<Workflow<number, string>>();
});

test("durations are texts that are some, or numbers, or parts", () => {
  const durations: Duration[] = [5, "900 ms", "1 day", "2 days", "1h 30m", "1h30m", { days: 1 }];
  expectTypeOf(durations).toExtend<Duration[]>();
  const body = async (ctx: Context, text: string) => {
    await ctx.sleep(duration(text));
    // @ts-expect-error not every text is a duration
    await ctx.sleep(text);
    // @ts-expect-error this one is not
    await ctx.step("s", () => 1, { timeout: "soon" });
    // @ts-expect-error there is no such unit
    await ctx.signal("go", { timeout: "5 fortnights" });
    // A header, as it came.
    throw new RetryableError("busy", { retryAfter: new Headers().get("retry-after") });
  };
  expectTypeOf(body).toBeFunction();
});

test("signals and callbacks have the type that is named, also with a default of it", () => {
  const body = async (ctx: Context) => {
    expectTypeOf(await ctx.signal("go")).toEqualTypeOf<unknown>();
    expectTypeOf(await ctx.signal<number>("go")).toEqualTypeOf<number>();
    const late = { timeout: "1 day", default: false } as const;
    expectTypeOf(await ctx.signal<boolean>("go", late)).toEqualTypeOf<boolean>();
    expectTypeOf(await ctx.signal<number, null>("go", { default: null })).toEqualTypeOf<
      number | null
    >();
    const callback = await ctx.callback<boolean>("c", late);
    expectTypeOf(await callback.result()).toEqualTypeOf<boolean>();
  };
  expectTypeOf(body).toBeFunction();
});
