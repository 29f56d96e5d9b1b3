/**
 * Goal: a file is found by its name: few have the same one.
 * Method: count the names of all sources; then count made-up ones, to see that the check can fail.
 */
import { expect, test } from "vitest";
import { commonNames, sameNameMax } from "./exceptions.ts";
import { findCommonNames } from "./file-names.ts";
import { readOthers, readSources } from "./sources.ts";

test(`no more than ${sameNameMax} files have the same name`, () => {
  const paths = [...readSources(), ...readOthers()].map(({ path }) => path);
  expect(findCommonNames(paths, sameNameMax, commonNames)).toEqual([]);
});

test("a name that is used too often is found", () => {
  const paths = [
    "a/waits.ts",
    "b/waits.ts",
    "c/waits.ts",
    "a/index.ts",
    "b/index.ts",
    "c/index.ts",
  ];
  expect(findCommonNames(paths, 2, [/index\.ts$/])).toEqual([
    "3 files are named waits.ts, 2 at most: a/waits.ts, b/waits.ts, c/waits.ts",
  ]);
});
