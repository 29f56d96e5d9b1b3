/**
 * Goal: /metrics says what was done, no more and no less, and the documentation lists all of it.
 * Method: a known workload on a real server, on both stores; the exposition read by a strict parser.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Client, silentLogger, Worker, workflow } from "@pawl/worker";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createDatabase } from "../harness/database.ts";
import { startServer, type TestServer } from "../harness/server.ts";
import { stores } from "../semantics/lab.ts";
import { Scrape } from "./exposition.ts";
import { DONE, workload } from "./workload.ts";

const DOC = readFileSync(join(import.meta.dirname, "../../docs/observability.md"), "utf8");

describe.each(stores)("%s", (store) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer(
      store === "postgres" ? { store: await createDatabase("metrics") } : {},
    );
    await workload(server.grpcUrl);
  });
  afterAll(() => server.stop());

  test("what was done is counted", async () => {
    const scrape = await Scrape.of(server.httpUrl);
    const counted = {
      runsCompleted: scrape.sum("pawl_runs_ended_total", { outcome: "completed" }),
      runsFailed: scrape.sum("pawl_runs_ended_total", { outcome: "failed" }),
      stepsCompleted: scrape.sum("pawl_steps_total", { outcome: "completed" }),
      stepsFailed: scrape.sum("pawl_steps_total", { outcome: "failed" }),
      attemptsFailed: scrape.sum("pawl_step_attempts_total", { outcome: "failed" }),
      retries: scrape.sum("pawl_step_retries_total"),
    };
    expect(counted).toEqual(DONE);
    expect(scrape.sum("pawl_runs_started_total", { workflow: "observed" })).toBe(1);
    expect(scrape.sum("pawl_runs_started_total")).toBe(3);
    expect(scrape.sum("pawl_waits_resolved_total", { outcome: "fired" })).toBe(1);
    expect(scrape.sum("pawl_waits_resolved_total", { outcome: "completed" })).toBe(1);
    expect(scrape.sum("pawl_step_duration_seconds_count")).toBe(5);
    expect(scrape.sum("pawl_run_duration_seconds_count")).toBe(3);
    expect(scrape.sum("pawl_dispatches_total")).toBeGreaterThanOrEqual(3);
    expect(scrape.sum("pawl_dispatch_latency_seconds_count")).toBeGreaterThanOrEqual(3);
    expect(scrape.sum("pawl_timer_lag_seconds_count")).toBeGreaterThanOrEqual(2);
    expect(scrape.sum("pawl_commit_duration_seconds_count")).toBeGreaterThan(5);
    expect(scrape.sum("pawl_commit_batch_size_sum")).toBeGreaterThan(10);
    expect(scrape.sum("pawl_store_up")).toBe(1);
    expect(scrape.sum("pawl_store_errors_total")).toBe(0);
  });

  test("buckets only grow, and the last one holds all", async () => {
    const { metrics } = await Scrape.of(server.httpUrl);
    for (const { name, type, series } of metrics.values()) {
      if (type !== "histogram") continue;
      const buckets = series.filter((one) => one.name === `${name}_bucket`);
      const values = buckets.map(({ value }) => value);
      expect(values, name).toEqual([...values].sort((a, b) => a - b));
      expect(buckets.at(-1)?.labels.le).toBe("+Inf");
      expect(buckets.at(-1)?.value).toBe(series.find((one) => one.name === `${name}_count`)?.value);
    }
  });

  test("a lost worker, the recovery of its run and what need not be computed again", async () => {
    const before = await Scrape.of(server.httpUrl);
    const client = new Client({ url: server.grpcUrl, logger: silentLogger });
    let blocked = (): void => undefined;
    const inSecond = new Promise<void>((resolve) => {
      blocked = resolve;
    });
    let block = true;
    const two = workflow("two-steps", async (ctx) => {
      await ctx.step("one", () => 1);
      await ctx.step("two", async () => {
        if (!block) return;
        blocked();
        await new Promise(() => undefined);
      });
    });
    const options = { url: server.grpcUrl, workflows: [two], logger: silentLogger };
    const first = new Worker({ ...options, drainTimeout: "1 ms" });
    await first.start();
    const run = await client.start(two, undefined);
    await inSecond;
    expect((await Scrape.of(server.httpUrl)).sum("pawl_worker_connections")).toBe(1);
    await first.stop();
    block = false;
    const waiting = await Scrape.of(server.httpUrl);
    expect(waiting.sum("pawl_queue_depth", { queue: "default" })).toBeLessThanOrEqual(1);
    const second = new Worker(options);
    await second.start();
    await run.result();
    await second.stop();
    client.close();
    const after = await Scrape.of(server.httpUrl);
    const grown = (name: string, labels = {}): number =>
      after.sum(name, labels) - before.sum(name, labels);
    expect(grown("pawl_leases_lost_total")).toBe(1);
    expect(grown("pawl_recovery_seconds_count")).toBe(1);
    expect(grown("pawl_replays_total")).toBe(1);
    expect(grown("pawl_steps_total")).toBe(2);
  });

  test("a queue that nobody serves has a depth and an age", async () => {
    const client = new Client({ url: server.grpcUrl, logger: silentLogger });
    await client.start("observed-child", undefined, { queue: "nobody" });
    await client.start("observed-child", undefined, { queue: "nobody" });
    client.close();
    const scrape = await Scrape.of(server.httpUrl);
    expect(scrape.sum("pawl_queue_depth", { queue: "nobody" })).toBe(2);
    expect(scrape.sum("pawl_queue_oldest_seconds", { queue: "nobody" })).toBeGreaterThan(0);
  });

  test("a queue that nobody has to wait in has a depth of 0", async () => {
    const scrape = await Scrape.of(server.httpUrl);
    const depths = scrape.metrics.get("pawl_queue_depth")?.series ?? [];
    expect(depths.find(({ labels }) => labels.queue === "default")?.value).toBe(0);
  });

  test("watchers and live events", async () => {
    const before = await Scrape.of(server.httpUrl);
    const client = new Client({ url: server.grpcUrl, logger: silentLogger });
    const talking = workflow("talking", (ctx) =>
      ctx.step("talk", async (step) => {
        for (let word = 0; word < 20; word += 1) step.emit("word", word);
        await heard;
      }),
    );
    let hear = (): void => undefined;
    const heard = new Promise<void>((resolve) => {
      hear = resolve;
    });
    const options = { url: server.grpcUrl, workflows: [talking], logger: silentLogger };
    const worker = new Worker(options);
    await worker.start();
    const run = await client.start(talking, undefined);
    let words = 0;
    for await (const event of run.watch()) {
      if (event.type === "word") words += 1;
      if (words < 20) continue;
      expect((await Scrape.of(server.httpUrl)).sum("pawl_watchers")).toBeGreaterThanOrEqual(1);
      hear();
      break;
    }
    await run.result();
    await worker.stop();
    client.close();
    const after = await Scrape.of(server.httpUrl);
    const name = "pawl_deltas_published_total";
    expect(after.sum(name) - before.sum(name)).toBeGreaterThanOrEqual(20);
    expect(after.sum("pawl_deltas_dropped_total")).toBe(0);
  });

  test("every metric is documented with its type and labels, and nothing else is", async () => {
    const { metrics } = await Scrape.of(server.httpUrl);
    const real = [...metrics.values()].map(({ name, type, series }) => {
      const labels = new Set(series.flatMap((one) => Object.keys(one.labels)));
      labels.delete("le");
      return [name, type, [...labels].sort().join(", ")];
    });
    const rows = [...DOC.matchAll(/^\| `([a-z_]+)` \| (counter|gauge|histogram) \| ([^|]*) \|/gm)];
    const documented = rows.map(([, name, type, labels = ""]) => [
      name,
      type,
      labels.replaceAll("`", "").trim(),
    ]);
    expect(real.sort()).toEqual(documented.sort());
  });
});
