/**
 * Goal: every direct dependency is there for a reason that can be read.
 * Method: look for each package.json's dependencies, in backticks, in ARCHITECTURE.md.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "./sources.ts";

const packages = [".", "proto", "server", "worker-sdk/typescript", "examples", "test"];
const architecture = join(root, "ARCHITECTURE.md");

/** The parts of a package.json that name dependencies. */
interface Manifest {
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
}

function listDependencies(): string[] {
  const names = packages.flatMap((folder) => {
    const text = readFileSync(join(root, folder, "package.json"), "utf8");
    const { dependencies, devDependencies } = JSON.parse(text) as Manifest;
    return Object.keys({ ...dependencies, ...devDependencies });
  });
  return [...new Set(names)].filter((name) => !name.startsWith("@pawl/")).sort();
}

test("the dependencies are found", () => {
  expect(listDependencies()).toEqual(expect.arrayContaining(["pg", "typescript", "zod"]));
});

test.skipIf(!existsSync(architecture))(
  "ARCHITECTURE.md justifies every direct dependency (skipped only while there is no such file)",
  () => {
    const text = readFileSync(architecture, "utf8");
    expect(listDependencies().filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  },
);
