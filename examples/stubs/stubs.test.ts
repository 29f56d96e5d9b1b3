/**
 * Goal: the stubs that docs/protocol.md shows are complete: workers in Go and Python that use generated
 * code alone, and a run by curl alone. They survive a crash, clean up after a cancel, and fail in a way
 * that a retry can continue from.
 * Method: run them against a real server, kill them in the middle, start them again.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Client } from "@pawl/worker";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { readBlocks } from "../../test/first-contact/blocks.ts";
import { patienceMs } from "../../test/harness/patience.ts";
import { startServer, type TestServer } from "../../test/harness/server.ts";

const run = promisify(execFile);
const folder = import.meta.dirname;
const hasGo = spawnSync("go", ["version"]).status === 0;
const python = join(folder, "..", "..", "worker-sdk", "python", ".venv", "bin", "python");
const hasPython = existsSync(join(folder, "..", "..", "worker-sdk", "python", ".venv", "mark"));
const hasCurl = spawnSync("curl", ["--version"]).status === 0;
if (!hasGo) console.log("go is not installed here: the Go stub is not tested.");
if (!hasPython) console.log("worker-sdk/python is not set up: the Python stub is not tested.");
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
  [program, ...args]: readonly [string, ...string[]],
  server: TestServer,
): {
  child: ChildProcess;
  printed(text: string): Promise<void>;
} {
  const child = spawn(program, [...args, server.grpcAddress], {
    stdio: ["ignore", "pipe", "inherit"],
  });
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

/** Kills a stub worker between its steps, and lets another one continue; cancels a second run. */
async function testWorker(command: readonly [string, ...string[]], result: string): Promise<void> {
  await using server = await startServer();
  const client = new Client({ url: server.grpcUrl });
  const first = startWorker(command, server);
  const handle = await startOnce(client, "order-1");
  await first.printed("/charge 2");
  await first.printed("the run has left this worker");
  first.child.kill("SIGKILL");
  const second = startWorker(command, server);
  expect(await handle.result()).toBe(result);
  await second.printed("/ship 2");
  expect((await startOnce(client, "order-1")).existing).toBe(true);
  const completed = [];
  for await (const { type, stepKey } of handle.journal()) {
    if (type === "workflow.step.completed") completed.push(stepKey);
  }
  expect(completed).toEqual(["charge", "ship"]);
  const cancelled = await startOnce(client, "order-2");
  await vi.waitFor(async () => expect((await cancelled.get()).status).toBe("waiting"), patienceMs);
  await cancelled.cancel();
  // The worker is given it to clean up, and says that nothing is left to do, long before its grace is over.
  await vi.waitFor(async () => expect((await cancelled.get()).status).toBe("cancelled"), 8_000);
  second.child.kill();
  client.close();
}

/** Their lines without comments and blank lines. */
test.for([
  ["go/main.go", "//"],
  ["python_worker.py", "#"],
] as const)("%s has at most 120 lines of code", async ([file, comment]) => {
  const lines = (await readFile(join(folder, file), "utf8")).split("\n").map((line) => line.trim());
  const code = lines.filter((line) => line !== "" && !line.startsWith(comment));
  expect(code.length).toBeLessThanOrEqual(120);
});

test
  .runIf(hasGo)
  .concurrent("a Go worker of generated code, killed between its steps", async () => {
    const program = join(scratch, "stub");
    await run("go", ["build", "-o", program, "."], { cwd: join(folder, "go") });
    await testWorker([program], "shipped");
  });

test
  .runIf(hasPython)
  .concurrent("a Python worker of generated code, killed between its steps", async () => {
    await testWorker([python, join(folder, "python_worker.py")], "paid");
  });

/** Starts the run, once the worker has made its workflow known. */
async function startOnce(client: Client, runId: string) {
  for (;;) {
    try {
      return await client.start("stub-order", undefined, { runId });
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
  await vi.waitFor(
    async () => expect(await readFile(effects, "utf8")).toContain("second"),
    patienceMs,
  );
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

test
  .runIf(hasCurl)
  .concurrent("a run by curl alone fails, is retried, and is cancelled", async () => {
    const script = join(folder, "run.sh");
    await using server = await startServer();
    const client = new Client({ url: server.grpcUrl });
    const env = { ...process.env, PAWL_HTTP: server.httpUrl, FIRST: "echo one" };
    const broken = { ...env, SECOND: "exit 3" };
    await expect(run(script, ["report-2"], { env: broken })).rejects.toThrow(/second ended with 3/);
    const failed = client.handle("report-2");
    expect(await failed.get()).toMatchObject({ status: "failed" });
    await failed.retry();
    const { stdout } = await run(script, ["report-2"], { env: { ...env, SECOND: "echo two" } });
    expect(stdout).toBe('ended: ["one","two"]\n');

    const started = join(scratch, "started");
    const slow = { ...env, SECOND: `touch ${started}; sleep 2; echo two` };
    const ended = run(script, ["report-3"], { env: slow }).catch((error: Error) => error);
    await vi.waitFor(() => expect(existsSync(started)).toBe(true), patienceMs);
    const cancelled = client.handle("report-3");
    await cancelled.cancel({ grace: "1 min" });
    expect(String(await ended)).toContain("failed: cancelled");
    expect(await cancelled.get()).toMatchObject({ status: "cancelled" });
    client.close();
  });
