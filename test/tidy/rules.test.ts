/**
 * Goal: no `any`, no cast that silences the compiler, no clock or randomness outside of the
 * server's lib, no `.only` left behind.
 * Method: look for each in all sources; then in made-up ones, to see that they are found.
 */
import { expect, test } from "vitest";
import { allowedUses } from "./exceptions.ts";
import { findUseFaults, findUses } from "./rules.ts";
import { parseSource, readSources } from "./sources.ts";

test("no forbidden construct is used", () => {
  expect(findUseFaults(readSources().flatMap(findUses), allowedUses)).toEqual([]);
});

test.each([
  ["any", "test/a.ts", "const x: any = 1;"],
  ["any", "worker-sdk/typescript/src/a.ts", "type F = (...args: any[]) => void;"],
  ["double-cast", "test/a.ts", "f(x as unknown as string);"],
  ["double-cast", "server/src/lib/a.ts", "f((x as unknown) as string);"],
  ["clock", "server/src/engine/a.ts", "const now = Date.now();"],
  ["clock", "server/src/config.ts", "const now = new Date();"],
  ["clock", "server/src/hub/a.ts", "const now = performance.now();"],
  ["random", "server/src/model/a.ts", "const x = Math.random();"],
  ["random", "server/src/rpc/a.ts", `import { randomUUID } from 'node:crypto';`],
  ["random", "server/src/rpc/a.ts", "crypto.randomUUID();"],
  ["only", "test/a.test.ts", `test.only('x', () => {});`],
])("%s is found in %s: %s", (rule, path, text) => {
  expect(findUses(parseSource(path, text))).toEqual([{ rule, path, line: 1 }]);
});

test.each([
  ["server/src/lib/clock.ts", "Date.now(); Math.random();"],
  ["server/src/engine/a.test.ts", "Date.now();"],
  ["server/src/engine/a.ts", "new Date(ms);"],
  ["worker-sdk/typescript/src/a.ts", "Date.now();"],
  ["test/a.ts", "const x = y as string; const z: unknown = 1;"],
])("nothing is found in %s: %s", (path, text) => {
  expect(findUses(parseSource(path, text))).toEqual([]);
});

test("uses are compared with what is allowed, both ways", () => {
  const use = { rule: "any", path: "a.ts", line: 3 };
  expect(findUseFaults([use], { "a.ts": { any: 1 } })).toEqual([]);
  expect(findUseFaults([use], {})).toEqual(["any: used 1 times, 0 allowed: a.ts:3"]);
  expect(findUseFaults([], { "a.ts": { any: 1 } })).toEqual(["any: allowed in a.ts, not used."]);
});
