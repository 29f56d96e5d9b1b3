/**
 * Goal: documents, comments, docstrings, errors, help texts and test titles are plain English.
 * Method: look for the habits of the deny list in every text that a person reads.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Denied, denyList } from "./deny-list.ts";
import { lineAt, root } from "./sources.ts";

/** Generated code, recorded journals, vendored files, and the list itself. */
const exempt =
  /^proto\/gen\/|\/pawlv1\/|\/pawl\/v1\/.*\.pyi?$|^test\/tidy\/(deny-list|wording\.test)\.ts$|\/journals\//;

function listTexts(): string[] {
  const names = ["*.ts", "*.py", "*.go", "*.proto", "*.md", "*.sh"];
  const listed = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "-z", ...names], {
    cwd: root,
    encoding: "utf8",
  });
  return listed.split("\0").filter((path) => path !== "" && !exempt.test(path));
}

/** Each use of a habit; a line break within a phrase, with its comment sign, counts as a blank. */
function findHabits(path: string, text: string, list: readonly Denied[] = denyList): string[] {
  const flat = text.replace(/\n[ \t]*(\*(?!\/)|\/\/|#)/g, (gap) => gap.replace(/[*/#]/g, " "));
  return list.flatMap(({ pattern, instead }) => {
    const spaced = new RegExp(pattern.source.replaceAll(" ", "\\s+"), `${pattern.flags}g`);
    return [...flat.matchAll(spaced)].map(
      ({ 0: found, index }) => `${path}:${lineAt(text, index)}: "${found}"; write: ${instead}`,
    );
  });
}

test("no text has a habit of the deny list", () => {
  const habits = listTexts().flatMap((path) =>
    findHabits(path, readFileSync(join(root, path), "utf8")),
  );
  expect(habits).toEqual([]);
});

test.each([
  ["a.md", "It has died of late.", 1],
  ["a.ts", "/** Answers whether it is open. */", 1],
  ["a.ts", "// It\n// goes\n// on.", 2],
  ["a.py", '"""Waits, lest it fails."""', 1],
])("a habit in %s is found: %s", (path, text, line) => {
  expect(findHabits(path, text).map((habit) => habit.split(": ", 1)[0])).toEqual([
    `${path}:${line}`,
  ]);
});

test("plain sentences have none", () => {
  expect(
    findHabits("a.md", "It returns what was recorded, and continues. Answers to questions."),
  ).toEqual([]);
});
