/**
 * Goal: docs/sdk-surface.md names all that the three SDKs export, and nothing else.
 * Method: compare the table's columns with what the packages export, in both directions.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { goSurface, pythonSurface, typescriptSurface } from "./surface.ts";

const table = readFileSync(join(import.meta.dirname, "..", "..", "docs", "sdk-surface.md"), "utf8");

/** The names in one column, from 0. */
function column(index: number): string[] {
  return table.split("\n").flatMap((line) => {
    const cell = line.startsWith("| ") ? (line.split(" | ")[index + 1] ?? "") : "";
    return [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
  });
}

test("package.json has the version that the TypeScript SDK says it is", () => {
  const folder = join(import.meta.dirname, "..", "..", "worker-sdk", "typescript");
  const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  expect(readFileSync(join(folder, "src", "version.ts"), "utf8")).toContain(`"${version}"`);
});

test.each([
  ["TypeScript", typescriptSurface],
  ["Python", pythonSurface],
  ["Go", goSurface],
])("the table names what %s exports", (name, read) => {
  const exported = read();
  if (exported === undefined) {
    console.log(`left out: the SDK for ${name} is not ready here`);
    return;
  }
  const listed = new Set(column(["TypeScript", "Python", "Go"].indexOf(name)));
  const names = new Set(exported);
  expect(
    [...names].filter((one) => !listed.has(one)),
    "exported, but not in the table",
  ).toEqual([]);
  expect(
    [...listed].filter((one) => !names.has(one)),
    "in the table, but not exported",
  ).toEqual([]);
});
