/**
 * Goal: a database that goes away, or a disk that is full, costs time and nothing else: writes are
 * refused with STORE_UNAVAILABLE, nothing that was acknowledged is lost, and work resumes by itself.
 * Method: a real server under load by real workers, whose PostgreSQL is killed for a while (4 s;
 * PAWL_OUTAGE_S=30 for the long one), or whose file may suddenly not grow.
 */
import { execFile } from "node:child_process";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { RunService } from "@pawl/proto";
import { Client, type Context, silentLogger, Worker, workflow } from "@pawl/worker";
import { expect, test, vi } from "vitest";
import { patienceMs } from "../harness/patience.ts";
import { startPostgres } from "../harness/postgres.ts";
import { connect, Refusal, rpc } from "../harness/protocol.ts";
import { startServer, type TestServer } from "../harness/server.ts";

const outageMs = 1_000 * Number(process.env.PAWL_OUTAGE_S ?? "4");
const runs = 20;
const steps = 40;

/** Runs under load, with how often each of their steps was executed. */
class Load {
  readonly executed = new Map<string, number>();
  readonly client: Client;
  readonly #worker: Worker;
  readonly #flow = workflow("load", async (ctx: Context) => {
    let sum = 0;
    for (let i = 0; i < steps; i += 1) {
      sum += await ctx.step("s", async () => {
        const key = `${ctx.runId} ${i}`;
        this.executed.set(key, (this.executed.get(key) ?? 0) + 1);
        await sleep(20);
        return i;
      });
    }
    return sum;
  });

  constructor(server: TestServer) {
    const { grpcUrl: url } = server;
    this.client = new Client({ url, logger: silentLogger, retryFor: patienceMs });
    this.#worker = new Worker({ url, workflows: [this.#flow], logger: silentLogger });
  }

  async start(): Promise<void> {
    await this.#worker.start();
    for (let i = 0; i < runs; i += 1) {
      await this.client.start(this.#flow, undefined, { runId: `load-${i}` });
    }
    await vi.waitFor(() => expect(this.executed.size).toBeGreaterThan(2 * runs), patienceMs);
  }

  /** Waits for all results; returns how many executions there were too many. */
  async finish(): Promise<number> {
    for (let i = 0; i < runs; i += 1) {
      const handle = this.client.handle(`load-${i}`, this.#flow);
      expect(await handle.result({ timeout: patienceMs })).toBe((steps * (steps - 1)) / 2);
    }
    expect(this.executed.size).toBe(runs * steps);
    return [...this.executed.values()].reduce((sum, count) => sum + count - 1, 0);
  }

  async stop(): Promise<void> {
    await this.#worker.stop();
    this.client.close();
  }
}

/** A write that no run depends on, while the store is away. */
async function refusedWrite(server: TestServer): Promise<unknown> {
  const client = connect(server.grpcAddress);
  try {
    const start = { workflow: "load", runId: "late", queue: "nobody" };
    return await rpc(client, RunService.method.startRun, start).catch((error: unknown) => error);
  } finally {
    client.close();
  }
}

async function isReady(server: TestServer): Promise<boolean> {
  return (await fetch(`${server.httpUrl}/readyz`)).ok;
}

async function isUp(server: TestServer): Promise<boolean> {
  const metrics = await (await fetch(`${server.httpUrl}/metrics`)).text();
  return /^pawl_store_up 1$/m.test(metrics);
}

function linesOf(server: TestServer): string[] {
  return server.log().split("\n");
}

test.concurrent(
  "PostgreSQL gone for a while under load",
  async () => {
    const cluster = await startPostgres({ fsync: true });
    await using server = await startServer({ store: await cluster.createDatabase("outage") });
    const load = new Load(server);
    try {
      await load.start();
      const logged = linesOf(server);
      await cluster.kill();
      const refusal = await refusedWrite(server);
      expect(refusal).toBeInstanceOf(Refusal);
      expect(refusal).toMatchObject({ reason: "STORE_UNAVAILABLE" });
      await vi.waitFor(async () => expect(await isReady(server)).toBe(false), patienceMs);
      const before = load.executed.size;
      await sleep(outageMs);
      // Fail closed: without the platform no step starts.
      expect(load.executed.size).toBeLessThanOrEqual(before + runs);
      await cluster.start();
      // What was in flight may be executed again, and nothing else.
      expect(await load.finish()).toBeLessThanOrEqual(runs);
      await vi.waitFor(async () => expect(await isReady(server)).toBe(true), patienceMs);
      // One line when it goes, one when it is back.
      const lines = linesOf(server).slice(logged.length);
      expect(lines.filter((line) => /store\.|loop\./.test(line))).toEqual([
        expect.stringContaining("store.failed"),
        expect.stringContaining("store.reached"),
      ]);
    } finally {
      await load.stop();
      await cluster.stop();
    }
  },
  3 * patienceMs + outageMs,
);

const exec = promisify(execFile);
const hasPrlimit = await exec("prlimit", ["--version"]).then(
  () => true,
  () => false,
);

test
  .skipIf(!hasPrlimit)
  .concurrent(
    `a disk that is full under load${hasPrlimit ? "" : " (left out: it needs prlimit, of util-linux)"}`,
    async () => {
      // Without the signal a write beyond the limit fails as on a full disk.
      const launcher = ["sh", "-c", 'trap "" XFSZ; exec "$0" "$@"'];
      await using server = await startServer({ launcher });
      const load = new Load(server);
      const limit = (bytes: string) =>
        exec("prlimit", [`--pid=${server.pid}`, `--fsize=${bytes}:unlimited`]);
      try {
        await load.start();
        await limit("4096");
        const refusal = await refusedWrite(server);
        expect(refusal).toMatchObject({ reason: "STORE_UNAVAILABLE" });
        // Reads work, and so may a small write; the truth is told all the while.
        for (let i = 0; i < 20; i += 1) {
          expect([await isReady(server), await isUp(server)]).toEqual([false, false]);
          await sleep(200);
        }
        await limit("unlimited");
        expect(await load.finish()).toBeLessThanOrEqual(runs);
        await vi.waitFor(async () => expect(await isReady(server)).toBe(true), patienceMs);
      } finally {
        await load.stop();
      }
    },
  );

/** Starts runs as fast as they are acknowledged; when the last one was, and the first refusal after. */
async function startUntilRefused(server: TestServer): Promise<{ refusal: unknown; last: number }> {
  const client = connect(server.grpcAddress);
  let last = 0;
  try {
    for (let i = 0; ; i += 1) {
      const start = { workflow: "load", runId: `start-${i}`, queue: "nobody" };
      await rpc(client, RunService.method.startRun, start);
      last = performance.now();
    }
  } catch (refusal) {
    return { refusal, last };
  } finally {
    client.close();
  }
}

test.concurrent("a database file that is deleted under a server", async () => {
  const folder = await mkdtemp(join(tmpdir(), "pawl-trouble-"));
  const store = join(folder, "pawl.db");
  await using server = await startServer({ store });
  const load = new Load(server);
  await load.start();
  await load.stop();
  const started = startUntilRefused(server);
  await sleep(200);
  await rm(store);
  const deleted = performance.now();
  const { refusal, last } = await started;
  expect(refusal).toMatchObject({ reason: "STORE_UNAVAILABLE" });
  // A second after, at most; the rest is what a busy machine adds.
  expect(last - deleted).toBeLessThan(10_000);
  await vi.waitFor(async () => expect(await isReady(server)).toBe(false), patienceMs);
  expect(await isUp(server)).toBe(false);
  expect(server.log()).toMatch(/store\.failed.*deleted or replaced/);
  await rm(folder, { recursive: true });
});

const PAGE = 4_096;

function rootOf(file: string, table: string): number {
  const db = new DatabaseSync(file);
  const row = db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = ?").get(table);
  db.close();
  return Number(row?.rootpage);
}

test.concurrent("a database file with damaged pages", async () => {
  const folder = await mkdtemp(join(tmpdir(), "pawl-trouble-"));
  const store = join(folder, "pawl.db");
  {
    await using server = await startServer({ store });
    const load = new Load(server);
    await load.start();
    await load.finish();
    await load.stop();
  }
  const root = rootOf(store, "run");
  const file = await open(store, "r+");
  await file.write(Buffer.alloc(PAGE, 0xab), 0, PAGE, (root - 1) * PAGE);
  await file.close();
  await using server = await startServer({ store });
  const client = connect(server.grpcAddress);
  try {
    const list = rpc(client, RunService.method.listRuns, {});
    await expect(list).rejects.toMatchObject({
      reason: "DATA_CORRUPTED",
      message: expect.stringContaining(store),
    });
    // Not STORE_UNAVAILABLE, which asks to send it again.
    const start = rpc(client, RunService.method.startRun, { workflow: "load" });
    await expect(start).rejects.toMatchObject({ reason: "DATA_CORRUPTED" });
  } finally {
    client.close();
  }
  await vi.waitFor(async () => expect(await isReady(server)).toBe(false), patienceMs);
  expect(await isUp(server)).toBe(false);
  expect(server.log().match(/store\.damaged/g)).toHaveLength(1);
  await rm(folder, { recursive: true });
});
