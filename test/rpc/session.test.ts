/**
 * Goal: a session batches, keeps order, bounds what it holds, and ends in order.
 * Method: bare sessions against the real server: what arrives, in how many messages, and what
 * becomes of readers that stop, instances that come back, and servers that stop.
 */
import type { Client } from "@grpc/grpc-js";
import {
  type Payload,
  RunService,
  RunStatus,
  type ServerFrame,
  SignalService,
  StepKind,
  WaitOutcome,
  StepStartedResponse_Wait_Why as Why,
  WorkerService,
} from "@pawl/proto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type TestServer } from "../harness/server.ts";
import { attempt, callGrpc, grpcClient, RawSession } from "./clients.ts";

const run = RunService.method;
let server: TestServer;
let client: Client;

beforeAll(async () => {
  server = await startServer();
  client = grpcClient(server.grpcAddress);
});

afterAll(async () => {
  client?.close();
  await server?.stop();
});

const bytes = (size: number): Pick<Payload, "data" | "encoding"> => ({
  data: Buffer.alloc(size, "a"),
  encoding: "bytes",
});

/** A session that holds a new run of the workflow. */
async function hold(workflow: string, runId: string) {
  const session = await RawSession.open(client, [workflow], { credits: 1 });
  await callGrpc(client, run.startRun, { workflow, runId });
  const { item } = await session.next("dispatch");
  const lease = { runId, fence: item?.lease?.fence ?? 0 };
  session.send({ body: { case: "dispatchAck", value: lease } });
  return { session, lease };
}

test("many frames at once are answered in order, in few messages", async () => {
  const { session, lease } = await hold("batch", "batch-1");
  const before = session.messages;
  const frames = Array.from({ length: 500 }, (_, index) => ({
    id: index + 1,
    body: {
      case: "stepCompleted" as const,
      value: { ...lease, stepKey: `s#${index + 1}`, attempt: 1, output: bytes(20) },
    },
  }));
  session.send(...frames);
  const seqs: number[] = [];
  for (let count = 0; count < frames.length; count++) {
    const { id, result } = await session.next("reply");
    expect(id).toBe(count + 1);
    if (result.case !== "stepCompleted") throw new Error(`Frame ${id}: ${JSON.stringify(result)}`);
    seqs.push(result.value.seq);
  }
  expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
  expect(session.messages - before).toBeLessThan(100);
  session[Symbol.dispose]();
});

test("a frame with id 0 is answered only when it fails", async () => {
  const { session, lease } = await hold("quiet", "quiet-1");
  const step = { ...lease, attempt: 1, output: bytes(1) };
  session.send(
    { id: 0, body: { case: "stepStarted", value: { ...lease, stepKey: "a", kind: 1 } } },
    { id: 0, body: { case: "stepCompleted", value: { ...step, stepKey: "a" } } },
    { id: 0, body: { case: "stepCompleted", value: { ...step, stepKey: "b", fence: 99 } } },
    { id: 5, body: { case: "stepCompleted", value: { ...step, stepKey: "c" } } },
  );
  const [first, second] = [await session.next("reply"), await session.next("reply")];
  const replies = [first, second].toSorted((a, b) => a.id - b.id);
  expect(replies).toMatchObject([
    { id: 0, result: { case: "error", value: { reason: "LEASE_LOST", code: 10 } } },
    { id: 5, result: { case: "stepCompleted" } },
  ]);
  session[Symbol.dispose]();
});

test("a wait is answered at once, and its end is pushed while the run is held", async () => {
  const { session, lease } = await hold("waits", "waits-1");
  const wait = { duration: { nanos: 300_000_000 } };
  const value = { ...lease, stepKey: "sleep:a", name: "a", kind: 2, wait };
  session.send({ id: 1, body: { case: "stepStarted", value } });
  const { result } = await session.next("reply");
  expect(result).toMatchObject({ value: { outcome: { case: "wait", value: { why: Why.WAIT } } } });
  const resolved = await session.next("waitResolved");
  expect(resolved).toMatchObject({
    ...lease,
    entry: { stepKey: "sleep:a", outcome: WaitOutcome.FIRED },
  });
  session[Symbol.dispose]();
});

test("what ends in a run is told in the order of its journal, however it is told", async () => {
  const { session, lease } = await hold("order", "order-1");
  const signal = async (name: string): Promise<void> => {
    const sent = { runId: "order-1", name, signalId: name, payload: bytes(2_000) };
    await callGrpc(client, SignalService.method.sendSignal, sent);
  };
  const wait = (
    id: number,
    stepKey: string,
    kind: StepKind,
    spec: { readonly signalName: string } | { readonly duration: object },
  ) => {
    const value = { ...lease, stepKey, name: stepKey, kind, wait: spec };
    return { id, body: { case: "stepStarted" as const, value } };
  };
  const completed = (id: number, stepKey: string) => ({
    id,
    body: {
      case: "stepCompleted" as const,
      value: { ...lease, stepKey, attempt: 1, output: bytes(1) },
    },
  });
  for (let i = 0; i < 10; i += 1) {
    const first = 10 * i + 1;
    await signal(`in-${i}`);
    session.send(wait(first, `out-${i}`, StepKind.SIGNAL, { signalName: `out-${i}` }));
    await session.next("reply");
    const sending = signal(`out-${i}`);
    const failed = {
      ...lease,
      stepKey: `f-${i}`,
      attempt: 1,
      failure: { type: "E", nonRetryable: true },
    };
    session.send(
      wait(first + 1, `nap-${i}`, StepKind.SLEEP, { duration: {} }),
      completed(first + 2, `a-${i}`),
      wait(first + 3, `in-${i}`, StepKind.SIGNAL, { signalName: `in-${i}` }),
      completed(first + 4, `b-${i}`),
      { id: first + 5, body: { case: "stepFailed", value: failed } },
      completed(first + 6, `c-${i}`),
    );
    const told: number[] = [];
    while (told.length < 7) told.push(...seqsIn(await session.nextBody()));
    expect(told).toEqual(told.toSorted((a, b) => a - b));
    await sending;
  }
  session[Symbol.dispose]();
});

/** The places in the journal of the ends that a frame reports. */
function seqsIn(body: ServerFrame["body"]): number[] {
  if (body.case === "waitResolved") return [body.value.entry?.seq ?? 0];
  const result = body.case === "reply" ? body.value.result : undefined;
  if (result?.case === "stepCompleted" || result?.case === "stepFailed") return [result.value.seq];
  const outcome = result?.case === "stepStarted" ? result.value.outcome : undefined;
  return outcome?.case === "replay" ? [outcome.value.seq] : [];
}

test("the same instance that opens a second stream replaces the first, with its leases", async () => {
  const names = { workerId: "again", instanceId: "again-1", credits: 1 };
  const first = await RawSession.open(client, ["again"], names);
  await callGrpc(client, run.startRun, { workflow: "again", runId: "again-1" });
  const { item } = await first.next("dispatch");
  const lease = { runId: "again-1", fence: item?.lease?.fence ?? 0 };
  first.send({ body: { case: "dispatchAck", value: lease } });
  const second = new RawSession(client);
  const worker = { ...names, workflows: [{ name: "again" }] };
  second.send({ body: { case: "hello", value: { protocolVersion: 1, worker, leases: [lease] } } });
  expect((await second.next("welcome")).leases).toMatchObject([lease]);
  // ABORTED, so that a worker can tell it from a lost network.
  expect(await first.ended).toMatchObject({ code: 10 });
  const value = { ...lease, output: bytes(3) };
  second.send({ id: 1, body: { case: "completeRun", value } });
  expect(await second.next("reply")).toMatchObject({ result: { case: "completeRun" } });
  const { run: after } = await callGrpc(client, run.getRun, { runId: "again-1" });
  expect(after?.status).toBe(RunStatus.COMPLETED);
  second[Symbol.dispose]();
});

test("a large payload is dispatched by reference and read in pieces", async () => {
  const input = bytes(2 * 1024 * 1024);
  const session = await RawSession.open(client, ["large"], { credits: 1 });
  await callGrpc(client, run.startRun, { workflow: "large", runId: "large-1", input });
  const { item } = await session.next("dispatch");
  expect(item?.input).toMatchObject({ encoding: "bytes", ref: { size: input.data.length } });
  expect(item?.input?.data).toHaveLength(0);
  session[Symbol.dispose]();
});

test("a worker that does not read is cut off, and the server lives on", async () => {
  const { session, lease } = await hold("slow", "slow-1");
  const big = { ...lease, stepKey: "big", attempt: 1, output: bytes(60 * 1024) };
  session.send({ id: 1, body: { case: "stepCompleted", value: big } });
  await session.next("reply");
  session.pause();
  // Each of these is answered with 60 KiB: 84 MiB in all, of which 64 may wait.
  const ask = { ...lease, stepKey: "big", kind: 1 };
  for (let id = 2; id < 1_450; id++) {
    session.send({ id, body: { case: "stepStarted", value: ask } });
  }
  await expect.poll(() => server.log()).toContain("connection.slow_reader");
  session.resume();
  expect(await session.ended).toMatchObject({ reason: "SLOW_CONSUMER" });
  const { run: after } = await callGrpc(client, run.getRun, { runId: "slow-1" });
  expect(after?.journalLength).toBeGreaterThan(1);
});

test("a stopping server says Drain, and ends streams and waits", async () => {
  await using other = await startServer();
  const otherClient = grpcClient(other.grpcAddress);
  const session = await RawSession.open(otherClient, ["stop"], { credits: 1 });
  await callGrpc(otherClient, run.startRun, { workflow: "stop", runId: "stop-1" });
  await session.next("dispatch");
  const waiting = attempt(callGrpc(otherClient, run.waitRun, { runId: "stop-1" }));
  const polling = attempt(
    callGrpc(otherClient, WorkerService.method.pollWork, {
      worker: { workerId: "p", instanceId: "p", workflows: [{ name: "stop" }] },
    }),
  );
  const stopped = other.stop();
  await session.next("drain");
  expect(await session.ended).toBeUndefined();
  // Either what there is, or the request to come again; at once, and not after a minute.
  expect([await waiting, await polling]).toBeDefined();
  expect(await stopped).toBe(0);
  otherClient.close();
});
