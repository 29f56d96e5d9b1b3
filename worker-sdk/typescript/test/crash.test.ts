import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Client } from "../src/index.ts";
import { killProgram, startProgram, TestServer } from "./support/server.ts";

let server: TestServer;
let client: Client;
let file: string;
const programs: Awaited<ReturnType<typeof startProgram>>[] = [];

async function program(mode: string) {
  const child = await startProgram("crash-worker.ts", server.grpcUrl, file, mode);
  programs.push(child);
  return child;
}

beforeEach(async () => {
  server = await TestServer.start();
  file = join(server.folder, "executions.log");
  client = new Client({ url: server.grpcUrl });
});

afterEach(async () => {
  for (const child of programs.splice(0)) await killProgram(child);
  client.close();
  await server.stop();
});

async function lines(): Promise<string[]> {
  const text = await readFile(file, "utf8").catch(() => "");
  return text.split("\n").filter((line) => line !== "");
}

async function untilLine(wanted: string): Promise<void> {
  while (!(await lines()).some((line) => line.includes(wanted))) await sleep(10);
}

function counts(list: string[], word: string): number[] {
  const found = new Map<string, number>();
  for (const line of list.filter((candidate) => candidate.startsWith(word))) {
    found.set(line, (found.get(line) ?? 0) + 1);
  }
  return [...found.values()];
}

describe.each(["session", "poll"])("workers by %s", (mode) => {
  test("a killed worker's run goes on in another, and repeats at most the step in flight", async () => {
    const workers = [await program(mode), await program(mode)];
    const run = await client.start("crashy", { steps: 6, ms: 100 });
    await untilLine("at s#3");
    const holder = (await lines())
      .find((line) => line.startsWith("at s#3"))
      ?.split(" ")
      .at(-1);
    const victim = workers.find((worker) => String(worker.pid) === holder);
    expect(victim).toBeDefined();
    if (victim !== undefined) await killProgram(victim);
    expect(await run.result({ timeout: "40 s" })).toEqual([0, 1, 2, 3, 4, 5]);
    const list = await lines();
    expect(counts(list, "start").filter((n) => n > 1).length).toBeLessThanOrEqual(1);
    let completed = 0;
    for await (const entry of run.journal()) {
      if (entry.type === "workflow.step.completed") completed += 1;
    }
    expect(completed).toBe(6);
  });

  test("a killed server: its workers' runs go on once it is back", async () => {
    await program(mode);
    const runs = await Promise.all(
      [1, 2, 3].map(() => client.start("crashy", { steps: 8, ms: 40 })),
    );
    await untilLine("s#3");
    await server.kill();
    await sleep(300);
    await server.startAgain();
    for (const run of runs) expect(await run.result({ timeout: "40 s" })).toHaveLength(8);
    const ends = counts(await lines(), "end");
    expect(ends).toHaveLength(24);
    // Only what was not acknowledged when the server died may have been repeated.
    expect(ends.filter((n) => n > 1).length).toBeLessThanOrEqual(3);
  });
});

test("a worker that is told to end finishes what it can and gives the rest back", async () => {
  const first = await program("session");
  const run = await client.start("crashy", { steps: 4, ms: 100 });
  await untilLine("s#2");
  await program("session");
  await killProgram(first, "SIGTERM");
  expect(first.exitCode).toBe(0);
  expect(await run.result({ timeout: "40 s" })).toHaveLength(4);
  expect(counts(await lines(), "start")).toEqual([1, 1, 1, 1]);
});

test("an at-most-once step that was in flight in a crash is never run again by itself", async () => {
  const first = await program("session");
  const run = await client.start("once");
  await untilLine("charge");
  await killProgram(first);
  await program("session");
  for (;;) {
    const info = await run.get();
    if (info.state === "PAUSED") {
      expect(info.stateReason).toBe("UNKNOWN_OUTCOME");
      break;
    }
    await sleep(50);
  }
  expect(await lines()).toEqual(["charge"]);
});

test("a program that executes its own run continues it after a crash", async () => {
  const first = await program("claim");
  await untilLine("s#3");
  await killProgram(first);
  const second = await program("claim");
  const code = await new Promise<number | null>((resolve) => second.once("exit", resolve));
  expect(code).toBe(0);
  const list = await lines();
  expect(list.at(-1)).toBe("result [0,1,2,3,4]");
  expect(counts(list, "start").filter((n) => n > 1).length).toBeLessThanOrEqual(1);
});
