/**
 * Goal: a mistaken command says what to type instead; help and documentation are complete.
 * Method: run the program with mistakes, and compare its help with docs/cli.md.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { EXIT } from "@pawl/server/internal";
import { expect, test } from "vitest";
import { serverMain } from "../harness/server.ts";
import { errorOf, pawl } from "./cli.ts";

const documentation = readFileSync(join(import.meta.dirname, "../../docs/cli.md"), "utf8");

test.each([
  [["statsu", "x"], 'no command "statsu"', "pawl status"],
  [["list", "--stauts", "failed"], "no option --stauts", "--status"],
  [["list", "--status", "faild"], 'no status "faild"', "FAILED"],
  [["list", "--limit"], "--limit needs a value", "Usage: pawl list"],
  [["list", "--limit", "many"], 'limit is "many"', "whole number"],
  [["list", "--tag", "novalue"], 'tag is "novalue"', "KEY=VALUE"],
  [["status"], "RUN_ID is missing", "Usage: pawl status RUN_ID"],
  [["signal", "x"], "SIGNAL is missing", "Usage: pawl signal RUN_ID SIGNAL"],
  [["replay", "x.json"], "--worker is missing", "Usage: pawl replay JOURNAL_FILE... --worker FILE"],
  [["completion", "tcsh"], 'SHELL is "tcsh"', "bash, zsh, fish"],
  [["status", "a", "b"], 'Unexpected argument "b"', "Usage"],
  [["run", "x", "--input", "{"], "--input is not JSON", "Quote it"],
  [["run", "x", "--input", "1", "--file", "y"], "cannot be combined", ""],
  [["run", "x", "--file", "no-such-file.json"], "Cannot read no-such-file.json", ""],
  [["run", "x", "--timeout", "5"], "must be a duration with a unit", "30s"],
  [["cancel", "x", "--grace", "soon"], 'grace is "soon"', "500ms, 30s"],
  [["cancel", "x", "--grace", "2 h"], "at most 60 minutes", ""],
  [["run", "x", "--priority", "12"], 'priority is "12"', "0 to 9"],
  [["status", "x", "--server", "nonsense"], 'server is "nonsense"', "http://"],
  [["dev", "no-such-worker.ts"], "no file no-such-worker.ts", ""],
])("%j", async (args, problem, advice) => {
  const result = await pawl(args, { url: "http://127.0.0.1:9" });
  expect(result.code).toBe(EXIT.USAGE);
  expect(result.out).toBe("");
  expect(result.err).toContain(problem);
  expect(result.err).toContain(advice);
});

test("an unusable address names the option or variable that has it", async () => {
  const result = await pawl(["list"], { url: "nonsense" });
  expect(result.code).toBe(EXIT.USAGE);
  expect(result.err).toContain('PAWL_HTTP_URL is "nonsense"; it must be a URL such as http://');
});

test("options may stand before the command", async () => {
  const result = await pawl(["--server", "http://127.0.0.1:9", "--json", "status", "x"]);
  expect([result.code, errorOf(result).metadata.url]).toEqual([
    EXIT.NOT_REACHABLE,
    "http://127.0.0.1:9",
  ]);
});

test("a reader that has seen enough ends the command without a word", async () => {
  const child = spawn(process.execPath, [serverMain, "--help"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.destroy();
  const [err] = await Promise.all([text(child.stderr), once(child, "close")]);
  expect([child.exitCode, err]).toEqual([EXIT.OK, ""]);
});

test("an older Node is told what it takes", async () => {
  // What runs first must be understood by any Node: imports by name are looked up before the code runs.
  const read = (path: string) => readFileSync(join(import.meta.dirname, "../..", path), "utf8");
  const importsOf = (source: string) => source.match(/^import .*$/gm) ?? [];
  const ofNode = 'import module from "node:module";';
  const check = 'import { nodeProblem } from "./lib/node-version.ts";';
  expect(importsOf(read("server/bin/pawl.js"))).toEqual([ofNode]);
  expect(importsOf(read("server/src/main.ts"))).toEqual([ofNode, check]);
  expect(importsOf(read("server/src/lib/node-version.ts"))).toEqual([]);
  for (const entry of ["server/bin/pawl.js", "server/src/main.ts"]) {
    const source = read(entry);
    expect(source.indexOf("process.versions.node")).toBeLessThan(
      source.indexOf("enableCompileCache()"),
    );
  }
});

test("an error says how to start a server, and if a URL is something else", async () => {
  const none = await pawl(["list"], { url: "http://127.0.0.1:9" });
  expect([none.code, none.err]).toEqual([
    EXIT.NOT_REACHABLE,
    expect.stringContaining("pawl serve"),
  ]);
  const json = await pawl(["list", "--json"], { url: "http://127.0.0.1:9" });
  expect([json.code, errorOf(json).reason]).toEqual([EXIT.NOT_REACHABLE, "NOT_REACHABLE"]);
  const other = createServer((_request, response) => response.end("<html>")).listen(0, "127.0.0.1");
  await new Promise((resolve) => other.once("listening", resolve));
  const address = other.address();
  const port = typeof address === "object" ? address?.port : 0;
  const wrong = await pawl(["list"], { url: `http://127.0.0.1:${port}` });
  other.close();
  expect([wrong.code, wrong.err]).toEqual([
    EXIT.NOT_REACHABLE,
    expect.stringContaining("not a Pawl server"),
  ]);
});

test("help of a command is asked for in three ways, and is as wide as the terminal", async () => {
  const wide = { env: { COLUMNS: "60" } };
  const asked = [
    ["run", "--help"],
    ["run", "x", "-h"],
    ["help", "run"],
  ];
  const helps = await Promise.all(asked.map((args) => pawl(args, wide)));
  for (const help of helps) expect(help).toEqual({ ...helps[0], code: EXIT.OK, err: "" });
  const widths = (helps[0]?.out ?? "").split("\n").map((line) => line.length);
  expect(Math.max(...widths)).toBeGreaterThan(50);
  expect(Math.max(...widths)).toBeLessThanOrEqual(60);
});

test("docs/cli.md has the exit codes", () => {
  const rows = [...documentation.matchAll(/^\| (\d+) \| ([A-Z_]+) \|/gm)];
  expect(Object.fromEntries(rows.map(([, code, name]) => [name, Number(code)]))).toEqual({
    ...EXIT,
  });
});

test("--version is the package's", async () => {
  const manifest = readFileSync(join(import.meta.dirname, "../../server/package.json"), "utf8");
  const { version } = JSON.parse(manifest) as { version: string };
  expect((await pawl(["--version"])).out.trim()).toBe(version);
});
