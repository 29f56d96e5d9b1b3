/**
 * Goal: the databases that tests are given are real, separate, and can be crashed.
 * Method: ask for two and compare; commit in a cluster of our own, kill it, read after a restart.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import pg from "pg";
import { expect, test } from "vitest";
import { createDatabase } from "./database.ts";
import { startPostgres } from "./postgres.ts";

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

test("two databases of one label are separate, and are PostgreSQL 18", async () => {
  const [a, b] = await Promise.all([createDatabase("harness"), createDatabase("harness")]);
  expect(a).not.toBe(b);
  await query(a, "CREATE TABLE only_in_a (x int)");
  await expect(query(b, "SELECT * FROM only_in_a")).rejects.toMatchObject({ code: "42P01" });
  expect(await query(a, "SHOW server_version")).toEqual([
    { server_version: expect.stringMatching(/^18\./) },
  ]);
});

test("what was committed survives a killed server; while it is down connections fail", async () => {
  await using cluster = await startPostgres();
  const url = await cluster.createDatabase("outage");
  await query(url, "CREATE TABLE t AS SELECT 7 AS x");
  await cluster.kill();
  expect(cluster.pid).toBeUndefined();
  await expect(query(url, "SELECT x FROM t")).rejects.toMatchObject({ code: "ECONNREFUSED" });
  await cluster.start();
  expect(await query(url, "SELECT x FROM t")).toEqual([{ x: 7 }]);
  await cluster.halt();
  await cluster.start();
  expect(await query(url, "SELECT x FROM t")).toEqual([{ x: 7 }]);
});

test("when the process that started it is killed, the server ends and leaves no data", async () => {
  const folder = await mkdtemp(join(tmpdir(), "pawl-harness-"));
  await chmod(folder, 0o755);
  const module = pathToFileURL(join(import.meta.dirname, "postgres.ts")).href;
  const script = `
    const { startPostgres } = await import(${JSON.stringify(module)});
    const cluster = await startPostgres();
    console.log(cluster.pid);
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, TMPDIR: folder },
  });
  const [output] = (await once(child.stdout, "data")) as [Buffer];
  const pid = Number.parseInt(output.toString(), 10);
  expect(isAlive(pid)).toBe(true);
  expect(await readdir(folder)).toHaveLength(1);
  child.kill("SIGKILL");
  await expect.poll(() => isAlive(pid)).toBe(false);
  await expect.poll(() => readdir(folder)).toEqual([]);
  await rm(folder, { recursive: true });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
