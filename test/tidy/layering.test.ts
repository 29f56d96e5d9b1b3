/**
 * Goal: data flows one way: no upward import, no run-time cycle, server and SDK apart.
 * Method: parse every source and compare its imports with the rules; then break each rule in a
 * made-up source, to see that the checks can fail.
 */
import { expect, test } from "vitest";
import { knotFilesMax } from "./exceptions.ts";
import {
  findCycles,
  findImpureDecisions,
  findKnots,
  findLayeringFaults,
  groupForCycles,
} from "./layering.ts";
import { parseSource, readSources } from "./sources.ts";

const sources = readSources();

test("no import breaks the layers", () => {
  expect(findLayeringFaults(sources)).toEqual([]);
});

test("decisions do no I/O", () => {
  expect(findImpureDecisions(sources)).toEqual([]);
});

test("no files import one another at run time", () => {
  expect(groupForCycles(sources).flatMap((group) => findCycles(group))).toEqual([]);
});

test(`no more than ${knotFilesMax} files know one another by their types`, () => {
  expect(findKnots(sources, knotFilesMax)).toEqual([]);
});

test.each([
  ["server/src/lib/a.ts", `import { x } from '../model/x.ts'`, "upward, from lib to model"],
  ["server/src/store/a.ts", `import type { X } from '../engine/x.ts'`, "upward"],
  ["server/src/config.ts", `export * from './app.ts'`, "upward"],
  ["server/src/hub/a.ts", `await import('../store/store.ts')`, "upward"],
  ["server/src/rpc/a.ts", `import type { Store } from '../store/store.ts'`, "never to the store"],
  ["server/src/rpc/a.ts", `import '../http/x.ts'`, "upward, from rpc to http"],
  ["server/src/engine/a.ts", `import pg from 'pg'`, "only store may"],
  ["server/src/engine/a.ts", `import { Code } from '@connectrpc/connect'`, "only rpc"],
  ["server/src/engine/a.ts", `import '../../../test/harness/postgres.ts'`, "outside"],
  ["server/src/misc/a.ts", `import 'node:fs'`, "in no layer"],
  ["server/src/app.ts", `import { Worker } from '@pawl/worker'`, "never imports an SDK"],
  ["worker-sdk/typescript/src/a.ts", `import '@pawl/server/internal'`, "never imports the server"],
  ["worker-sdk/typescript/src/a.ts", `import '../../../server/src/app.ts'`, "never imports"],
])("in %s, %s is found", (path, text, message) => {
  expect(findLayeringFaults([parseSource(path, text)])).toEqual([expect.stringContaining(message)]);
});

test("I/O is found where decide/ runs it, however far away", () => {
  const decide = parseSource("server/src/engine/decide/a.ts", `import '../b.ts'`);
  const helper = (text: string) => parseSource("server/src/engine/b.ts", text);
  expect(findImpureDecisions([decide, helper(`import { readFile } from 'node:fs'`)])).toEqual([
    "server/src/engine/b.ts imports node:fs, and decide/ runs it: decisions do no I/O.",
  ]);
  expect(findImpureDecisions([decide, helper(`import type { Stats } from 'node:fs'`)])).toEqual([]);
});

test("run-time cycles are found; type-only and dynamic ones are none", () => {
  const parse = (imports: Record<string, string>) =>
    Object.entries(imports).map(([path, text]) => parseSource(path, text));
  const loop = { "a.ts": `import './b.ts'`, "b.ts": `export * from './c.ts'` };
  expect(findCycles(parse({ ...loop, "c.ts": `import { type A } from './a.ts'` }))).toEqual([
    ["a.ts", "b.ts", "c.ts"],
  ]);
  expect(findCycles(parse({ "a.ts": `import './a.ts'` }))).toEqual([["a.ts"]]);
  expect(findCycles(parse({ ...loop, "c.ts": `import type { A } from './a.ts'` }))).toEqual([]);
  expect(findCycles(parse({ ...loop, "c.ts": `await import('./a.ts')` }))).toEqual([]);
});

test("files that know one another by their types are found", () => {
  const files = ["a", "b", "c"].map((name, at) =>
    parseSource(
      `server/src/lib/${name}.ts`,
      `import type { X } from './${["b", "c", "a"][at]}.ts'`,
    ),
  );
  const [knot] = findKnots(files, 2);
  expect(knot).toContain("3 files know one another, 2 at most: server/src/lib/a.ts");
  expect(findKnots(files, 3)).toEqual([]);
});
