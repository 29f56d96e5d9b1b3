/**
 * Goal: the stubs that docs/protocol.md shows are complete: a worker in Go that uses generated code
 * alone, and a run by curl alone, both also after a crash.
 * Method: run them against a real server, kill them in the middle, start them again.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Client } from "@pawl/worker";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { readBlocks } from "../../test/first-contact/blocks.ts";
import { startServer, type TestServer } from "../../test/harness/server.ts";

const run = promisify(execFile);
const folder = import.meta.dirname;
const hasGo = spawnSync("go", ["version"]).status === 0;
const hasCurl = spawnSync("curl", ["--version"]).status === 0;
if (!hasGo) console.log("go is not installed here: the Go stub is not tested.");
if (!hasCurl) console.log("curl is not installed here: the shell script is not tested.");

let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "pawl-stubs-"));
});

afterAll(async () => {
  await rm(scratch, { recursive: true, force: true });
});

test("docs/protocol.md shows them as they are", async () => {
  const guide = await readFile(join(folder, "..", "..", "docs", "protocol.md"), "utf8");
  const shown = readBlocks(guide).map(({ code }) => code);
  for (const file of ["run.sh", "go/main.go"]) {
    expect(shown).toContain((await readFile(join(folder, file), "utf8")).trimEnd());
  }
});

/** A stub worker; `printed` resolves once it has printed the text. */
function startWorker(
  program: string,
  server: TestServer,
): {
  child: ChildProcess;
  printed(text: string): Promise<void>;
} {
  const child = spawn(program, [server.grpcAddress], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  return {
    child,
    async printed(text) {
      while (!output.includes(text)) {
        expect(child.exitCode, output).toBeNull();
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
  };
}

test
  .runIf(hasGo)
  .concurrent("a Go worker of generated code, killed between its steps", async () => {
    const lines = (await readFile(join(folder, "go", "main.go"), "utf8")).trimEnd().split("\n");
    expect(lines.length).toBeLessThanOrEqual(120);
    await using server = await startServer();
    const program = join(scratch, "stub");
    await run("go", ["build", "-o", program, "."], { cwd: join(folder, "go") });
    const client = new Client({ url: server.grpcUrl });
    const first = startWorker(program, server);
    let handle = await startOnce(client);
    await first.printed("order-1/charge 2");
    await first.printed("the run has left this worker");
    first.child.kill("SIGKILL");
    const second = startWorker(program, server);
    expect(await handle.result()).toBe("shipped");
    await second.printed("order-1/ship 2");
    second.child.kill();
    handle = await startOnce(client);
    expect(handle.existing).toBe(true);
    const completed = [];
    for await (const { type, stepKey } of handle.journal()) {
      if (type === "workflow.step.completed") completed.push(stepKey);
    }
    expect(completed).toEqual(["charge", "ship"]);
    client.close();
  });

/** Starts the run, once the worker has made its workflow known. */
async function startOnce(client: Client) {
  for (;;) {
    try {
      return await client.start("stub-order", undefined, { runId: "order-1" });
    } catch (error) {
      expect(String(error)).toContain("NOT_FOUND");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

test.runIf(hasCurl).concurrent("a run by curl alone, with a crash in its second step", async () => {
  const script = join(folder, "run.sh");
  await using server = await startServer();
  const effects = join(scratch, "effects");
  const env = {
    ...process.env,
    PAWL_HTTP: server.httpUrl,
    FIRST: `echo first >> ${effects}; echo one`,
  };
  const hang = { ...env, SECOND: `echo second >> ${effects}; exec sleep 60` };
  const crashing = spawn(script, ["report-1"], { env: hang, detached: true, stdio: "inherit" });
  const ended = once(crashing, "exit");
  await vi.waitFor(async () => expect(await readFile(effects, "utf8")).toContain("second"), 20_000);
  // The whole of it, as a machine that loses its power.
  process.kill(-(crashing.pid ?? 0), "SIGKILL");
  await ended;
  const again = { ...env, SECOND: `echo second >> ${effects}; echo two` };
  expect((await run(script, ["report-1"], { env: again })).stdout).toBe('ended: ["one","two"]\n');
  expect((await run(script, ["report-1"], { env: again })).stdout).toBe(
    'ended before: ["one","two"]\n',
  );
  expect(await readFile(effects, "utf8")).toBe("first\nsecond\nsecond\n");
});
