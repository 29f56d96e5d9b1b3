/**
 * Goal: the reasons are one closed set, told alike by code, contract and documentation.
 * Method: compare the table in the model with the one in docs/errors.md, and every word in the
 * contract's comments that looks like a reason with what is declared.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { REASONS } from "@pawl/server/internal";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "..");
const contract = join(root, "proto", "pawl", "v1");

/** Rows of the table of reasons: reason and code. */
function documented(): [string, string][] {
  const text = readFileSync(join(root, "docs", "errors.md"), "utf8");
  return [...text.matchAll(/^\| `([A-Z_]+)` \| ([A-Z_]+) \|/gm)].map(([, reason, code]) => [
    reason ?? "",
    code ?? "",
  ]);
}

/** Words of state_reason and of the outcomes of StepStarted, which are not errors. */
const otherWords = new Set([
  "PAUSED_BY_OPERATOR",
  "RETRIES_EXHAUSTED",
  "UNKNOWN_OUTCOME",
  "CRASH_LOOP",
  "PAUSING",
  "DELAYED",
  "NO_WORKER",
  "CONCURRENCY_LIMIT",
  "DEBOUNCED",
  "RATE_LIMIT",
  "RUN_TIMEOUT",
  "RUN_CANCELLED",
]);

test("docs/errors.md has exactly the reasons of the model, with their codes", () => {
  expect(Object.fromEntries(documented())).toEqual({ ...REASONS });
  expect(documented()).toHaveLength(Object.keys(REASONS).length);
});

/** All files of the contract, each as its lines. */
const files = readdirSync(contract)
  .filter((name) => name.endsWith(".proto"))
  .map((name) => ({ name, lines: readFileSync(join(contract, name), "utf8").split("\n") }));

test("the contract's comments mention only reasons that there are", () => {
  const known = new Set([...Object.keys(REASONS), ...otherWords]);
  for (const line of files.flatMap(({ lines }) => lines)) {
    const declared = /^\s+([A-Z_]+) = \d+;/.exec(line)?.[1];
    if (declared !== undefined) known.add(declared);
  }
  const unknown: string[] = [];
  for (const { name, lines } of files) {
    for (const line of lines.filter((one) => one.trimStart().startsWith("//"))) {
      for (const [word] of line.matchAll(/\b[A-Z]+(?:_[A-Z]+)+\b/g)) {
        if (!known.has(word)) unknown.push(`${name}: ${word}`);
      }
    }
  }
  expect(unknown).toEqual([]);
});

test("each service's comments name the reasons that its calls answer with", () => {
  const text = files.flatMap(({ lines }) => lines).join("\n");
  // Raised by SDKs and loops, or the same everywhere; docs/errors.md is enough for these.
  const general = ["AMBIGUOUS_STEP_KEY", "RATE_LIMITED", "DATA_CORRUPTED", "SCHEMA_TOO_SLOW"];
  const missing = Object.keys(REASONS).filter(
    (reason) => !general.includes(reason) && !new RegExp(`//.*\\b${reason}\\b`).test(text),
  );
  expect(missing).toEqual([]);
});
