/**
 * Goal: the first command that a newcomer types works, shows what it says, and leaves nothing behind.
 * Method: run it as a process on free ports and data of its own; look at what it prints and at the
 * processes that it names.
 */
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isAlive, Program } from "./program.ts";

const root = join(import.meta.dirname, "..", "..");
let folder: string;
let texts: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pawl-start-test-"));
  texts = join(folder, "texts");
  const text = await readFile(join(root, "ARCHITECTURE.md"), "utf8");
  await mkdir(join(texts, "more"), { recursive: true });
  await writeFile(join(texts, "one.md"), text);
  await writeFile(join(texts, "more", "two words.md"), text.split("\n").reverse().join("\n"));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

function start(...args: string[]): Program {
  const env = {
    PAWL_DATA_DIR: join(folder, "data"),
    PAWL_GRPC: "127.0.0.1:0",
    PAWL_HTTP: "127.0.0.1:0",
  };
  return new Program(process.execPath, ["examples/start.ts", "--", ...args], { cwd: root, env });
}

/** The processes that the output names. */
function pidsIn(output: string): number[] {
  return [...output.matchAll(/process (\d+)/g)].map((match) => Number(match[1]));
}

async function waitUntilGone(pids: readonly number[]): Promise<void> {
  while (pids.some(isAlive)) await new Promise((resolve) => setTimeout(resolve, 50));
}

test("shows a run that loses its worker, over the repository's own texts", async () => {
  await using program = start("--once");
  expect(await program.end(), program.output).toBe(0);
  const { output } = program;

  const [, killed, pid] = /(worker-\d)\s+kill -9 (\d+)/.exec(output) ?? [];
  const survivor = killed === "worker-1" ? "worker-2" : "worker-1";
  expect(output).toMatch(/takes the run back \d+\.\d s after the kill/);
  expect(output).toMatch(new RegExp(`${survivor}\\s+has \\d+ steps from the journal`));
  expect(output).toMatch(new RegExp(`${killed} once, replayed`));
  expect(output).toMatch(new RegExp(`░.*${survivor} cut off, again`));
  expect(output).toMatch(new RegExp(`write.*${survivor} once`));
  expect(output.match(/✓ The /g)).toHaveLength(4);
  expect(output).not.toContain("✗");

  const report = /Report:\s+(\S+\.md)/.exec(output)?.[1] ?? "";
  expect(await readFile(report, "utf8")).toContain("## Architecture (ARCHITECTURE.md)");
  // But for paths, which are as long as they are.
  const wide = output.split("\n").filter((line) => line.length > 100 && !line.includes(tmpdir()));
  expect(wide).toEqual([]);
  expect(stripVTControlCharacters(output)).toBe(output);
  const pids = pidsIn(output);
  expect(pids).toContain(Number(pid));
  expect(pids).toHaveLength(2);
  expect(pids.filter(isAlive)).toEqual([]);
});

test("continues serving over the same data, and starts a killed worker again, until Ctrl-C", async () => {
  await using program = start("--input", texts);
  const [, http = ""] = await program.waitFor(/export PAWL_HTTP_URL=(\S+)/);
  const [, worker = ""] = await program.waitFor(/kill -9 (\d+)\n.*\n.*start -- --input/);
  process.kill(Number(worker), "SIGKILL");
  await program.waitFor(/worker-\d ended \(SIGKILL\); it is up again as process \d+/);

  const response = await fetch(`${http}/pawl.v1.RunService/ListRuns`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  const { runs } = (await response.json()) as { runs: { status: string }[] };
  expect(runs.length).toBeGreaterThan(0);
  expect(new Set(runs.map(({ status }) => status))).toEqual(new Set(["RUN_STATUS_COMPLETED"]));

  expect(await program.kill("SIGINT"), program.output).toBe(0);
  expect(program.output).toContain("two words.md");
  expect(pidsIn(program.output).filter(isAlive)).toEqual([]);
});

test("ends in order when it is interrupted half way", async () => {
  await using program = start("--input", texts);
  await program.waitFor(/✓ read/);
  expect(await program.kill("SIGINT"), program.output).toBe(130);
  expect(pidsIn(program.output).filter(isAlive)).toEqual([]);
});

test("leaves nothing behind when it is killed itself", async () => {
  await using program = start("--input", texts);
  await program.waitFor(/✓ read/);
  await program.kill("SIGKILL");
  const pids = pidsIn(program.output);
  expect(pids).toHaveLength(2);
  await waitUntilGone(pids);
  // Its server has let go of the file.
  await using next = start("--once", "--input", texts);
  expect(await next.end(), next.output).toBe(0);
});

test.for([
  [["--bogus"], /Unknown option '--bogus'.*--help/],
  [["--input", "nowhere"], /nowhere does not exist/],
  [["--input", "README.md"], /README\.md is a file/],
  [["--input", "examples/start"], /No Markdown or text file/],
] as const)("says what is wrong with %s", async ([args, message]) => {
  await using program = start(...args);
  expect(await program.end()).toBe(2);
  expect(program.output).toMatch(message);
  expect(program.output).not.toContain("    at ");
});

test("says that another server has the data", async () => {
  await using first = start("--input", texts);
  await first.waitFor(/✓ read/);
  await using second = start("--once");
  expect(await second.end()).toBe(1);
  expect(second.output).toMatch(/in use by\s+another/);
  expect(await stat(join(folder, "data", "pawl.db"))).toBeDefined();
  await first.kill("SIGINT");
});
