/**
 * Goal: no schema and no value holds the event loop up, and each check has the right outcome.
 * Method: checks of all kinds, with what would take minutes, while a timer says how long the loop
 * stood still.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { expect, test } from "vitest";
import { problemsOf, tryCompile, UnusableSchema } from "./checker.ts";

const check = async (schema: unknown, value: unknown) => {
  const data = Buffer.from(JSON.stringify(value));
  return await problemsOf(JSON.stringify(schema), data, value);
};

/** Doubles with each level: what takes long whatever the value is. */
const doubling = (levels: number) => ({
  $ref: "#/$defs/l0",
  $defs: Object.fromEntries([
    ...Array.from({ length: levels }, (_, i) => [
      `l${i}`,
      { allOf: [{ $ref: `#/$defs/l${i + 1}` }, { $ref: `#/$defs/l${i + 1}` }] },
    ]),
    [`l${levels}`, { type: "number" }],
  ]),
});

const objects = Array.from({ length: 60_000 }, (_, i) => ({ i }));

test.each([
  ["a pattern that goes back for ever", { pattern: "^(?=a)(a+)+$" }, `${"a".repeat(40)}!`],
  ["unique items in a long array", { type: "array", uniqueItems: true }, objects],
  ["references that double", doubling(40), 1],
])("%s is given up, and others are checked meanwhile", async (_name, schema, value) => {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  const others = { pattern: "^(?!b)" };
  await check(others, "a");
  delay.enable();
  const data = Buffer.from(JSON.stringify(value));
  const slow = problemsOf(JSON.stringify(schema), data, value).catch((error: unknown) => error);
  expect(await check(others, "b")).toEqual([{ path: "/", problem: 'must match pattern "^(?!b)"' }]);
  expect(await slow).toMatchObject({ reason: "SCHEMA_TOO_SLOW" });
  delay.disable();
  // What holds the loop up does so for long; a busy machine for a second or two.
  expect(delay.max / 1e6).toBeLessThan(5_000);
  expect(await check(others, "b")).toHaveLength(1);
});

test("a pattern that is dangerous to other engines is checked at once", async () => {
  expect(await check({ pattern: "^(a+)+$" }, `${"a".repeat(30_000)}!`)).toHaveLength(1);
  expect(await check({ pattern: "^(a+)+$" }, "a".repeat(30_000))).toEqual([]);
});

test("what many write, though JSON Schema does not take it, is a pattern", async () => {
  expect(await check({ pattern: "^[\\w-.]+\\@$" }, "a.b-c@")).toEqual([]);
  expect(await check({ pattern: "^[\\w-.]+\\@$" }, "a b")).toHaveLength(1);
});

test.each([
  [{ type: "array", uniqueItems: true }, [1, 2, 1], 1],
  [{ type: "array", uniqueItems: true }, [1, 2], 0],
  [doubling(3), "x", 8],
  [
    { $ref: "#/$defs/t", $defs: { t: { properties: { t: { $ref: "#/$defs/t" } } } } },
    { t: { t: {} } },
    0,
  ],
  [{ $id: "https://a.example/b", $ref: "#/$defs/n", $defs: { n: { type: "number" } } }, "a", 1],
  [{ $id: "https://a.example/b", type: "string" }, 1, 1],
  [{ type: "string" }, "x".repeat(200_000), 0],
  [{ items: { type: "string" } }, [1, ..."x".repeat(100_000)], 1],
])("%j", async (schema, value, problems) => {
  expect(await check(schema, value)).toHaveLength(problems);
});

test("a large value that fails everywhere is told one problem", async () => {
  const items = Array.from({ length: 50_000 }, (_, i) => i);
  expect(await check({ items: { type: "string" } }, items)).toHaveLength(1);
});

test.each([
  ["$async", { $async: true, type: "string" }],
  ["a reference to elsewhere", { $ref: "https://example.com/schema.json" }],
  ["a reference to nothing", { $ref: "#/$defs/none" }],
  ["an unknown type", { type: "texts" }],
  ["no pattern", { pattern: "(" }],
  ["a number", 5],
  ["an array", []],
])(
  "%s is not a usable schema, when it is registered and when it is used",
  async (_name, schema) => {
    for (let i = 0; i < 2; i += 1) {
      const usable = async (): Promise<void> => await tryCompile(JSON.stringify(schema));
      await expect(usable()).rejects.toBeInstanceOf(UnusableSchema);
      await expect(check(schema, "x")).rejects.toBeInstanceOf(UnusableSchema);
    }
  },
);

test("nor is one that is nested without end", async () => {
  const deep = `${'{"not":'.repeat(5_000)}{}${"}".repeat(5_000)}`;
  const usable = async (): Promise<void> => await tryCompile(deep);
  await expect(usable()).rejects.toThrow("nested more than 400 levels");
});

test("a value as deep as is allowed can be checked against what refers to itself", async () => {
  const tree = { type: "array", items: { $ref: "#" } };
  let value: unknown = [];
  for (let i = 1; i < 400; i += 1) value = [value];
  expect(await check(tree, value)).toEqual([]);
});
