/**
 * Goal: the packages for npm install in an empty folder and work there as their READMEs say, typed, on each
 * Node that they name, and say so on another one.
 * Method: build them, install them with npm outside of the repository, and do what the READMEs say.
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EXIT } from "@pawl/server/internal";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Program } from "../first-contact/program.ts";
import { asked, installMs, Outside, Readme, root } from "./outside.ts";

const tarballs = join(root, "artifacts", "npm");
/** npm's packages of Node itself, by the versions that are tried. */
const nodes = ["20", "22.18.0", "24"] as const;
const strict = {
  compilerOptions: {
    target: "es2024",
    lib: ["es2024", "dom"],
    module: "nodenext",
    types: ["node"],
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    noEmit: true,
  },
  include: ["*.ts"],
};

describe.runIf(asked)("packages for npm", { timeout: installMs }, () => {
  let project: Outside;
  let server: Readme;
  let worker: Readme;

  beforeAll(async () => {
    project = await Outside.create();
    server = await Readme.read("server/README.md");
    worker = await Readme.read("worker-sdk/typescript/README.md");
    await project.run(`cd "$PAWL" && ${server.block("sh", "artifacts npm")}`);
    const installed = worker.block("sh", "npm install").replace(/^npx .*$/m, "");
    await project.run(installed);
    const runtimes = nodes.map(
      (version) => `node${version}@npm:node-${process.platform}-${process.arch}@${version}`,
    );
    await project.run("npm install --save-dev typescript @types/node");
    // In a project of their own: what is not in a manifest, the next `npm install` removes.
    await project.run(`mkdir nodes; npm install --prefix nodes ${runtimes.join(" ")}`);
  }, installMs);

  afterAll(async () => await project?.remove());

  function nodeOf(version: (typeof nodes)[number]): string {
    return `nodes/node_modules/node${version}/bin/node`;
  }

  /** Runs a command of a README that does not end by itself, without npx, which passes no signals on. */
  function serve(command = "none"): Program {
    const ports = { PAWL_GRPC: "127.0.0.1:0", PAWL_HTTP: "127.0.0.1:0" };
    return project.shell(`exec ${command.replace("npx ", "node_modules/.bin/")}`, ports);
  }

  test("they hold code with its types and what it reads, and nothing of this machine", async () => {
    const names = await readdir(tarballs);
    expect(names).toHaveLength(3);
    for (const name of ["proto", "server", "worker"]) {
      const folder = join(project.folder, "node_modules", "@pawl", name);
      const files = await readdir(folder, { recursive: true });
      expect(files).toEqual(expect.arrayContaining(["LICENSE", "README.md", "package.json"]));
      expect(files.filter((file) => /\.test\.|^src|(?<!\.d)\.ts$|\.snap$/.test(file))).toEqual([]);
      const code = files.filter((file) => file.endsWith(".js"));
      expect(code.length).toBeGreaterThan(10);
      expect(code.filter((file) => !files.includes(file.replace(/js$/, "d.ts")))).toEqual([]);
      for (const file of files.filter((path) => /\.(js|json|d\.ts)$/.test(path))) {
        const text = await readFile(join(folder, file), "utf8");
        expect(text.includes(root), `${file} names a folder of this machine`).toBe(false);
        expect(text.includes('"workspace:'), `${file} depends on the workspace`).toBe(false);
      }
    }
  });

  test("their exports and types are right for everyone who imports an ES module", async () => {
    const tools = join(root, "test", "node_modules", ".bin");
    for (const name of await readdir(tarballs)) {
      await project.run(`"${tools}/publint" run --strict "${tarballs}/${name}"`);
      await project.run(`"${tools}/attw" --profile esm-only "${tarballs}/${name}"`);
    }
  });

  test("the server's README works: an example worker, and a server inside a program", async () => {
    const lines = server.block("sh", "npx pawl dev").split("\n");
    const dev = lines.pop();
    await project.run(lines.join("\n"));
    await using served = serve(dev);
    const [, http = ""] = await served.waitFor(/ready at (http:\S+)/);
    const greet = async (): Promise<string> => {
      const command = `exec ${server.block("sh", "npx pawl run")}`;
      await using program = project.shell(command, { PAWL_HTTP_URL: http });
      const code = await program.end();
      // The worker may not have registered its workflow yet.
      if (code === EXIT.NOT_FOUND) return await greet();
      expect(code, program.output).toBe(0);
      return program.stdout;
    };
    const printed = await greet();
    expect(JSON.parse(printed)).toMatchObject({ greeting: "Hello, you!" });
    expect(await served.kill("SIGTERM"), served.output).toBe(0);
    for (const { name, code, output } of server.programs("ts")) {
      await writeFile(join(project.folder, name), code);
      expect(await project.run(`node ${name}`)).toBe(output);
    }
  });

  test("the contract's README prints what it says", async () => {
    const [program] = (await Readme.read("proto/README.md")).programs("ts");
    await writeFile(join(project.folder, "start.ts"), program?.code ?? "");
    expect(await project.run("node start.ts")).toBe(program?.output);
  });

  test("the worker's README works on each Node that it names, and is right for a strict compiler", async () => {
    const command = /^npx pawl serve.*$/m.exec(worker.block("sh", "npx pawl serve"))?.[0];
    const programs = worker.programs("ts");
    expect(programs.length).toBeGreaterThan(5);
    for (const { name, code } of programs) await writeFile(join(project.folder, name), code);
    for (const version of ["22.18.0", "24"] as const) {
      await using served = serve(command);
      const [, grpc = ""] = await served.waitFor(/workers\s+(\S+:\d+)/);
      const env = { PAWL_URL: `http://${grpc}`, NODE_NO_WARNINGS: "1" };
      for (const { name, output } of programs) {
        expect(await project.run(`${nodeOf(version)} ${name}`, env), name).toBe(output);
      }
      await served.kill("SIGTERM");
    }
    await writeFile(join(project.folder, "tsconfig.json"), JSON.stringify(strict));
    await project.run("npx tsc -p .");
  });

  test("require loads the worker's package", async () => {
    const script = 'console.log(typeof require("@pawl/worker").workflow)';
    for (const version of ["22.18.0", "24"] as const) {
      const run = `${nodeOf(version)} -e '${script}'`;
      expect(await project.run(run)).toBe("function\n");
    }
  });

  test("the server says which Node it needs", async () => {
    const bin = "node_modules/@pawl/server/dist/main.js";
    const says = /^Pawl needs Node 24\.7 or newer; this is (20|22)\.\d+\.\d+\.\n$/;
    for (const version of ["20", "22.18.0"] as const) {
      await using old = project.shell(`exec ${nodeOf(version)} ${bin} serve`);
      expect(await old.end()).toBe(6);
      expect(old.output).toMatch(says);
      const embed =
        'import("@pawl/server").then((m) => m.createEmbedded()).catch((e) => console.log(e.message))';
      expect(await project.run(`${nodeOf(version)} -e '${embed}'`)).toMatch(says);
    }
  });
});
