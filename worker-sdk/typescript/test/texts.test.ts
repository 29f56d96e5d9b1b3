/**
 * Goal: names, keys and questions mean the same in every SDK, whatever text they are made of.
 * Method: the vectors that all SDKs read, `test/conformance/texts.json`, through the public interface.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { childRunId } from "../src/context/child.ts";
import { UsageError } from "../src/index.ts";
import { run, thrown } from "./support/local.ts";

const refused = z.array(
  z.object({ text: z.string(), why: z.string(), position: z.number().optional() }),
);
const keyed = z.array(z.object({ text: z.string(), key: z.string() }));
const texts = z
  .object({
    children: z.array(z.object({ parent: z.string(), stepKey: z.string(), runId: z.string() })),
    questions: keyed,
    refusedQuestions: refused,
    names: keyed,
    refusedNames: refused,
    refusedKeys: refused,
    values: z.array(z.object({ text: z.string(), recorded: z.string() })),
    joined: z.array(z.object({ pieces: z.array(z.string()), result: z.string() })),
  })
  .parse(
    JSON.parse(
      readFileSync(new URL("../../../test/conformance/texts.json", import.meta.url), "utf8"),
    ),
  );

function expectRefusal(error: Error, position: number | undefined): void {
  expect(error).toBeInstanceOf(UsageError);
  if (position !== undefined) expect(error.message).toContain(`character ${position}`);
}

describe("texts", () => {
  test("a child has the same id everywhere, which docs/protocol.md tells", () => {
    const guide = readFileSync(new URL("../../../docs/protocol.md", import.meta.url), "utf8");
    for (const { parent, stepKey, runId } of texts.children) {
      expect(childRunId(parent, stepKey)).toBe(runId);
    }
    for (const { parent, stepKey, runId } of texts.children.slice(0, 4)) {
      expect(guide).toContain(`| \`${parent}\` | \`${stepKey}\` | \`${runId}\` |`);
    }
  });

  test("values are well-formed before code is given them", async () => {
    for (const { text, recorded } of texts.values) {
      const handed = await run(
        async (ctx) => [
          await ctx.step("s", () => ({ [text]: text })),
          await ctx.step("with", (x: string) => x === recorded, [text]),
          await ctx.signal("go"),
        ],
        { signals: { go: [text] } },
      );
      expect(handed).toStrictEqual([{ [recorded]: recorded }, true, recorded]);
    }
  });

  test("halves of a character that meet are the character, for watchers too", async () => {
    for (const { pieces, result } of texts.joined) {
      const seen: unknown[] = [];
      const onEvent = (_type: string, data: unknown) => void seen.push(data);
      const joined = await run(
        (ctx) =>
          ctx.step("s", async function* () {
            yield* pieces;
          }),
        { onEvent },
      );
      expect(joined).toBe(result);
      expect(seen.join("")).toBe(result);
    }
  });

  test("a question has the same key everywhere", async () => {
    const asked = new Map<string, string>();
    for (const { text } of texts.questions) {
      await run((ctx) => ctx.waitForUser(text), {
        answers: ({ stepKey }) => {
          asked.set(text, stepKey);
          return "yes";
        },
      });
    }
    expect(texts.questions.map(({ text }) => ({ text, key: asked.get(text) }))).toEqual(
      texts.questions.map(({ text, key }) => ({ text, key })),
    );
  });

  test.each(texts.refusedQuestions)("the question $text is refused: $why", async (bad) => {
    const ask = () => run((ctx) => ctx.waitForUser(bad.text), { answers: () => "yes" });
    expectRefusal(await thrown(ask), bad.position);
    const approve = () =>
      run((ctx) => ctx.approval(bad.text, { approvers: "ada" }), { answers: () => true });
    expectRefusal(await thrown(approve), bad.position);
  });

  test("names and keys are escaped alike", async () => {
    for (const { text, key } of texts.names) {
      const [named, keyedBy] = await run(async (ctx) => [
        await ctx.step(text, (s) => s.stepKey),
        await ctx.step("s", (s) => s.stepKey, { key: text }),
      ]);
      expect({ text, named, keyedBy }).toEqual({ text, named: key, keyedBy: `s[${key}]` });
    }
  });

  test.each(texts.refusedNames)("the name $text is refused: $why", async ({ text, position }) => {
    for (const use of [
      () => run((ctx) => ctx.step(text, () => 1)),
      () => run((ctx) => ctx.signal(text)),
      () => run((ctx) => ctx.scope(text, () => 1)),
      () => run((ctx) => ctx.callback(text)),
      () => run((ctx) => ctx.child(text, 1)),
      () => run((ctx) => ctx.spawn(text, 1)),
      () => run((ctx) => ctx.map(text, [1], () => 1)),
      () => run(async (ctx) => ctx.emit(text, 1)),
    ]) {
      expectRefusal(await thrown(use), position);
    }
  });

  test.each(texts.refusedKeys)("the key $text is refused: $why", async ({ text, position }) => {
    for (const use of [
      () => run((ctx) => ctx.step("s", () => 1, { key: text })),
      () => run((ctx) => ctx.waitForUser("Go?", { key: text })),
      () => run((ctx) => ctx.approval("Go?", { key: text, approvers: "ada" })),
      () => run((ctx) => ctx.callback("c", { key: text })),
      () => run((ctx) => ctx.map("m", [1], { key: () => text }, () => 1)),
      () => run((ctx) => ctx.all({ [text]: () => 1 })),
      () => run((ctx) => ctx.child("other", 1, { key: text })),
    ]) {
      expectRefusal(await thrown(use), position);
    }
  });
});
