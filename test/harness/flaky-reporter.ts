/**
 * A test that passes only on its second try has found something: it is printed as FLAKY, with what
 * failed the first time, and counted, so that a run with too many of them fails.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Reporter, TestCase } from "vitest/node";

/** Where the names of the flaky tests of the last run are. */
export const flakyFile = join(import.meta.dirname, "..", "..", "test-results", "flaky.json");

export default class FlakyReporter implements Reporter {
  readonly #names: string[] = [];

  onTestCaseResult(test: TestCase): void {
    if (test.diagnostic()?.flaky !== true) return;
    const name = `${test.module.relativeModuleId} > ${test.fullName}`;
    this.#names.push(name);
    console.log(`\nFLAKY ${name}`);
    for (const error of test.result().errors ?? []) {
      console.log(error.stack ?? error.message);
      if (error.diff !== undefined) console.log(error.diff);
    }
  }

  onTestRunEnd(): void {
    mkdirSync(dirname(flakyFile), { recursive: true });
    writeFileSync(flakyFile, JSON.stringify(this.#names));
  }
}
