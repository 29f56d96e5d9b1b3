/**
 * Goal: what code is given is the same in every replay: schemas parse once, arguments and items are
 * as they were when they were handed over.
 * Method: workflows over a journal in memory, live and again from each of its prefixes.
 */

import { StepKind, WaitOutcome } from "@pawl/proto";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { type Context, silentLogger, workflow } from "../src/index.ts";
import { encode, execute, Memo, payloadOf } from "../src/internal.ts";
import { run } from "./support/local.ts";
import { facts, RecordingLink } from "./support/recording-link.ts";

let made = 0;
const withDefault = z.object({
  id: z.string().default(() => `made ${++made}`),
  at: z.coerce.date().optional(),
});

async function perform(
  schema: StandardSchemaV1 | undefined,
  input: unknown,
  body: (ctx: Context, input: unknown) => unknown,
  options: ConstructorParameters<typeof RecordingLink>[0] = {},
) {
  const link = new RecordingLink({ suspends: true, sleepless: true, ...options });
  const memo = new Memo();
  memo.add(link.journal);
  const definition =
    schema === undefined ? workflow("w", body) : workflow("w", { input: schema }, body);
  const { data, encoding } = encode(input, "the input");
  const execution = execute({
    facts: facts(),
    workflow: definition,
    link,
    memo,
    input: { data, encoding },
    logger: silentLogger,
  });
  link.run = execution;
  const { kind, request } = await link.outcome;
  execution.leave("the test is over");
  return { link, kind, request };
}

describe("an input", () => {
  test("is parsed once, and recorded ahead of all else where it differs", async () => {
    const seen: unknown[] = [];
    const body = async (ctx: Context, input: unknown) => {
      seen.push(input);
      await ctx.step("first", () => 1);
      await ctx.sleep("1 h");
    };
    const { link } = await perform(withDefault, { at: "2026-01-31T12:00:00Z" }, body);
    expect(link.journal.map(({ stepKey }) => stepKey)).toEqual(["value:input", "first"]);
    for (const journal of [link.journal.slice(0, 1), link.journal])
      await perform(withDefault, { at: "2026-01-31T12:00:00Z" }, body, { journal });
    expect(seen).toHaveLength(3);
    expect(seen[0]).toMatchObject({ at: new Date("2026-01-31T12:00:00Z") });
    expect(seen.slice(1)).toEqual([seen[0], seen[0]]);
  });

  test("that turns out as it was sent costs no record, and a stricter schema changes nothing", async () => {
    const seen: unknown[] = [];
    const body = async (ctx: Context, input: unknown) => {
      seen.push(input);
      await ctx.step("first", () => 1);
      await ctx.sleep("1 h");
    };
    const { link } = await perform(z.object({ n: z.number() }), { n: 1 }, body);
    expect(link.journal.map(({ stepKey }) => stepKey)).toEqual(["first"]);
    const stricter = z.object({ n: z.number().min(10), id: z.string().default("new") });
    const { kind } = await perform(stricter, { n: 1 }, body, { journal: link.journal });
    expect(kind).toBe("suspended");
    expect(seen).toEqual([{ n: 1 }, { n: 1 }]);
  });

  test("whose parsed value cannot be recorded fails the run before its code", async () => {
    let began = false;
    const schema = z.object({}).transform(() => ({ f: () => 1 }));
    const { kind, request } = await perform(schema, {}, () => {
      began = true;
    });
    expect([kind, began]).toEqual(["failed", false]);
    expect(request).toMatchObject({ failure: { type: "SerializationError" } });
  });
});

describe("the answer to a form", () => {
  const form = z.object({
    n: z.coerce.number<string>(),
    id: z.string().default(() => `made ${++made}`),
  });

  test("is parsed once", async () => {
    const seen: unknown[] = [];
    const answered = async (ctx: Context) => {
      seen.push(await ctx.waitForUser("Who?", { type: "form", schema: form }));
      await ctx.step("after", () => 1);
      await ctx.sleep("1 h");
    };
    const answer = {
      type: "workflow.wait.resolved",
      stepKey: "user:Who?",
      kind: StepKind.USER,
      outcome: WaitOutcome.ANSWERED,
      payload: payloadOf(encode({ n: "5" }, "the answer")),
    };
    const first = await perform(undefined, undefined, answered, { entries: [answer] });
    expect(first.link.journal.map(({ stepKey }) => stepKey)).toEqual([
      "user:Who?",
      "value:answer:user:Who?",
      "after",
    ]);
    const { journal } = first.link;
    for (const length of [2, 3])
      await perform(undefined, undefined, answered, { journal: journal.slice(0, length) });
    expect(seen).toHaveLength(3);
    expect(seen[0]).toMatchObject({ n: 5 });
    expect(seen.slice(1)).toEqual([seen[0], seen[0]]);
  });
});

describe("schemas of outputs", () => {
  const asNumber = z.object({ n: z.string().transform(Number) });

  test("turn out what is recorded, of steps and workflows alike, once", async () => {
    const result = await run((ctx) => ctx.step("s", () => ({ n: "5" }), { output: asNumber }));
    expect(result).toEqual({ n: 5 });
    const kid = workflow("kid", { output: asNumber }, async () => ({ n: "7" }));
    expect(await kid()).toEqual({ n: 7 });
    expect(await run((ctx) => ctx.child(kid, undefined))).toEqual({ n: 7 });
  });

  test("the schema of a step's input turns out its first argument", async () => {
    const args = await run((ctx) =>
      ctx.step("s", (x: unknown, y: number) => [x, y], [{ n: "5" }, 6], { input: asNumber }),
    );
    expect(args).toEqual([{ n: 5 }, 6]);
    await expect(
      run((ctx) => ctx.step("s", (x: unknown) => x, [{ n: 5 }], { input: asNumber })),
    ).rejects.toMatchObject({ type: "InvalidValueError" });
  });

  test("a validator may return any thenable", async () => {
    const { validate, ...props } = z.unknown()["~standard"];
    const late = (value: unknown) => ({
      // biome-ignore lint/suspicious/noThenProperty: that is what is tried
      then: (resolve: (result: { value: unknown }) => void) => resolve({ value: [value] }),
    });
    const schema = { "~standard": { ...props, validate: late as typeof validate } };
    expect(await run((ctx) => ctx.step("s", () => 1, { output: schema }))).toEqual([1]);
    const { request } = await perform(schema, 1, (_ctx, input) => input);
    expect(request).toMatchObject({ output: { data: Buffer.from("[1]") } });
  });
});

describe("what is handed over", () => {
  test("is as it was then: arguments, inputs of children, items and results", async () => {
    const shared = { n: 0 };
    const kid = workflow("kid", async (_ctx: Context, input: { n: number }) => input.n);
    const seen = await run(async (ctx) => {
      const own = await ctx.step("changes its argument", (x: { n: number }) => ++x.n, [shared]);
      const step = ctx.step("s", async (x: { n: number }) => x.n, [shared]);
      const child = ctx.child(kid, shared);
      const result = ctx.step("result", () => shared);
      shared.n = 9;
      return [own, await step, await child, await result];
    });
    expect(seen).toEqual([1, 0, 0, { n: 0 }]);
    const items = await run((ctx) =>
      ctx.step(
        "items",
        async function* () {
          for (shared.n = 0; shared.n < 3; shared.n += 1) yield shared;
        },
        { reduce: "collect" },
      ),
    );
    expect(items).toEqual([{ n: 0 }, { n: 1 }, { n: 2 }]);
  });

  test("each attempt gets the arguments anew", async () => {
    const seen: number[] = [];
    await run((ctx) =>
      ctx.step(
        "s",
        (x: { n: number }) => {
          seen.push(x.n);
          x.n += 1;
          if (seen.length < 3) throw new Error("again");
        },
        [{ n: 0 }],
        { retry: { maxAttempts: 3, backoff: [0] } },
      ),
    );
    expect(seen).toEqual([0, 0, 0]);
  });
});
