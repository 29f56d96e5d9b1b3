/**
 * The test suites of the other languages: what each needs, how it is run, and how its tests are
 * counted. A suite whose toolchain is not here is left out, and that is said; PAWL_REQUIRE names
 * those that must not be: `PAWL_REQUIRE=python,go`.
 */
import { spawnSync } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { root, run } from "./run.ts";

/** Tests by how they ended. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** A command with its arguments. */
type Command = readonly [command: string, ...args: string[]];

export interface Suite {
  readonly name: string;
  /** In which the commands are run, from the root. */
  readonly folder: string;
  /** Succeeds where the toolchain is here. */
  readonly probe: Command;
  /** What it takes, for people. */
  readonly needs: string;
  /** Makes ready what the tests need; fast when it is. */
  readonly setup?: Command;
  /** Runs the tests; they leave a report in the file. */
  readonly test: (report: string) => Command;
  readonly count: (report: string) => Counts;
  /** The tests that failed, by their full names. */
  readonly failures: (report: string) => readonly string[];
  /** Runs only the tests that failed in the run before. */
  readonly again: (report: string, failed: readonly string[]) => Command;
}

/** Of pytest's JUnit report: `<testsuite tests="9" failures="1" errors="0" skipped="0">`. */
export function countJunit(xml: string): Counts {
  const sum = (name: string) =>
    [...xml.matchAll(/<testsuite\b[^>]*>/g)].reduce((total, [tag]) => {
      const match = new RegExp(`\\b${name}="(\\d+)"`).exec(tag);
      return total + Number(match?.[1] ?? 0);
    }, 0);
  const failed = sum("failures") + sum("errors");
  const skipped = sum("skipped");
  return { passed: sum("tests") - failed - skipped, failed, skipped };
}

/** The test cases of a JUnit report that hold a failure or an error; one with both is named once. */
export function junitFailures(xml: string): readonly string[] {
  const tags = xml.matchAll(/<testcase\b([^>]*[^/])>\s*<(?:failure|error)\b/g);
  const names = [...tags].map(([, tag = ""]) => {
    const value = (name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1] ?? "";
    return `${value("classname")} > ${value("name")}`;
  });
  return [...new Set(names)];
}

/** One line of `go test -json`. */
interface GoEvent {
  Action: string;
  Package: string;
  Test?: string;
  Output?: string;
}

function goEvents(report: string): readonly GoEvent[] {
  // A package that does not compile leaves lines that are not events.
  const lines = report.split("\n").filter((line) => line.startsWith("{"));
  return lines.map((line) => JSON.parse(line) as GoEvent);
}

/**
 * The tests that failed; a test that failed by one of its parts is named once. None where a test took
 * others with it, by a panic or by the time limit of all: those did not run, and have to.
 */
export function goFailures(report: string): readonly string[] {
  const names = new Set<string>();
  const open = new Set<string>();
  for (const { Action, Package, Test, Output = "" } of goEvents(report)) {
    if (/^(panic|fatal error): /.test(Output)) return [];
    if (Test === undefined) continue;
    const name = `${Package} ${Test}`;
    if (Action === "run") open.add(name);
    if (["pass", "fail", "skip"].includes(Action)) open.delete(name);
    if (Action === "fail") names.add(Test.split("/")[0] ?? Test);
  }
  return open.size > 0 ? [] : [...names];
}

/** Of `go test -json`. What failed is printed, since its output went into the report. */
export function countGo(report: string): Counts {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  const outputs = new Map<string, string>();
  for (const { Action, Package, Test = "", Output = "" } of goEvents(report)) {
    const name = `${Package} ${Test}`;
    if (Action === "output") outputs.set(name, (outputs.get(name) ?? "") + Output);
    if (Action === "fail") console.log(outputs.get(name) ?? `${name} failed.`);
    if (Test === "") continue;
    if (Action === "pass") counts.passed += 1;
    if (Action === "fail") counts.failed += 1;
    if (Action === "skip") counts.skipped += 1;
  }
  return counts;
}

/** Formatting and vet first; their complaints are printed. */
const goTest =
  'gofmt -l . | { ! grep .; } && go vet ./... && go test -timeout 600s -json ./... > "$0"';

export const suites: readonly Suite[] = [
  {
    name: "python",
    folder: join("worker-sdk", "python"),
    probe: ["python3", "-c", "import sys, venv; sys.exit(sys.version_info < (3, 11))"],
    needs: "python3, 3.11 or newer, with the module venv",
    setup: ["./setup.sh"],
    test: (report) => [".venv/bin/python", "-m", "pytest", `--junitxml=${report}`],
    count: countJunit,
    failures: junitFailures,
    again: (report) => [
      ...([".venv/bin/python", "-m", "pytest", "--last-failed"] as const),
      `--junitxml=${report}`,
    ],
  },
  {
    name: "go",
    folder: join("worker-sdk", "go"),
    probe: ["go", "version"],
    needs: "go, 1.26 or newer",
    // What test/conformance and the bench run.
    setup: ["go", "build", "-o", "bin/", "./conformance", "./bench"],
    test: (report) => ["sh", "-c", goTest, report],
    count: countGo,
    failures: goFailures,
    again: (report, failed) => [
      ...(["sh", "-c", 'go test -timeout 600s -json -run "$1" ./... > "$0"'] as const),
      ...([report, `^(${failed.join("|")})$`] as const),
    ],
  },
];

/** If more tests fail than this, none of them is run again. */
const flakyTriesMax = 5;

/** The suites that PAWL_REQUIRE names; throws for a name that is none. */
export function requiredSuites(value: string | undefined): ReadonlySet<string> {
  const names = (value ?? "").split(",").flatMap((part) => part.trim() || []);
  const known = suites.map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new Error(
      `PAWL_REQUIRE names ${unknown.join(", ")}; the suites are ${known.join(", ")}.`,
    );
  }
  return new Set(names);
}

/** Returns why a suite's language cannot be used here; undefined if it can. */
export function missingToolchain({ probe, needs }: Suite): string | undefined {
  const [command, ...args] = probe;
  const { status } = spawnSync(command, args, { cwd: root, stdio: "ignore" });
  return status === 0 ? undefined : `it needs ${needs}.`;
}

/** Makes ready what a suite needs; returns why it must be left out, if it must. */
export async function prepareSuite(suite: Suite): Promise<string | undefined> {
  const { name, folder, setup } = suite;
  const missing = missingToolchain(suite);
  if (missing !== undefined) return missing;
  if (setup === undefined) return undefined;
  console.log(`── ${name}: ${setup.join(" ")} (${folder})`);
  if ((await runIn(join(root, folder), setup)) === 0) return undefined;
  return `${setup.join(" ")} failed; its message is above.`;
}

/**
 * Runs a suite that is prepared, or says why it is left out, which is a failure where it is required.
 * A test that fails is run once more, with the others that failed: one that passes then is flaky.
 */
export async function runSuite(
  suite: Suite,
  leftOut: string | undefined,
  required: boolean,
): Promise<Counts & { readonly flaky: readonly string[] }> {
  const { name, folder, test } = suite;
  console.log(`\n── ${name} (${folder})`);
  if (leftOut !== undefined) {
    console.log(`── ${name}: LEFT OUT: ${leftOut}${required ? " PAWL_REQUIRE asks for it." : ""}`);
    return { passed: 0, failed: required ? 1 : 0, skipped: 0, flaky: [] };
  }
  const report = join(root, "test-results", `${name}.report`);
  const first = await attempt(suite, report, test(report));
  const { counts, failures } = first;
  // Many failures are not an accident, and a run that failed outside of its tests cannot be tried again.
  if (first.code === 0 || failures.length === 0 || failures.length > flakyTriesMax) {
    const failed = Math.max(counts.failed, first.code === 0 ? 0 : 1);
    return { ...counts, failed, flaky: [] };
  }
  console.log(`── ${name}: once more: ${failures.join(", ")}`);
  const again = `${report}.again`;
  const second = await attempt(suite, again, suite.again(again, failures));
  if (second.code !== 0 && second.failures.length === 0) return { ...counts, flaky: [] };
  const flaky = failures.filter((failure) => !second.failures.includes(failure));
  return {
    ...counts,
    passed: counts.passed + flaky.length,
    failed: second.failures.length,
    flaky: flaky.map((test) => `${name}: ${test}`),
  };
}

interface Attempt {
  readonly code: number;
  readonly counts: Counts;
  readonly failures: readonly string[];
}

/** Runs a command that leaves a report, and reads the report. */
async function attempt(suite: Suite, report: string, command: Command): Promise<Attempt> {
  await rm(report, { force: true });
  const code = await runIn(join(root, suite.folder), command);
  const text = await readFile(report, "utf8").catch((error: unknown) => {
    console.error(`The tests left no report at ${report}: ${String(error)}`);
    return undefined;
  });
  if (text === undefined)
    return { code, counts: { passed: 0, failed: 1, skipped: 0 }, failures: [] };
  return { code, counts: suite.count(text), failures: suite.failures(text) };
}

async function runIn(cwd: string, [command, ...args]: Command): Promise<number> {
  return await run(command, args, cwd);
}
