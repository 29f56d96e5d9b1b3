/**
 * Goal: questions, approvals and callbacks mean the same without a platform, and say what is missing.
 * Method: workflows run locally with prepared answers.
 */
import { describe, expect, test } from "vitest";
import { z } from "zod";
import {
  type Context,
  chainByAmount,
  InvalidValueError,
  type LocalQuestion,
  WaitTimeoutError,
  workflow,
} from "../src/index.ts";
import { run, thrown } from "./support/local.ts";

describe("questions", () => {
  test("of every type get their answers, also empty ones", async () => {
    const form = z.object({ n: z.coerce.number<string>() });
    const seen = await run(
      async (ctx) => [
        await ctx.waitForUser("Why?"),
        await ctx.waitForUser("Publish?", { type: "approval" }),
        await ctx.waitForUser("Size?", { type: "choice", options: ["s", { value: "m" }] }),
        await ctx.waitForUser("Extras?", { type: "multichoice", options: ["a", "b"] }),
        await ctx.waitForUser("Fill in", { type: "form", schema: form }),
        await ctx.waitForUser("Anything else?", { skippable: true }),
      ],
      {
        answers: {
          "Why?": [""],
          "Publish?": [{ approved: false, actor: "ada", comment: "not yet" }],
          "Size?": ["m"],
          "Extras?": [[]],
          "Fill in": [{ n: "4" }],
          "Anything else?": [undefined],
        },
      },
    );
    expect(seen).toMatchObject([
      "",
      { approved: false, decision: "rejected", actor: "ada", comment: "not yet" },
      "m",
      [],
      { n: 4 },
      undefined,
    ]);
  });

  test("are distinguished by their text, their place or their key", async () => {
    const asked: LocalQuestion[] = [];
    const seen = await run(
      (ctx) =>
        ctx.all([
          () => ctx.waitForUser("Why?"),
          (inner) => inner.waitForUser("Why?", { key: "second" }),
          async () => [await ctx.waitForUser("Why?"), await ctx.waitForUser("Why?")],
        ]),
      { answers: (question) => asked.push(question) && question.stepKey },
    );
    expect(seen).toEqual([
      "all:0/user:Why?",
      "all:1/user:question[second]",
      ["all:2/user:Why?", "all:2/user:Why?#2"],
    ]);
    expect(asked).toHaveLength(4);
  });

  test("a text that is long has a short name, which its text decides", async () => {
    const long = (end: string) => `${"Would you say so? ".repeat(10)}${end}`;
    const keyOf = (question: string) =>
      run((ctx) => ctx.waitForUser(question), { answers: ({ stepKey }) => stepKey });
    const [one, two] = [await keyOf(long("a")), await keyOf(long("b"))];
    expect(one).not.toBe(two);
    expect(one.length).toBeLessThan(90);
    expect(await keyOf(long("a"))).toBe(one);
    const wide = await keyOf("質問".repeat(40));
    expect(Buffer.byteLength(wide)).toBeLessThan(200);
    expect(wide).toMatch(/^user:(質問){30}… e0f30b3b$/);
  });

  test("time out with a default, or with an error that names them", async () => {
    const late = { timeout: "1 h" } as const;
    expect(await run((ctx) => ctx.waitForUser("Why?", { ...late, default: null }))).toBe(null);
    const error = await thrown(() => run((ctx) => ctx.waitForUser("Why?", late)));
    expect(error).toMatchObject({ name: WaitTimeoutError.name, stepKey: "user:Why?" });
    expect(error.message).toMatch(/answer to "Why\?" did not arrive in time/);
  });

  test.for<[string, (ctx: Context) => Promise<unknown>, RegExp]>([
    ["no answer", (ctx) => ctx.waitForUser("Who?"), /asks "Who\?".*answers: \{ "Who\?"/],
    [
      "an option that is not there",
      (ctx) => ctx.waitForUser("Size?", { type: "choice", options: ["s"] }),
      /"m"; it has to be one of "s"/,
    ],
    ["no question", (ctx) => ctx.waitForUser(" "), /needs a question/],
    [
      "no options",
      (ctx) => ctx.waitForUser("Q", { type: "choice", options: [] }),
      /give it options/,
    ],
    [
      "an option twice",
      (ctx) => ctx.waitForUser("Q", { type: "choice", options: ["a", "a"] }),
      /same option twice/,
    ],
    [
      "too few people",
      (ctx) => ctx.waitForUser("Q", { type: "approval", assignees: "a", needed: 2 }),
      /needs 2 approvals of 1 people/,
    ],
    [
      "an unknown option",
      (ctx) => ctx.waitForUser("Q", JSON.parse('{"timeot":"1 h"}')),
      /"timeot"; those of type "text" are/,
    ],
    [
      "a schema without JSON Schema",
      (ctx) => ctx.waitForUser("Q", { type: "form", schema: z.custom(() => true) }),
      /JSON Schema/,
    ],
    ["no approvers", (ctx) => ctx.approval("Q", { approvers: [] }), /needs approvers/],
    [
      "no callback",
      async (ctx) => (await ctx.callback("paid")).result(),
      /callback "paid".*callbacks: \{ "paid"/,
    ],
    ["an empty cron", (ctx) => ctx.sleepUntil({ cron: "" }), /empty cron/],
  ])("%s is told", async ([, body, message]) => {
    const error = await thrown(() => run(body, { answers: { "Size?": ["m"] } }));
    expect(error.name).toBe("UsageError");
    expect(error.message).toMatch(message);
  });

  test("called directly, the workflow says how to answer; a form is checked by its schema", async () => {
    const ask = workflow("ask", (ctx: Context) => ctx.waitForUser("Who?"));
    expect((await thrown(() => ask())).message).toContain("runLocally");
    const schema = z.object({ n: z.number().max(3) });
    const error = await thrown(() =>
      run((ctx) => ctx.waitForUser("Form", { type: "form", schema }), {
        answers: { Form: [{ n: 4 }] },
      }),
    );
    expect(error).toBeInstanceOf(InvalidValueError);
  });
});

describe("approvals", () => {
  const levels = [
    { approvers: "manager" },
    { from: 1_000, approvers: ["dora", "dan"], name: "director" },
    { from: 10_000, approvers: "vp" },
  ];
  const pay = (amount: number, no: readonly string[] = []) => {
    const asked: string[] = [];
    const answers = ({ stepKey, assignees }: LocalQuestion) => {
      asked.push(stepKey);
      return { approved: !no.includes(assignees[0] ?? ""), actor: assignees[0] };
    };
    return run(
      async (ctx) => ({
        asked,
        outcome: await ctx.approval("Pay?", { chain: chainByAmount(amount, levels) }),
      }),
      { answers },
    );
  };

  test("the amount says who is asked, one after the other", async () => {
    expect((await pay(999)).asked).toEqual(["approval:Pay?/user:round"]);
    const { asked, outcome } = await pay(10_000);
    expect(asked.map((key) => key.split("user:")[1])).toEqual(["round", "director", "round#2"]);
    expect(outcome).toMatchObject({ approved: true, round: "vp", timedOut: false });
    expect(outcome.votes.map(({ actor, round }) => `${actor} as ${round}`)).toEqual([
      "manager as manager",
      "dora as director",
      "vp as vp",
    ]);
  });

  test("a rejection ends it: those above are not asked", async () => {
    const { asked, outcome } = await pay(10_000, ["dora"]);
    expect(asked).toHaveLength(2);
    expect(outcome).toMatchObject({ approved: false, decision: "rejected", round: "director" });
  });

  test("what nobody decides in time is decided by the default", async () => {
    const outcome = await run((ctx) =>
      ctx.approval("Pay?", { approvers: "manager", timeout: "2 d", default: "rejected" }),
    );
    expect(outcome).toEqual({
      approved: false,
      decision: "rejected",
      votes: [],
      round: "manager",
      timedOut: true,
    });
    expect(await run((ctx) => ctx.approval("Pay?", { chain: [] }))).toMatchObject({
      approved: true,
      round: "",
    });
  });
});

test("callbacks hand out what was posted", async () => {
  const seen = await run(
    async (ctx) => {
      const [one, two] = [await ctx.callback("paid"), await ctx.callback("paid")];
      // A callback that is open makes no later use of a name ambiguous.
      for (let i = 0; i < 2; i += 1) await ctx.step("tell", () => one.url);
      return { bodies: [await one.result(), await two.result()], same: one.url === two.url };
    },
    { callbacks: { paid: [{ ok: true }, ""] } },
  );
  expect(seen).toEqual({ bodies: [{ ok: true }, ""], same: false });
});
