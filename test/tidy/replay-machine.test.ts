/**
 * Goal: who knows one of the three replay machines finds the same part in the others.
 * Method: each section of docs/replay-machine.md names a file stem; each SDK has one file of that
 * stem, which names the section at its top.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "./sources.ts";

const page = "docs/replay-machine.md";
const sections = [
  ...readFileSync(join(root, page), "utf8").matchAll(/^## ([A-Z])\. .*: `([a-z-]+)`$/gm),
].map(([, letter = "", stem = ""]) => ({ letter, stem }));

/** Where the file of a stem may be, by SDK. */
const places: Readonly<Record<string, (stem: string) => string[]>> = {
  TypeScript: (stem) => [`typescript/src/run/${stem}.ts`, `typescript/src/worker/${stem}.ts`],
  Python: (stem) =>
    ["_run", "_link"].map((folder) => `python/src/pawl/${folder}/${stem.replaceAll("-", "_")}.py`),
  Go: (stem) => [`go/${stem.replaceAll("-", "_")}.go`],
};

test("the page has a section for each letter", () => {
  const text = readFileSync(join(root, page), "utf8");
  expect(sections).toHaveLength(text.match(/^## /gm)?.length ?? 0);
  for (const { letter } of sections) expect(text).toContain(`- **${letter}1** `);
});

test.each(Object.entries(places))("%s has every part under its name", (_sdk, placesOf) => {
  for (const { letter, stem } of sections) {
    const paths = placesOf(stem).map((path) => join(root, "worker-sdk", path));
    const found = paths.filter((path) => existsSync(path));
    expect(found, `one of ${paths.join(", ")}`).toHaveLength(1);
    const head = readFileSync(found[0] ?? "", "utf8")
      .split("\n")
      .slice(0, 15)
      .join("\n");
    expect(head, found[0]).toContain(`Section ${letter} of ${page}.`);
  }
});
