/**
 * Runs the tests, and ends with one plain line, `N passed, N failed`. Arguments go to vitest:
 * `pnpm test test/store -t fence`. `--summary` only repeats the line of the last whole run.
 */
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { root, run } from "./run.ts";

const report = join(root, "test-results", "vitest.json");

/** What is shown here of vitest's JSON report. */
interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: { status: string; assertionResults: { status: string }[] }[];
}

/** Failed tests; a file that failed outside of its tests, or the run as a whole, counts as one. */
function countFailed({ numFailedTests, testResults }: Report, exitCode: number): number {
  const files = testResults.filter(
    ({ status, assertionResults }) =>
      status === "failed" && !assertionResults.some((result) => result.status === "failed"),
  );
  return Math.max(numFailedTests + files.length, exitCode === 0 ? 0 : 1);
}

/** The closing line, or why there is none. */
async function summarize(exitCode: number): Promise<string> {
  let text: string;
  try {
    text = await readFile(report, "utf8");
  } catch (cause) {
    throw new Error(`No report of a test run at ${report}; run \`pnpm test\`.`, { cause });
  }
  const counts = JSON.parse(text) as Report;
  const skipped = counts.numPendingTests + counts.numTodoTests;
  const tail = skipped > 0 ? `, ${skipped} skipped` : "";
  return `${counts.numPassedTests} passed, ${countFailed(counts, exitCode)} failed${tail}`;
}

let exitCode = 0;
const args = process.argv.slice(2).filter((arg) => arg !== "--");
if (!args.includes("--summary")) {
  await mkdir(join(root, "test-results"), { recursive: true });
  await rm(report, { force: true });
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  exitCode = await run("vitest", ["run", ...reporters, ...args]);
}
console.log(await summarize(exitCode));
process.exitCode = exitCode;
