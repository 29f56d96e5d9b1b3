/**
 * Runs the tests, and ends with one plain line, `N passed, N failed`.
 *
 *   pnpm test                       everything: vitest, then the suites of the other languages
 *   pnpm test test/store -t fence   these arguments go to vitest, and nothing else is run
 *   pnpm test --suite python        the suite of one language alone
 *   pnpm test --summary             only repeats the line of the last whole run
 */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { root, run } from "./run.ts";
import { type Counts, prepareSuite, requiredSuites, runSuite, suites } from "./suites.ts";

const results = join(root, "test-results");
const vitestReport = join(results, "vitest.json");
/** Names of the tests that passed only on their second try, by test/harness/flaky-reporter.ts. */
const flakyReport = join(results, "flaky.json");
/** How many of those one run may have. Each has found something: look into it. */
const flakyMax = 2;
/** The counts of the last whole run, by suite. */
const summary = join(results, "summary.json");

/** What is counted here of vitest's JSON report. */
interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: { status: string; assertionResults: { status: string }[] }[];
}

/** Failed tests; a file that failed outside of its tests, or the run as a whole, counts as one. */
function countVitest(report: Report, exitCode: number): Counts {
  const { numFailedTests, testResults } = report;
  const files = testResults.filter(
    ({ status, assertionResults }) =>
      status === "failed" && !assertionResults.some((result) => result.status === "failed"),
  );
  return {
    passed: report.numPassedTests,
    failed: Math.max(numFailedTests + files.length, exitCode === 0 ? 0 : 1),
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/** Counts, and the names of the tests that passed only on their second try. */
type Outcome = Counts & { readonly flaky: readonly string[] };

async function runVitest(args: readonly string[]): Promise<Outcome> {
  await rm(vitestReport, { force: true });
  await rm(flakyReport, { force: true });
  const reporters = [
    "--reporter=default",
    "--reporter=./test/harness/flaky-reporter.ts",
    "--reporter=json",
    `--outputFile.json=${vitestReport}`,
  ];
  const exitCode = await run("vitest", ["run", ...reporters, ...args]);
  const text = await readFile(vitestReport, "utf8").catch(() => undefined);
  if (text === undefined) return { passed: 0, failed: 1, skipped: 0, flaky: [] };
  const counts = countVitest(JSON.parse(text) as Report, exitCode);
  const flaky = JSON.parse(await readFile(flakyReport, "utf8").catch(() => "[]")) as string[];
  return { ...counts, flaky };
}

/** Names the flaky tests; returns 1 where there are too many of them. */
function judgeFlaky(names: readonly string[]): number {
  for (const name of names) console.log(`FLAKY ${name}`);
  if (names.length <= flakyMax) return 0;
  console.log(
    `${names.length} tests are flaky; at most ${flakyMax} may be. Their first failures are above.`,
  );
  return 1;
}

/** The closing line. */
function closingLine(all: readonly Counts[]): string {
  const sum = (of: (counts: Counts) => number) => all.reduce((total, c) => total + of(c), 0);
  const skipped = sum((counts) => counts.skipped);
  const tail = skipped > 0 ? `, ${skipped} skipped` : "";
  return `${sum((counts) => counts.passed)} passed, ${sum((counts) => counts.failed)} failed${tail}`;
}

async function repeatSummary(): Promise<void> {
  let text: string;
  try {
    text = await readFile(summary, "utf8");
  } catch (cause) {
    throw new Error(`No summary of a whole test run at ${summary}; run \`pnpm test\`.`, { cause });
  }
  console.log(closingLine(Object.values(JSON.parse(text) as Record<string, Counts>)));
}

const usage = `pnpm test                     everything: vitest, then the suites of the other languages
pnpm test PATH [-t NAME]      these arguments go to vitest, and nothing else is run
pnpm test --suite LANGUAGE    the suite of one language alone: ${suites.map(({ name }) => name).join(", ")}
pnpm test --summary           repeats the closing line of the last whole run`;

/** Runs what the arguments ask for; returns the counts by suite. */
async function runTests(args: readonly string[]): Promise<Record<string, Outcome>> {
  const required = requiredSuites(process.env.PAWL_REQUIRE);
  if (args[0] === "--suite") {
    const suite = suites.find(({ name }) => name === args[1]);
    if (suite === undefined) {
      const names = suites.map(({ name }) => name).join(", ");
      throw new Error(`--suite takes one of ${names}; it got ${args[1] ?? "nothing"}.`);
    }
    return { [suite.name]: await runSuite(suite, await prepareSuite(suite), true) };
  }
  if (args.length > 0) return { typescript: await runVitest(args) };
  // First, since the conformance cases, which vitest runs, use what the other suites make ready.
  const leftOut = new Map<string, string | undefined>();
  for (const suite of suites) leftOut.set(suite.name, await prepareSuite(suite));
  const all: Record<string, Outcome> = { typescript: await runVitest(args) };
  // Beside each other, since each of them uses little more than one core.
  const others = suites.map(async (suite) => {
    const { name } = suite;
    all[name] = await runSuite(suite, leftOut.get(name), required.has(name));
  });
  await Promise.all(others);
  await writeFile(summary, JSON.stringify(all));
  return all;
}

const args = process.argv.slice(2).filter((arg) => arg !== "--");
if (args.includes("--help") || args.includes("-h")) {
  console.log(usage);
} else if (args.includes("--summary")) {
  await repeatSummary();
} else {
  await mkdir(results, { recursive: true });
  if (args.length === 0) await rm(summary, { force: true });
  const all = await runTests(args);
  if (Object.keys(all).length > 1) {
    console.log("");
    for (const [name, counts] of Object.entries(all))
      console.log(`${name}: ${closingLine([counts])}`);
  }
  const tooFlaky = judgeFlaky(Object.values(all).flatMap(({ flaky }) => flaky));
  console.log(closingLine([...Object.values(all), { passed: 0, failed: tooFlaky, skipped: 0 }]));
  if (tooFlaky > 0 || Object.values(all).some(({ failed }) => failed > 0)) process.exitCode = 1;
}
