/**
 * Goal: the history can be read, and every package says the version that it is released as.
 * Method: the subjects of the last commits; the manifests next to what the SDKs say of themselves.
 */
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { root } from "../../scripts/run.ts";
import { literalIn, VERSION_FILES, versionOf } from "../../scripts/version.ts";

const SUBJECT_MAX = 72;
const COMMITS = 50;

test("commit subjects are short, capitalized and without a final period", () => {
  const log = spawnSync("git", ["log", `-${COMMITS}`, "--no-merges", "--format=%s"], {
    cwd: root,
    encoding: "utf8",
  });
  if (log.status !== 0) {
    console.log("left out: this folder is not a clone");
    return;
  }
  const wrong = log.stdout
    .split("\n")
    .filter((subject) => subject !== "")
    .filter((subject) => subject.length > SUBJECT_MAX || !/^[A-Z].*[^.]$/.test(subject));
  expect(wrong).toEqual([]);
});

test("all packages have one version, which the SDKs say of themselves", async () => {
  const expected = await versionOf("proto");
  for (const folder of ["server", "worker-sdk/typescript", "worker-sdk/python", "worker-sdk/go"])
    expect([folder, await versionOf(folder)]).toEqual([folder, expected]);
  for (const [file] of VERSION_FILES)
    expect([file, await literalIn(file)]).toEqual([file, expected]);
});
