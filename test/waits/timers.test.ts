/**
 * Goal: a timer fires once, soon after it is due and never before, whatever happens to servers and
 * workers meanwhile.
 * Method: servers and contenders in processes of their own, killed and started; what happened is
 * read from the journals.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RunService, RunStatus, WaitKind, WaitOutcome } from "@pawl/proto";
import { afterAll, beforeAll, describe, expect, type TestContext, test } from "vitest";
import type { EntryHead } from "../../server/src/model/entry.ts";
import { openStore } from "../../server/src/store/open.ts";
import { seedSleepers } from "../bench/product/waiting.ts";
import { createDatabase } from "../harness/database.ts";
import { patienceMs } from "../harness/patience.ts";
import { connect, rpc } from "../harness/protocol.ts";
import { startServer } from "../harness/server.ts";
import { fenceOf, jsonOf, Lab, ms, SLEEP, sleep, stores } from "../semantics/lab.ts";
import { eventually, suspendOn, waits } from "./waits-lab.ts";

/** The journals of runs, read past all servers. */
async function journals(url: string, runIds: readonly string[]): Promise<EntryHead[][]> {
  const store = await openStore(url, { onMessage: () => undefined });
  try {
    const found: EntryHead[][] = [];
    for (let from = 0; from < runIds.length; from += 500) {
      const refs = runIds
        .slice(from, from + 500)
        .map((runId) => ({ org: "default", runId, afterSeq: 0 }));
      const loaded = await store.loadRuns(refs);
      found.push(...loaded.map((run) => run?.entries ?? []));
    }
    return found;
  } finally {
    await store.close();
  }
}

const fired = (entries: readonly EntryHead[]) =>
  entries.filter(({ type }) => type === "workflow.wait.resolved");

async function untilAllFired(url: string, runIds: readonly string[]): Promise<EntryHead[][]> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const found = await journals(url, runIds);
    const left = found.filter((entries) => fired(entries).length === 0).length;
    if (left === 0) return found;
    if (performance.now() > deadline) throw new Error(`${left} timers did not fire.`);
    await sleep(100);
  }
}

describe.each(stores)("%s", (store) => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.open(store);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  test.concurrent("two sleeps of one name both sleep, one after the other", async () => {
    const held = await lab.held("session");
    const { worker, runId } = held;
    let { fence } = held;
    for (const stepKey of ["sleep:nap", "sleep:nap#2"]) {
      const begun = Date.now();
      await worker.stepStarted({
        runId,
        fence,
        stepKey,
        name: "nap",
        kind: SLEEP,
        wait: { duration: ms(250) },
      });
      // On a slow machine the sleep is over before the run is suspended.
      const { resumed } = await suspendOn({ worker, runId, fence }, [stepKey]);
      if (!resumed) fence = fenceOf(await worker.next(runId, fence));
      expect(Date.now() - begun).toBeGreaterThanOrEqual(249);
    }
  });

  test.concurrent("a moment in the past and one in the future, by the server's clock alone", async () => {
    const { worker, runId, fence } = await lab.held("unary");
    const sleepUntil = (stepKey: string, at: number) =>
      worker.stepStarted({ runId, fence, stepKey, kind: SLEEP, wait: { until: ms(at) } });
    const past = await sleepUntil("sleep:past", Date.now() - 86_400_000);
    expect(past.outcome).toMatchObject({ case: "replay", value: { outcome: WaitOutcome.FIRED } });
    const soon = Date.now() + 300;
    const future = await sleepUntil("sleep:future", soon);
    expect(future.outcome).toMatchObject({ case: "wait", value: { until: ms(soon) } });
    const nap = () => lab.step(runId, "sleep:future");
    await eventually(async () => (await nap())?.outcome === WaitOutcome.FIRED, "the sleep is over");
    const resolved = await nap();
    const at =
      Number(resolved?.recordedAt?.seconds) * 1_000 + (resolved?.recordedAt?.nanos ?? 0) / 1e6;
    expect(at).toBeGreaterThanOrEqual(soon);
  });
});

test.concurrent.for([1, -1])(
  "a worker whose clock is wrong by a day (%s) changes nothing",
  async (sign) => {
    const skew = sign * 86_400_000;
    await using server = await startServer();
    const client = connect(server.grpcAddress);
    const script = join(import.meta.dirname, "skewed-worker.ts");
    const worker = spawn(process.execPath, [script, server.grpcUrl, "skewed", String(skew)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    try {
      if (worker.stdout !== null) await once(worker.stdout, "data");
      const begun = performance.now();
      await rpc(client, RunService.method.startRun, { workflow: "skewed", runId: "skewed" });
      const { run } = await rpc(client, RunService.method.waitRun, {
        runId: "skewed",
        timeout: { seconds: 60n },
      });
      const took = performance.now() - begun;
      expect(run?.status).toBe(RunStatus.COMPLETED);
      const { answer, clock } = jsonOf(run?.output) as { answer: string; clock: number };
      expect(answer).toBe("none");
      expect(Math.abs(clock - skew - Date.now())).toBeLessThan(3_600_000);
      // 1.1 s of sleep, 2.1 s to the retry, 0.3 s for a signal that does not come.
      expect(took).toBeGreaterThanOrEqual(3_490);
      expect(took).toBeLessThan(60_000);
    } finally {
      client.close();
      worker.kill("SIGKILL");
    }
  },
);

/** An empty database that no server has open; a file goes with the test. */
async function database(
  kind: (typeof stores)[number],
  { onTestFinished }: Pick<TestContext, "onTestFinished">,
): Promise<string> {
  if (kind === "postgres") return createDatabase("timers");
  const folder = await mkdtemp(join(tmpdir(), "pawl-timers-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return join(folder, "pawl.db");
}

test.concurrent.for(stores)(
  "%s: a sleep whose server is killed half-way takes as long as without",
  async (kind, context) => {
    const url = await database(kind, context);
    const begun = Date.now();
    const until = begun + 3_000;
    const ids = await seedSleepers(url, [until]);
    await using first = await startServer({ store: url });
    await sleep(Math.max(0, begun + 1_500 - Date.now()));
    await first.kill();
    await using second = await startServer({ store: url });
    const client = connect(second.grpcAddress);
    const left = () => waits(client, { kinds: [WaitKind.SLEEP], pageSize: 1 });
    await eventually(async () => (await left()).length === 0, "the timer has fired");
    client.close();
    await second.stop();
    const [entries = []] = await journals(url, ids);
    expect(fired(entries)).toHaveLength(1);
    const late = (fired(entries)[0]?.at ?? 0) - until;
    console.log(`${kind}: ${late} ms after the moment that it was to sleep until`);
    expect(late).toBeGreaterThanOrEqual(0);
  },
);

test.concurrent.for(stores)(
  "%s: timers that were due while every server was down fire at once on start",
  async (kind, context) => {
    const url = await database(kind, context);
    const now = Date.now();
    const moments = Array.from({ length: 300 }, (_, i) => now - 60_000 + i);
    const ids = await seedSleepers(url, moments);
    await using server = await startServer({ store: url });
    const ready = Date.now();
    const client = connect(server.grpcAddress);
    const left = () => waits(client, { kinds: [WaitKind.SLEEP], pageSize: 1 });
    await eventually(async () => (await left()).length === 0, "no timer is left");
    client.close();
    await server.stop();
    const all = await journals(url, ids);
    expect(all.filter((entries) => fired(entries).length === 1)).toHaveLength(300);
    const last = Math.max(...all.flatMap((entries) => fired(entries).map(({ at }) => at)));
    console.log(`${kind}: the last of 300 fired ${last - ready} ms after the server was ready`);
    expect(last - ready).toBeLessThan(50_000);
  },
);

/** 50 contenders: 5 processes with 10 engines each. PAWL_TIMERS: how many timers; 5,000 in the soak. */
test("each of many timers fires once under 50 contenders, one process of which is killed", async () => {
  const count = Number(process.env.PAWL_TIMERS ?? "600");
  const url = await createDatabase("timers");
  await (await openStore(url, { migrate: true, onMessage: () => undefined })).close();
  const contenders = await Promise.all(Array.from({ length: 5 }, () => contend(url, 10)));
  const base = Date.now() + 300 + Math.ceil(count / 3);
  const ids = await seedSleepers(
    url,
    Array.from({ length: count }, (_, i) => base + Math.floor(i / 2)),
  );
  await sleep(Math.max(0, base + count / 8 - Date.now()));
  contenders[0]?.kill("SIGKILL");
  const all = await untilAllFired(url, ids);
  // A server that was late with the same timer has had time to show it.
  await sleep(300);
  for (const one of contenders.slice(1)) one.stdin?.end();
  await Promise.all(contenders.slice(1).map((one) => ended(one)));
  const after = await journals(url, ids);
  expect(after.filter((entries) => fired(entries).length !== 1)).toEqual([]);
  const lags = all
    .flatMap((entries, i) => fired(entries).map(({ at }) => at - (base + Math.floor(i / 2))))
    .sort((x, y) => x - y);
  expect(lags[0]).toBeGreaterThanOrEqual(0);
  console.log(
    `${count} timers, 50 contenders: lag p50 ${lags[lags.length >> 1]} ms, max ${lags.at(-1)} ms`,
  );
});

async function contend(url: string, engines: number): Promise<ChildProcess> {
  const script = join(import.meta.dirname, "contender.ts");
  const child = spawn(process.execPath, [script, url, String(engines)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  if (child.stdout !== null) await once(child.stdout, "data");
  return child;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}
