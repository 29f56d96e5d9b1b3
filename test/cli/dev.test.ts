/**
 * Goal: from nothing to a workflow that reloads, in two commands.
 * Method: `init` into an empty folder, `dev` there, run the example, change the worker, run again.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { EXIT } from "@pawl/server/internal";
import { afterAll, beforeAll, expect, test } from "vitest";
import { serverMain, withoutPawl } from "../harness/server.ts";
import { errorOf, pawl } from "./cli.ts";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pawl-dev-"));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

test("init writes what dev needs, and overwrites only when forced", async () => {
  const first = await pawl(["init", "project", "--json"], { cwd: folder });
  const { written } = JSON.parse(first.out) as { written: string[] };
  expect(written.map((file) => file.replace(/.*[\\/]/, "")).sort()).toEqual([
    ".gitignore",
    "package.json",
    "pawl.env",
    "worker.ts",
  ]);
  expect(await readFile(join(folder, "project", ".gitignore"), "utf8")).toBe(".pawl/\n");
  // The packages are not published: a clone links its own.
  const manifest = await readFile(join(folder, "project", "package.json"), "utf8");
  for (const name of ["server", "worker-sdk/typescript"])
    expect(manifest).toContain(`"link:${join(import.meta.dirname, "../..", name)}"`);
  const worker = join(folder, "project", "worker.ts");
  await writeFile(worker, "// mine");
  const refused = await pawl(["init", "project", "--json"], { cwd: folder });
  expect([refused.code, errorOf(refused).reason]).toEqual([EXIT.REFUSED, "FILE_EXISTS"]);
  expect(await readFile(worker, "utf8")).toBe("// mine");
  const forced = await pawl(["init", "project", "--force"], { cwd: folder });
  expect([forced.code, await readFile(worker, "utf8")]).toEqual([
    EXIT.OK,
    expect.stringContaining('workflow("greet"'),
  ]);
});

test("init writes the store that was chosen; a password stays out of version control", async () => {
  const store = "postgres://me:secret@127.0.0.1:5432/pawl";
  await pawl(["init", "chosen", "--store", store], { cwd: folder });
  const read = (name: string) => readFile(join(folder, "chosen", name), "utf8");
  expect(await read("pawl.env")).toContain(`\nPAWL_DATABASE_URL=${store}\n`);
  expect(await read(".gitignore")).toBe(".pawl/\npawl.env\n");
  const wrong = await pawl(["init", "other", "--store", "redis://127.0.0.1"], { cwd: folder });
  expect([wrong.code, wrong.err]).toEqual([EXIT.USAGE, expect.stringContaining("redis://")]);
});

test("commands read pawl.env; the environment and options go before it", async () => {
  const settings = ["PAWL_HTTP=nonsense", "PAWL_DATABASE_URL=redis://nowhere", "PAWL_LOG=off"];
  await writeFile(join(folder, "pawl.env"), settings.join("\n"));
  const said = async (env: Record<string, string>, ...args: string[]) =>
    errorOf(await pawl(["serve", "--json", ...args], { cwd: folder, env })).message;
  expect(await said({})).toContain('--http is "nonsense"');
  expect(await said({ PAWL_HTTP: "silly" })).toContain('--http is "silly"');
  expect(await said({ PAWL_HTTP: "silly" }, "--http", "127.0.0.1:0")).toContain("redis");
  await rm(join(folder, "pawl.env"));
});

test("dev runs the example, and the worker's new code after a change", async () => {
  const project = join(folder, "example");
  await pawl(["init", "example"], { cwd: folder });
  // Instead of `npm install`.
  await symlink(join(import.meta.dirname, "..", "node_modules"), join(project, "node_modules"));
  await mkdir(join(project, "out"));
  const ports = ["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"];
  const dev = spawn(process.execPath, [serverMain, "dev", "--json", ...ports], {
    cwd: project,
    env: withoutPawl(process.env),
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: dev.stdout })[Symbol.asyncIterator]();
  const next = async (event: string): Promise<Record<string, string>> => {
    for (let line = await lines.next(); line.done !== true; line = await lines.next()) {
      if (!line.value.startsWith("{")) continue;
      const said = JSON.parse(line.value) as Record<string, string>;
      if (said.event === event) return said;
    }
    throw new Error(`pawl dev ended before "${event}".`);
  };
  try {
    const { httpUrl: url = "" } = await next("ready");
    const greet = async (): Promise<string> => {
      const args = ["run", "greet", "--input", '{"name":"you"}', "--wait"];
      let result = await pawl(args, { url });
      // The worker may not have registered its workflow yet.
      while (result.code === EXIT.NOT_FOUND) result = await pawl(args, { url });
      expect(result.err).toContain("COMPLETED");
      return (JSON.parse(result.out) as { greeting: string }).greeting;
    };
    expect(await greet()).toBe("Hello, you!");
    // What a worker writes beside its sources does not restart it.
    await writeFile(join(project, "out", "report.md"), "report");
    const worker = join(project, "worker.ts");
    const source = await readFile(worker, "utf8");
    await writeFile(worker, source.replace("Hello", "Good morning"));
    expect(await next("reload")).toMatchObject({ changed: "worker.ts" });
    let greeting = await greet();
    while (greeting === "Hello, you!") greeting = await greet();
    expect(greeting).toBe("Good morning, you!");
    // Editors and sed write a new file and rename it: every change counts, however it is made.
    for (const word of ["Salut", "Servus"]) {
      await writeFile(join(project, "new-worker"), source.replace("Hello", word));
      await rename(join(project, "new-worker"), worker);
      expect(await next("reload")).toMatchObject({ changed: "worker.ts" });
      while (!greeting.startsWith(word)) greeting = await greet();
    }
  } finally {
    dev.kill("SIGTERM");
    await once(dev, "exit");
  }
  expect(dev.exitCode).toBe(0);
});
