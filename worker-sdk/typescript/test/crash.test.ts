import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Client } from "../src/index.ts";
import { killProgram, startProgram, TestServer } from "./support/test-server.ts";

/** A server, its client, and the programs of one test, which continues beside others. */
class Scene {
  readonly server: TestServer;
  readonly client: Client;
  readonly #file: string;
  readonly #programs: Awaited<ReturnType<typeof startProgram>>[] = [];

  private constructor(server: TestServer) {
    this.server = server;
    this.client = new Client({ url: server.grpcUrl });
    this.#file = join(server.folder, "executions.log");
  }

  static async start(): Promise<Scene> {
    return new Scene(await TestServer.start());
  }

  async program(mode: string) {
    const child = await startProgram("crash-worker.ts", this.server.grpcUrl, this.#file, mode);
    this.#programs.push(child);
    return child;
  }

  async lines(): Promise<string[]> {
    const text = await readFile(this.#file, "utf8").catch(() => "");
    return text.split("\n").filter((line) => line !== "");
  }

  async untilLine(wanted: string): Promise<void> {
    while (!(await this.lines()).some((line) => line.includes(wanted))) await sleep(10);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#programs) await killProgram(child);
    this.client.close();
    await this.server.stop();
  }
}

function counts(list: string[], word: string): number[] {
  const found = new Map<string, number>();
  for (const line of list.filter((candidate) => candidate.startsWith(word))) {
    found.set(line, (found.get(line) ?? 0) + 1);
  }
  return [...found.values()];
}

describe.concurrent.each(["stream", "poll"])("workers by %s", (mode) => {
  test.concurrent("a killed worker's run continues in another, and repeats at most the step in flight", async () => {
    await using scene = await Scene.start();
    const workers = [await scene.program(mode), await scene.program(mode)];
    const run = await scene.client.start("crashy", { steps: 6, ms: 100 });
    await scene.untilLine("at s#3");
    const holder = (await scene.lines())
      .find((line) => line.startsWith("at s#3"))
      ?.split(" ")
      .at(-1);
    const victim = workers.find((worker) => String(worker.pid) === holder);
    expect(victim).toBeDefined();
    if (victim !== undefined) await killProgram(victim);
    expect(await run.result({ timeout: "40 s" })).toEqual([0, 1, 2, 3, 4, 5]);
    const list = await scene.lines();
    expect(counts(list, "start").filter((n) => n > 1).length).toBeLessThanOrEqual(1);
    let completed = 0;
    for await (const entry of run.journal()) {
      if (entry.type === "workflow.step.completed") completed += 1;
    }
    expect(completed).toBe(6);
  });

  test.concurrent("a killed server: its workers' runs continue once it is back", async () => {
    await using scene = await Scene.start();
    await scene.program(mode);
    const runs = await Promise.all(
      [1, 2, 3].map(() => scene.client.start("crashy", { steps: 8, ms: 40 })),
    );
    await scene.untilLine("s#3");
    await scene.server.kill();
    await sleep(300);
    await scene.server.startAgain();
    for (const run of runs) expect(await run.result({ timeout: "40 s" })).toHaveLength(8);
    const ends = counts(await scene.lines(), "end");
    expect(ends).toHaveLength(24);
    // Only what was not acknowledged when the server died may have been repeated.
    expect(ends.filter((n) => n > 1).length).toBeLessThanOrEqual(3);
  });
});

test.concurrent("a worker that is told to end finishes what it can and gives the rest back", async () => {
  await using scene = await Scene.start();
  const first = await scene.program("stream");
  const run = await scene.client.start("crashy", { steps: 4, ms: 100 });
  await scene.untilLine("s#2");
  await scene.program("stream");
  await killProgram(first, "SIGTERM");
  expect(first.exitCode).toBe(0);
  expect(await run.result({ timeout: "40 s" })).toHaveLength(4);
  expect(counts(await scene.lines(), "start")).toEqual([1, 1, 1, 1]);
});

test.concurrent("an at-most-once step that was in flight in a crash is never run again by itself", async () => {
  await using scene = await Scene.start();
  const first = await scene.program("stream");
  const run = await scene.client.start("once");
  await scene.untilLine("charge");
  await killProgram(first);
  await scene.program("stream");
  for (;;) {
    const info = await run.get();
    if (info.status === "paused") {
      expect(info.statusReason).toBe("unknown_outcome");
      break;
    }
    await sleep(50);
  }
  expect(await scene.lines()).toEqual(["charge"]);
});

test.concurrent("a program that executes its own run continues it after a crash", async () => {
  await using scene = await Scene.start();
  const first = await scene.program("claim");
  await scene.untilLine("s#3");
  await killProgram(first);
  const second = await scene.program("claim");
  const code = await new Promise<number | null>((resolve) => second.once("exit", resolve));
  expect(code).toBe(0);
  const list = await scene.lines();
  expect(list.at(-1)).toBe("result [0,1,2,3,4]");
  expect(counts(list, "start").filter((n) => n > 1).length).toBeLessThanOrEqual(1);
});
