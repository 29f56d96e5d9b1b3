/**
 * Goal: the Go SDK is a module that a program outside of the repository gets, as its README says.
 * Method: write it as a proxy keeps it, get it with go in an empty folder, and run the README's programs.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missingToolchain, suites } from "../../scripts/suites.ts";
import { startServer, type TestServer } from "../harness/server.ts";
import { asked, installMs, Outside, Readme } from "./outside.ts";

const suite = suites.find(({ name }) => name === "go");
const missing = suite === undefined ? undefined : missingToolchain(suite);
if (asked && missing !== undefined) console.log(`The Go module is not tested: ${missing}`);

describe.runIf(asked && missing === undefined)("the module for go", { timeout: installMs }, () => {
  let project: Outside;
  let readme: Readme;
  let server: TestServer;

  beforeAll(async () => {
    project = await Outside.create();
    server = await startServer();
    readme = await Readme.read("worker-sdk/go/README.md");
    await project.run(`cd "$PAWL" && ${readme.block("sh", "artifacts go")}`);
  }, installMs);

  afterAll(async () => {
    await server?.stop();
    await project?.remove();
  });

  test("a program gets it, and the README's programs print what it says", async () => {
    // A cache of its own, so that no module of an earlier build is taken; what else is there is not fetched again.
    const own =
      'export GOPROXY="file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)" GOFLAGS=-modcacherw GOMODCACHE="$PWD/modules"';
    const install = `${own}\n${readme.block("sh", "go get")}`;
    await project.run(install);
    const programs = readme.programs("go");
    expect(programs.length).toBeGreaterThan(0);
    for (const { name, code, output } of programs) {
      await writeFile(join(project.folder, name), code);
      const run = `${own}\ngo vet ${name}\ngo run ${name}`;
      expect(await project.run(run, { PAWL_URL: server.grpcUrl }), name).toBe(output);
    }
  });
});
