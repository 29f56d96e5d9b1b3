/**
 * Goal: no failure of a suite of another language is lost, and only a test that can be told from the
 * others is tried again.
 * Method: reports as pytest and `go test -json` write them.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { root } from "../../scripts/run.ts";
import {
  countGo,
  countJunit,
  goFailures,
  junitFailures,
  runSuite,
  type Suite,
} from "../../scripts/suites.ts";

beforeEach(() => void vi.spyOn(console, "log").mockImplementation(() => undefined));
afterEach(() => void vi.restoreAllMocks());

const junit = (tests: string) => `<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="2" skipped="1" tests="6">
${tests}</testsuite></testsuites>`;

const report = junit(`<testcase classname="tests.test_a" name="test_good" time="0.1" />
<testcase classname="tests.test_a" name="test_left_out" time="0"><skipped type="x" message="m">why</skipped></testcase>
<testcase classname="tests.test_a" name="test_bad[a&gt;b]" time="0.2"><failure message="assert 1 == 2">text
  with &lt;testcase&gt; in it</failure></testcase>
<testcase classname="tests.test_b" name="test_both" time="0.2"><failure message="m">text</failure></testcase>
<testcase classname="tests.test_b" name="test_both" time="0.2"><error message="at teardown">text</error></testcase>
<testcase classname="tests.test_b" name="test_last" time="0.1" />`);

test("pytest's failures and errors are counted and named, each test once", () => {
  expect(countJunit(report)).toEqual({ passed: 2, failed: 3, skipped: 1 });
  expect(junitFailures(report)).toEqual([
    "tests.test_a > test_bad[a&gt;b]",
    "tests.test_b > test_both",
  ]);
  expect(junitFailures("")).toEqual([]);
});

type Line = readonly [action: string, test?: string, output?: string];

const go = (...lines: readonly Line[]) =>
  lines
    .map(([Action, Test, Output]) => JSON.stringify({ Action, Package: "pawl", Test, Output }))
    .join("\n");

const failing: readonly Line[] = [
  ["start"],
  ["run", "TestGood"],
  ["pass", "TestGood"],
  ["run", "TestParts"],
  ["run", "TestParts/one"],
  ["run", "TestParts/two"],
  ["output", "TestParts/two", "    parts_test.go:9: two is wrong\n"],
  ["fail", "TestParts/two"],
  ["pass", "TestParts/one"],
  ["fail", "TestParts"],
  ["run", "TestLeftOut"],
  ["skip", "TestLeftOut"],
];

test("Go's failures are counted with their parts, and named by their tests", () => {
  const text = go(...failing, ["fail"]);
  expect(countGo(text)).toEqual({ passed: 2, failed: 2, skipped: 1 });
  expect(console.log).toHaveBeenCalledWith("    parts_test.go:9: two is wrong\n");
  expect(goFailures(text)).toEqual(["TestParts"]);
});

test.each<[string, Line[]]>([
  ["a panic", [["output", "TestParts", "panic: boom\n"]]],
  ["the time limit of all", [["output", "", "panic: test timed out after 5m0s\n"]]],
  ["an exit", [["run", "TestExits"]]],
])("after %s no Go test is tried again, since others did not run", (_, lines) => {
  expect(goFailures(go(...failing, ...lines, ["fail"]))).toEqual([]);
});

test("a Go package that does not compile has no tests to be tried again", () => {
  const text = `# pawl\n./x.go:1:1: expected 'package'\n${go(["output", "", "FAIL\n"], ["fail"])}`;
  expect(goFailures(text)).toEqual([]);
  expect(countGo(text)).toEqual({ passed: 0, failed: 0, skipped: 0 });
});

test("a suite whose failures pass on their second try has flaky tests, and none that failed", async () => {
  await mkdir(join(root, "test-results"), { recursive: true });
  const writing = (text: string, code: number, report: string) =>
    ["sh", "-c", 'printf %s "$1" > "$0"; exit "$2"', report, text, String(code)] as const;
  const suite: Suite = {
    ...{ name: "made-up", folder: ".", probe: ["true"], needs: "nothing" },
    test: (report) => writing("a b c", 1, report),
    again: (report, failed) => writing(failed.join() === "b,c" ? "c" : "?", 1, report),
    count: (text) => ({ passed: 1, failed: text.split(" ").length - 1, skipped: 0 }),
    failures: (text) => text.split(" ").filter((name) => name !== "a"),
  };
  const flaky = ["made-up: b"];
  expect(await runSuite(suite, undefined, true)).toEqual({
    passed: 2,
    failed: 1,
    skipped: 0,
    flaky,
  });
});
