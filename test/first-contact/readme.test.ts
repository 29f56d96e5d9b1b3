/**
 * Goal: what README.md tells a newcomer to do works as it stands.
 * Method: take its code blocks out, and run all of them as the text around them says, with real
 * processes in a folder that has the workspace's packages and nothing else.
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { serverMain } from "../harness/server.ts";
import { type Block, readBlocks } from "./blocks.ts";
import { Program } from "./program.ts";

const root = join(import.meta.dirname, "..", "..");
const readme = await readFile(join(root, "README.md"), "utf8");
const blocks = readBlocks(readme);
const used = new Set<Block>();
let folder: string;

/** What the order takes to be packed, in the README and here. */
const packing = ["20_000", "1_500"] as const;
const addresses = { PAWL_GRPC: "127.0.0.1:0", PAWL_HTTP: "127.0.0.1:0" };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pawl-readme-"));
  const packages = join(folder, "node_modules", "@pawl");
  await mkdir(packages, { recursive: true });
  for (const [name, path] of [
    ["proto", "proto"],
    ["server", "server"],
    ["worker", "worker-sdk/typescript"],
  ] as const) {
    await symlink(join(root, path), join(packages, name), "junction");
  }
  await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** The one block that has this in it. */
function find(language: string, part: string): Block {
  const found = blocks.filter((block) => block.language === language && block.code.includes(part));
  const [block] = found;
  if (block === undefined || found.length > 1) {
    throw new Error(
      `README.md has ${found.length} ${language} blocks with ${part}; one was expected.`,
    );
  }
  used.add(block);
  return block;
}

/** Writes a program of the README into the folder, at the path that its first line names. */
async function save(part: string, change: readonly [string, string] = ["", ""]): Promise<string> {
  const { code } = find("ts", part);
  const path = /^\/\/ (\S+\.ts)\n/.exec(code)?.[1];
  if (path === undefined) throw new Error(`The block with ${part} does not begin with its path.`);
  expect(code).toContain(change[0]);
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), code.replace(...change));
  return path;
}

/** Runs a shell block, with the Node and the `pawl` of this workspace in place of pnpm's. */
function shell(part: string, env: Record<string, string>, edit = (code: string) => code): Program {
  const { code } = find("sh", part);
  const script = edit(code)
    .replaceAll("npx -y pnpm@12 exec node ", 'exec "$TEST_NODE" ')
    .replaceAll("npx -y pnpm@12 pawl ", 'exec "$TEST_NODE" "$TEST_PAWL" ');
  expect(script).not.toContain("pnpm");
  return new Program("sh", ["-c", script], {
    cwd: folder,
    env: { TEST_NODE: process.execPath, TEST_PAWL: serverMain, ...env },
  });
}

function run(path: string, env: Record<string, string> = {}): Program {
  return new Program(process.execPath, [path], { cwd: folder, env });
}

test("the commands of pnpm are there", async () => {
  const { scripts } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  const commands = [...readme.matchAll(/npx -y pnpm@12 ([\w:-]+)/g)].map((match) => match[1] ?? "");
  expect(commands.length).toBeGreaterThan(5);
  for (const command of new Set(commands)) {
    if (command !== "exec") expect(Object.keys(scripts)).toContain(command);
  }
  // The first two, as start.test.ts and this very run show them to work.
  expect(find("sh", "pnpm@12 start").code).toBe("npx -y pnpm@12 start\nnpx -y pnpm@12 test");
  expect(scripts.start).toBe("node examples/start.ts");
});

test("every link to a file of the repository leads somewhere", () => {
  const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)/g)].map((match) => match[1] ?? "");
  expect(links.length).toBeGreaterThan(5);
  expect(links.filter((link) => !existsSync(join(root, link)))).toEqual([]);
});

test("a worker that is killed, a client, and curl", async () => {
  await save('workflow("order"', packing);
  await using server = shell("pawl serve", addresses);
  const [, grpc = ""] = await server.waitFor(/workers\s+(\S+:\d+)/);
  const [, http = ""] = await server.waitFor(/clients\s+(http:\S+)/);
  const env = { PAWL_URL: `http://${grpc}`, PAWL_HTTP_URL: http };

  await using worker = shell("node examples/order.ts", env);
  // A person takes longer than that to get to the next terminal.
  await server.waitFor(/worker\.connected/);
  await using order = shell("pawl run order", env);
  const [, pid = ""] = await worker.waitFor(/kill -9 (\d+)/);
  expect(worker.output).toContain("charging A-1");
  process.kill(Number(pid), "SIGKILL");
  expect(await worker.end()).toBe("SIGKILL");

  await using again = shell("node examples/order.ts", env);
  expect(await order.end(), order.output).toBe(0);
  expect(order.stdout).toContain("receipt for A-1");
  expect(again.output).toContain("packing A-1");
  expect(again.output).not.toContain("charging");

  await using inspect = shell("pawl inspect", env);
  expect(await inspect.end(), inspect.output).toBe(0);
  expect(inspect.stdout).toMatch(/charge[\s\S]*pack[\s\S]*sleep/);

  await using client = run(await save('client.start("order"'), env);
  expect(await client.end(), client.output).toBe(0);
  expect(client.output).toContain("workflow.step.completed charge");
  expect(client.output).toContain("receipt for A-2");

  const at = (code: string) => code.replaceAll("http://127.0.0.1:8000", http);
  await using curl = shell("curl", env, at);
  expect(await curl.end(), curl.output).toBe(0);
  expect(curl.stdout).toMatch(/event: run\.started[\s\S]*event: run\.completed/);
  expect(curl.stdout).toMatch(/\{"runs":\[\{"runId":"order-3",.*"status":"completed"/);
  await server.kill("SIGTERM");
});

test("a script with the server inside, run twice", async () => {
  const path = await save("createEmbedded");
  await using first = run(path);
  expect(await first.end(), first.output).toBe(0);
  expect(first.stdout).toMatch(/^composing\n\{ greeting: 'Hello, Ada!'/);
  await using second = run(path);
  expect(await second.end(), second.output).toBe(0);
  expect(`composing\n${second.stdout}`).toBe(first.stdout);
});

test("no block was left out", () => {
  const programs = blocks.filter(({ language }) => language !== "text");
  expect(programs.length).toBeGreaterThan(5);
  expect(programs.filter((block) => !used.has(block))).toEqual([]);
});
