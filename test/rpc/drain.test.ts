/**
 * Goal: a server that is told to stop loses nothing that it acknowledged, and says so of the rest.
 * Method: stop it under a burst of calls, start another one on the same store, and look.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RunService, WorkerService } from "@pawl/proto";
import { expect, test } from "vitest";
import { startServer } from "../harness/server.ts";
import { attempt, callGrpc, grpcClient, RawSession, type Refusal } from "./clients.ts";

const worker = { workerId: "w", instanceId: "i", workflows: [{ name: "burst" }] };

test("what was answered before the stop is there after it; the rest was refused, not lost", async () => {
  const folder = await mkdtemp(join(tmpdir(), "pawl-drain-"));
  const store = join(folder, "pawl.db");
  const first = await startServer({ store });
  const client = grpcClient(first.grpcAddress);
  await callGrpc(client, WorkerService.method.pollWork, { worker, wait: {} });
  const start = (runId: string) =>
    attempt(callGrpc(client, RunService.method.startRun, { workflow: "burst", runId }));
  const calls: Promise<[string, object]>[] = [];
  let stopped: Promise<number> | undefined;
  for (let index = 0; index < 3_000; index++) {
    const runId = `r${index}`;
    calls.push(start(runId).then((answer) => [runId, answer]));
    if (index === 1_000) stopped = first.stop();
    if (index % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const answers = await Promise.all(calls);
  expect(await stopped).toBe(0);
  client.close();

  const refused = answers.filter((entry): entry is [string, Refusal] => "code" in entry[1]);
  for (const [, refusal] of refused) expect(refusal.code, refusal.message).toBe(14);
  const answered = answers.filter(([, answer]) => !("code" in answer)).map(([runId]) => runId);
  console.log(`${answered.length} answered, ${refused.length} refused`);
  expect(answered.length).toBeGreaterThan(0);

  await using second = await startServer({ store });
  const other = grpcClient(second.grpcAddress);
  for (const runId of answered) {
    const { run } = await callGrpc(other, RunService.method.getRun, { runId });
    expect(run?.runId).toBe(runId);
  }
  other.close();
  await rm(folder, { recursive: true, force: true });
});

test("a worker keeps its runs over an orderly restart", async () => {
  const folder = await mkdtemp(join(tmpdir(), "pawl-restart-"));
  const store = join(folder, "pawl.db");
  const first = await startServer({ store });
  const client = grpcClient(first.grpcAddress);
  const session = await RawSession.open(client, ["burst"], { instanceId: "keeps", credits: 1 });
  await callGrpc(client, RunService.method.startRun, { workflow: "burst", runId: "kept" });
  const { item } = await session.next("dispatch");
  const lease = { runId: "kept", fence: item?.lease?.fence ?? 0 };
  session.send({ body: { case: "dispatchAck", value: lease } });
  await first.kill("SIGTERM");
  client.close();

  await using second = await startServer({ store });
  const again = grpcClient(second.grpcAddress);
  const back = new RawSession(again);
  const value = {
    protocolVersion: 1,
    worker: { ...worker, workerId: "worker", instanceId: "keeps" },
    leases: [lease],
  };
  back.send({ body: { case: "hello", value } });
  expect((await back.next("welcome")).leases).toMatchObject([lease]);
  const output = { data: Buffer.from("1") };
  back.send({ id: 1, body: { case: "completeRun", value: { ...lease, output } } });
  expect(await back.next("reply")).toMatchObject({ result: { case: "completeRun" } });
  back[Symbol.dispose]();
  again.close();
  await rm(folder, { recursive: true, force: true });
});
