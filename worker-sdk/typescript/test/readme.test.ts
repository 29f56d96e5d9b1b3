/** The README's programs run as they stand, and print what it says. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TestServer } from "./support/test-server.ts";

const packageFolder = join(import.meta.dirname, "..");
const readme = await readFile(join(packageFolder, "README.md"), "utf8");
const programs = [
  ...readme.matchAll(/```ts\n\/\/ (\S+\.ts)\n([\s\S]*?)```\n\n```text\n([\s\S]*?)```/g),
];

let server: TestServer;
let folder: string;

beforeAll(async () => {
  server = await TestServer.start();
  folder = await mkdtemp(join(tmpdir(), "pawl-sdk-readme-"));
  await mkdir(join(folder, "node_modules", "@pawl"), { recursive: true });
  await symlink(packageFolder, join(folder, "node_modules", "@pawl", "worker"), "junction");
  await symlink(
    join(packageFolder, "node_modules", "zod"),
    join(folder, "node_modules", "zod"),
    "junction",
  );
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
});

afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

test("there are these", () => {
  expect(programs.map(([, name]) => name)).toEqual([
    "welcome.ts",
    "agents.ts",
    "saga.ts",
    "publish.ts",
    "limits.ts",
    "script.ts",
    "unit.ts",
  ]);
});

test.each(programs.map(([, name = "", code = "", output = ""]) => [name, code, output]))(
  "%s",
  async (name, code, output) => {
    await writeFile(join(folder, name), code);
    const run = () =>
      promisify(execFile)(process.execPath, [name], {
        cwd: folder,
        env: { ...process.env, PAWL_URL: server.grpcUrl },
      });
    expect((await run()).stdout).toBe(output);
    expect((await run()).stdout).toBe(output);
  },
);

test("they are checked by the compiler", async () => {
  await mkdir(join(folder, "node_modules", "@types"), { recursive: true });
  const types = join(packageFolder, "..", "..", "node_modules", "@types", "node");
  await symlink(types, join(folder, "node_modules", "@types", "node"), "junction");
  for (const [, name = "", code = ""] of programs) await writeFile(join(folder, name), code);
  const config = {
    extends: join(packageFolder, "..", "..", "tsconfig.json"),
    include: ["*.ts"],
    exclude: [],
  };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
  const compiler = join(packageFolder, "..", "..", "node_modules", "typescript", "bin", "tsc");
  const check = promisify(execFile)(process.execPath, [compiler, "-p", folder], { cwd: folder });
  const problems = await check.then(
    () => "",
    (error: { stdout: string }) => error.stdout,
  );
  expect(problems).toBe("");
});
