/**
 * Goal: files and functions stay short enough to be read at once.
 * Method: measure all of them against the limits and the table of exceptions.
 */
import { expect, test } from "vitest";
import {
  fileLinesMax,
  functionLinesMax,
  longFiles,
  longFunctions,
  testFileLinesMax,
} from "./exceptions.ts";
import { findSizeFaults, measureFile, measureFunctions } from "./sizes.ts";
import { parseSource, readOthers, readSources } from "./sources.ts";

const sources = readSources();
const isTest = ({ path }: { path: string }): boolean => /-?tests?\.ts$/.test(path);

const [tests, others] = [sources.filter(isTest), sources.filter((source) => !isTest(source))];

test(`no file is longer than ${fileLinesMax} lines, no file of tests than ${testFileLinesMax}`, () => {
  expect(findSizeFaults(others.map(measureFile), fileLinesMax, longFiles)).toEqual([]);
  expect(findSizeFaults(tests.map(measureFile), testFileLinesMax, {})).toEqual([]);
});

test("the files of the SDKs in other languages are no longer than that", () => {
  const files = readOthers();
  const areTests = ({ path }: { path: string }): boolean => /(^|\/)test_|_test\.go$/.test(path);
  const code = files.filter((file) => !areTests(file)).map(measureFile);
  expect(findSizeFaults(code, fileLinesMax, {})).toEqual([]);
  expect(findSizeFaults(files.filter(areTests).map(measureFile), testFileLinesMax, {})).toEqual([]);
});

test(`no function is longer than ${functionLinesMax} lines`, () => {
  const sizes = sources.flatMap(measureFunctions);
  expect(findSizeFaults(sizes, functionLinesMax, longFunctions)).toEqual([]);
});

test("functions of all forms are measured by name, lists of tests are not", () => {
  const text = `function one() {
}
const two = () => {

};
class C {
  three() { return () => 1; }
  #four = async () => {

  };
}
describe('x', () => {
  const five = () => 1;
});`;
  expect(measureFunctions(parseSource("a.ts", text))).toEqual([
    { name: "a.ts#one", lines: 2 },
    { name: "a.ts#two", lines: 3 },
    { name: "a.ts#line 7", lines: 1 },
    { name: "a.ts#three", lines: 1 },
    { name: "a.ts##four", lines: 3 },
    { name: "a.ts#five", lines: 1 },
    { name: "a.ts#line 12", lines: 3 },
  ]);
});

test("what is too long, and what needs no exception, is found", () => {
  const sizes = [
    { name: "a", lines: 11 },
    { name: "b", lines: 11 },
    { name: "c", lines: 12 },
    { name: "d", lines: 10 },
  ];
  const exceptions = { b: { linesMax: 11 }, c: { linesMax: 11 }, d: { linesMax: 11 } };
  expect(findSizeFaults(sizes, 10, exceptions)).toEqual([
    "a has 11 lines, 10 at most: split it.",
    "c has 12 lines, 11 at most: split it.",
    "d needs no exception any more: remove it.",
  ]);
});
