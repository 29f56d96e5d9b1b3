/**
 * Goal: the Python SDK installs in an empty folder, from the wheel as its README says and from the source
 * distribution, works there, and is typed for a strict checker.
 * Method: build both, install them with pip outside of the repository, and run the README's programs.
 */
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missingToolchain, suites } from "../../scripts/suites.ts";
import { startServer, type TestServer } from "../harness/server.ts";
import { asked, installMs, Outside, Readme, root } from "./outside.ts";

const suite = suites.find(({ name }) => name === "python");
const missing = suite === undefined ? undefined : missingToolchain(suite);
if (asked && missing !== undefined) console.log(`The Python packages are not tested: ${missing}`);

describe.runIf(asked && missing === undefined)("packages for pip", { timeout: installMs }, () => {
  let project: Outside;
  let readme: Readme;
  let server: TestServer;

  beforeAll(async () => {
    project = await Outside.create();
    server = await startServer();
    readme = await Readme.read("worker-sdk/python/README.md");
    await project.run(`cd "$PAWL" && ${readme.block("sh", "artifacts python")}`);
    await project.run(`${readme.block("sh", "pip install")}\npip install mypy pytest`);
  }, installMs);

  afterAll(async () => {
    await server?.stop();
    await project?.remove();
  });

  test("the README's programs print what it says, and pass a strict type check", async () => {
    const programs = readme.programs("python");
    expect(programs.length).toBeGreaterThan(0);
    for (const { name, code, output } of programs) {
      await writeFile(join(project.folder, name), code);
      const run = `. .venv/bin/activate; python ${name}`;
      expect(await project.run(run, { PAWL_URL: server.grpcUrl }), name).toBe(output);
    }
    const names = programs.map(({ name }) => name).join(" ");
    await project.run(`. .venv/bin/activate; mypy --strict ${names}`);
  });

  test("the source distribution installs, and holds no tests", async () => {
    const [sdist] = (await readdir(join(root, "artifacts", "python"))).filter((name) =>
      name.endsWith(".tar.gz"),
    );
    const path = `"$PAWL"/artifacts/python/${sdist}`;
    const names = (await project.run(`tar -tzf ${path}`)).split("\n");
    expect(names.some((name) => name.endsWith("/py.typed"))).toBe(true);
    expect(names.some((name) => name.endsWith("/LICENSE"))).toBe(true);
    expect(names.filter((name) => /\/(tests|conformance|bench)\//.test(name))).toEqual([]);
    const check = "import pawl; print(pawl.__name__)";
    const install = `python3 -m venv other; other/bin/pip install ${path}; other/bin/python -c '${check}'`;
    expect(await project.run(install)).toMatch(/pawl\n$/);
  });
});
