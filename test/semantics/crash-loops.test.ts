/**
 * Goal: a step that kills its workers is stopped and named, and takes nothing else down with it.
 * Method: a worker process that one of its steps kills, at once or after a while, started again each
 * time as a supervisor does, beside healthy runs.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { RunStatus, StatusReason } from "@pawl/proto";
import { expect, test } from "vitest";
import { Lab, sleep, stores } from "./lab.ts";

const script = join(import.meta.dirname, "deadly-worker.ts");
const NEIGHBORS = 10;

/** A worker process that is started again whenever it ends. */
class Supervised implements AsyncDisposable {
  readonly said: string[] = [];
  readonly #args: readonly string[];
  #child: ChildProcess;
  #stopped = false;

  constructor(...args: string[]) {
    this.#args = args;
    this.#child = this.#start();
  }

  #start(): ChildProcess {
    const child = spawn(process.execPath, [script, ...this.#args], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    if (child.stdout !== null)
      createInterface({ input: child.stdout }).on("line", (line) => this.said.push(line));
    child.once("exit", () => {
      if (!this.#stopped) this.#child = this.#start();
    });
    return child;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGKILL");
    await ended;
  }
}

const deaths = [
  { delay: 0, crashes: 3 },
  { delay: 400, crashes: 2 },
];
const cases = stores.flatMap((store) => deaths.map((death) => ({ store, ...death })));

test.concurrent.each(cases)(
  "on $store, a step that kills its worker after $delay ms: it is stopped and named, its neighbors complete",
  async ({ store, delay, crashes }) => {
    await using lab = await Lab.open(store);
    await using worker = new Supervised(lab.server.grpcUrl, String(delay), String(crashes));
    while (!worker.said.includes("ready")) await sleep(20);
    const neighbors = Array.from({ length: NEIGHBORS }, (_, i) => `healthy-${i}`);
    await Promise.all([
      lab.start({ workflow: "deadly", runId: "deadly" }),
      ...neighbors.map((runId) => lab.start({ workflow: "healthy", runId })),
    ]);
    for (const runId of neighbors)
      await lab.until(runId, ({ status }) => status === RunStatus.COMPLETED);
    const run = await lab.until("deadly", ({ status }) => status === RunStatus.PAUSED);
    expect(run.statusReason).toBe(StatusReason.CRASH_LOOP);
    expect(run.statusDetail).toContain("kills");
    const attempts = worker.said.flatMap((line) =>
      line.startsWith("kills ") ? [Number(line.slice(6))] : [],
    );
    // The first death may come before its start is on record; an attempt's number never repeats.
    expect(attempts.length).toBeLessThanOrEqual(crashes + 1);
    expect(attempts.length).toBeGreaterThanOrEqual(crashes);
    expect(attempts).toEqual([...new Set(attempts)].sort((one, other) => one - other));
  },
);
