/**
 * Goal: limits hold under whatever happens, hold up nobody else, and say what they do.
 * Method: workflows with limits over the wire on both stores; servers and workers die in between.
 * A limit is watched by those who execute: bodies count how many of them are under way.
 */
import { RunService, RunStatus, StatusReason } from "@pawl/proto";
import {
  Client,
  type Context,
  type Duration,
  type FlowOptions,
  type RunHandle,
  silentLogger,
  Worker,
  workflow,
} from "@pawl/worker";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createDatabase } from "../harness/database.ts";
import { connect, openWorker, rpc } from "../harness/protocol.ts";
import { startServer, type TestServer } from "../harness/server.ts";
import { sleep, stores } from "./lab.ts";
import { SdkLab } from "./sdk-lab.ts";

describe.each(stores)("%s", (store) => {
  let sdk: SdkLab;
  let server: TestServer;
  let client: Client;
  beforeAll(async () => {
    sdk = await SdkLab.open(store, "flow");
    ({ server, client } = sdk);
  });
  afterAll(() => sdk[Symbol.asyncDispose]());

  const name = (label: string): string => `${label}-${crypto.randomUUID().slice(0, 8)}`;

  /** A workflow whose bodies are counted, by key of the input, served by a worker. */
  async function counted(options: FlowOptions, paceMs: number, slots = 100) {
    const under = new Map<string, number>();
    const peak = new Map<string, number>();
    const started: { key: string; n: number; at: number }[] = [];
    const flow = workflow(
      name("limited"),
      options,
      async (ctx: Context, input: { key: string; n: number; wait?: boolean }) => {
        const { key, n } = input;
        await ctx.step("work", async () => {
          started.push({ key, n, at: performance.now() });
          under.set(key, (under.get(key) ?? 0) + 1);
          peak.set(key, Math.max(peak.get(key) ?? 0, under.get(key) ?? 0));
          await sleep(paceMs);
          under.set(key, (under.get(key) ?? 0) - 1);
        });
        if (input.wait === true) await ctx.signal("go");
        return n;
      },
    );
    await sdk.work({ workflows: [flow], workerId: name("w"), slots });
    return { flow, peak, started };
  }

  const all = (runs: RunHandle<unknown>[]): Promise<unknown[]> =>
    Promise.all(runs.map((run) => run.result({ timeout: "40 s" })));

  test.concurrent("that many at once by key; what waits makes room, and comes back as there is room", async () => {
    const { flow, peak } = await counted({ concurrency: { limit: 2, key: "{key}" } }, 30);
    const inputs = ["a", "b"].flatMap((key) => [0, 1, 2, 3, 4, 5].map((n) => ({ key, n })));
    const runs = await Promise.all(inputs.map((input) => client.start(flow, input)));
    // Waiting holds no place.
    const waiting = await Promise.all(
      [6, 7, 8, 9].map((n) => client.start(flow, { key: "a", n, wait: true })),
    );
    await all(runs);
    for (const run of waiting) {
      while ((await run.get()).status !== "waiting") await sleep(10);
    }
    await Promise.all(waiting.map((run) => run.signal("go")));
    await all(waiting);
    expect(Object.fromEntries(peak)).toEqual({ a: 2, b: 2 });
  });

  test.concurrent("a run that is held back says so, holds no worker, and can be cancelled or paused", async () => {
    const { flow, started } = await counted({ concurrency: 1 }, 10);
    const first = await client.start(flow, { key: "a", n: 0 });
    await all([first]);
    const lab = connect(server.grpcAddress);
    const hold = await rpc(lab, RunService.method.startRun, {
      workflow: flow.workflowName,
      runId: name("run"),
      input: { data: new TextEncoder().encode('{"key":"a","n":1}'), encoding: "json" },
      // This one takes the only place, on a queue that nobody serves.
      queue: "nobody",
    });
    while ((await client.handle(hold.run?.runId ?? "").get()).statusReason !== "no_worker")
      await sleep(10);
    const held = await Promise.all([2, 3, 4].map((n) => client.start(flow, { key: "a", n })));
    const [one, two, three] = held;
    if (one === undefined || two === undefined || three === undefined) throw new Error();
    const { run } = await rpc(lab, RunService.method.getRun, { runId: one.runId });
    expect(run).toMatchObject({
      status: RunStatus.QUEUED,
      statusReason: StatusReason.CONCURRENCY_LIMIT,
    });
    expect(run?.statusDetail).toMatch(/at most 1 concurrent runs of "limited-\w+"/);
    lab.close();
    await one.cancel();
    expect((await one.get()).status).toBe("cancelled");
    await two.pause();
    await client.handle(hold.run?.runId ?? "").cancel();
    await all([three]);
    await two.resume();
    await all([two]);
    expect(started.map(({ n }) => n)).toEqual([0, 4, 3]);
  });

  test.concurrent("at most that many starts in any period", async () => {
    const { flow, started } = await counted({ rateLimit: { limit: 3, period: "700 ms" } }, 1);
    const begun = performance.now();
    const runs = [0, 1, 2, 3, 4, 5, 6].map((n) => client.start(flow, { key: "a", n }));
    await all(await Promise.all(runs));
    const times = started.map(({ at }) => at - begun).sort((a, b) => a - b);
    // Seen by the one who executes, each a little late; by two clocks, of which one counts whole ms.
    for (const [i, time] of times.entries())
      expect(time).toBeGreaterThan(Math.floor(i / 3) * 700 - 20);
  });

  test.concurrent("keys take turns: many runs of one do not keep another waiting", async () => {
    const { flow, started } = await counted({ concurrency: 2, fairnessKey: "{key}" }, 5);
    const many = Array.from({ length: 60 }, (_, n) => client.start(flow, { key: "many", n }));
    const runs = await Promise.all(many);
    runs.push(await client.start(flow, { key: "few", n: 0 }));
    const before = started.length;
    await all(runs);
    const place = started.findIndex(({ key }) => key === "few");
    expect(place - before).toBeLessThan(15);
  });

  test.concurrent("urgent runs pass first; a start may have limits of its own", async () => {
    const { flow, started, peak } = await counted({}, 20);
    const options = { concurrency: { limit: 1, key: "mine" } };
    const first = await client.start(flow, { key: "a", n: 0 }, options);
    const runs = [first];
    for (let n = 1; n <= 4; n += 1)
      runs.push(await client.start(flow, { key: "a", n }, { ...options, priority: n }));
    await all(runs);
    expect(peak.get("a")).toBe(1);
    const order = started.map(({ n }) => n);
    expect(order.indexOf(4)).toBeLessThan(order.indexOf(1));
  });

  test.concurrent("starts with one key that come together are one run with the last input", async () => {
    const { flow, started } = await counted({}, 1);
    const start = (n: number, more: { maxWait?: Duration } = {}): Promise<RunHandle<number>> => {
      const debounce = { key: flow.workflowName, period: "2 s" as const, ...more };
      return client.start(flow, { key: "d", n }, { debounce });
    };
    const together = await Promise.all([1, 2, 3].map((n) => start(n)));
    const last = await start(4);
    expect(new Set([...together, last].map(({ runId }) => runId)).size).toBe(1);
    expect((await last.get()).statusReason).toBe("debounced");
    expect(await last.result({ timeout: "20 s" })).toBe(4);
    const next = await start(5, { maxWait: "700 ms" });
    expect(next.runId).not.toBe(last.runId);
    let again = next;
    for (let n = 6; again.runId === next.runId; n += 1) {
      await sleep(150);
      again = await start(n);
    }
    expect(await next.result({ timeout: "20 s" })).toBeGreaterThan(4);
    await again.cancel();
    expect(started.map(({ n }) => n)).toHaveLength(2);
  });

  test.concurrent("a key that the input does not have is refused, and nothing is started", async () => {
    const { flow } = await counted({ concurrency: { limit: 1, key: "{customer.id}" } }, 1);
    await expect(client.start(flow, { key: "a", n: 1 })).rejects.toMatchObject({
      reason: "INVALID_ARGUMENT",
      message: expect.stringContaining('"customer.id"'),
    });
  });

  test("no place is lost when the server and a worker die", async () => {
    const url = store === "postgres" ? await createDatabase("flow_crash") : undefined;
    const args = store === "postgres" ? ["--replica", "one"] : [];
    let own = await startServer({ ...(url && { store: url }), args });
    const { grpcAddress: grpc, httpAddress: http, store: database } = own;
    const lab = connect(grpc);
    const flow = name("limited");
    const names = { workflows: [flow], specs: [{ name: flow, version: "", flow: limit(2) }] };
    const dying = await openWorker("unary", lab, { ...names, workerId: "dying" });
    const start = (runId: string): Promise<unknown> =>
      rpc(lab, RunService.method.startRun, { workflow: flow, runId });
    for (const id of ["r1", "r2", "r3", "r4"]) await start(id);
    const fences = new Map<string, number>();
    for (const id of ["r1", "r2"]) fences.set(id, (await dying.next(id)).lease?.fence ?? 0);
    await own.kill();
    own = await startServer({ store: database, grpc, http, args });
    try {
      // Its places are the dying worker's still: it only has to be given back.
      const stateOf = async (runId: string): Promise<string> => {
        const { run } = await rpc(lab, RunService.method.getRun, { runId });
        return `${RunStatus[run?.status ?? 0]} ${StatusReason[run?.statusReason ?? 0]}`;
      };
      await sleep(100);
      expect(await stateOf("r3")).toBe("QUEUED CONCURRENCY_LIMIT");
      for (const id of ["r1", "r2"])
        await dying.suspendRun({ runId: id, fence: fences.get(id) ?? 0 });
      const heir = await openWorker("unary", lab, { ...names, workerId: "heir" });
      dying.close();
      for (const id of ["r1", "r2", "r3", "r4"]) {
        const item = await heir.next(id);
        await heir.completeRun({
          runId: id,
          fence: item.lease?.fence ?? 0,
          output: { encoding: "void" },
        });
      }
      heir.close();
      await start("r5");
      while ((await stateOf("r5")).includes("LIMIT")) await sleep(10);
    } finally {
      lab.close();
      await own.stop();
    }
  });

  function limit(n: number) {
    return { concurrency: { limit: n, key: "" } };
  }
});

test("several servers on one Postgres keep one limit", async () => {
  const url = await createDatabase("flow_replicas");
  const servers = await Promise.all(["a", "b"].map((id) => replica(url, id)));
  let under = 0;
  let peak = 0;
  const flow = workflow("shared", { concurrency: 3 }, async (ctx: Context) => {
    await ctx.step("work", async () => {
      under += 1;
      peak = Math.max(peak, under);
      await sleep(5);
      under -= 1;
    });
  });
  const workers = servers.map(
    (server, i) =>
      new Worker({
        url: server.grpcUrl,
        workflows: [flow],
        workerId: `w${i}`,
        logger: silentLogger,
      }),
  );
  const clients = servers.map(
    (server) => new Client({ url: server.grpcUrl, logger: silentLogger }),
  );
  try {
    await Promise.all(workers.map((worker) => worker.start()));
    const runs = Array.from({ length: 60 }, (_, i) => clients[i % 2]?.start(flow, undefined));
    for (const run of runs) await (await run)?.result({ timeout: "40 s" });
    expect(peak).toBe(3);
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
    for (const client of clients) client.close();
    await Promise.all(servers.map((server) => server.stop()));
  }
});

function replica(store: string, id: string): Promise<TestServer> {
  return startServer({ store, args: ["--replica", id] });
}
