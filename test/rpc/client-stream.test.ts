/**
 * Goal: calls as frames of a client's stream are what the unary calls are, one by one; the stream survives
 * what is wrong with a frame, and its end loses nothing.
 * Method: frames by hand against a server, with a worker without an SDK; then the SDK's client.
 */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Client, type ClientDuplexStream, Server, ServerCredentials } from "@grpc/grpc-js";
import {
  type ClientFrameSchema,
  type ClientReply,
  RunService,
  RunServiceAttachRequestSchema,
  RunServiceAttachResponseSchema,
  RunStatus,
  StartRunRequestSchema,
  StartRunResponseSchema,
} from "@pawl/proto";
import { Client as PawlClient, Worker, workflow } from "@pawl/worker";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect, rpc, SessionWorker } from "../harness/protocol.ts";
import { startServer, type TestServer } from "../harness/server.ts";
import { callGrpc, grpcClient, type Refusal, refusalOf } from "./clients.ts";

type FrameInit = MessageInitShape<typeof ClientFrameSchema>;
type Result = ClientReply["result"];

const asIs = (bytes: Buffer): Buffer => bytes;
const path = `/${RunService.typeName}/${RunService.method.attach.name}`;
const payload = { data: Buffer.from('"done"'), encoding: "json" };

/** A client's stream without an SDK. */
class RawStream implements Disposable {
  readonly #call: ClientDuplexStream<Buffer, Buffer>;
  readonly replies = new Map<number, Result>();
  readonly ended: Promise<Refusal | undefined>;
  messages = 0;
  #wake: () => void = () => undefined;

  constructor(client: Client) {
    this.#call = client.makeBidiStreamRequest(path, asIs, asIs);
    this.#call.on("data", (bytes: Buffer) => {
      this.messages += 1;
      for (const { id, result } of fromBinary(RunServiceAttachResponseSchema, bytes).replies)
        this.replies.set(id, result);
      this.#wake();
    });
    this.ended = new Promise((resolve) => {
      this.#call.on("error", (error) => resolve(refusalOf(error)));
      this.#call.on("end", () => resolve(undefined));
    });
  }

  send(...frames: FrameInit[]): void {
    const message = create(RunServiceAttachRequestSchema, { frames });
    this.sendBytes(toBinary(RunServiceAttachRequestSchema, message));
  }

  sendBytes(bytes: Uint8Array): void {
    this.#call.write(Buffer.from(bytes));
  }

  async reply<K extends Result["case"]>(
    id: number,
    kind: K,
  ): Promise<Extract<Result, { case: K }>> {
    for (;;) {
      const result = this.replies.get(id);
      if (result !== undefined) {
        expect(result, `reply ${id}`).toMatchObject({ case: kind });
        return result as Extract<Result, { case: K }>;
      }
      const woken = Promise.withResolvers<void>();
      this.#wake = woken.resolve;
      await woken.promise;
    }
  }

  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  close(): void {
    this.#call.end();
  }

  [Symbol.dispose](): void {
    this.#call.cancel();
  }
}

let server: TestServer;
let client: Client;
let worker: SessionWorker;

beforeAll(async () => {
  server = await startServer();
  client = connect(server.grpcAddress);
  worker = await SessionWorker.open(client, { workflows: ["framed"] }, [], 5_000);
});

afterAll(async () => {
  worker.close();
  client.close();
  await server.stop();
});

function startAndWait(id: number, runId: string): FrameInit {
  return { id, body: { case: "startAndWait", value: { start: { workflow: "framed", runId } } } };
}

async function finish(runId: string, output = payload): Promise<void> {
  const fence = (await worker.next(runId)).lease?.fence ?? 0;
  await worker.completeRun({ runId, fence, output });
}

test("a run that is started and waited for in one frame is answered with its outcome", async () => {
  using stream = new RawStream(client);
  stream.send(startAndWait(1, "whole"));
  await finish("whole");
  const { value } = await stream.reply(1, "startAndWait");
  expect(value).toMatchObject({ existing: false, run: { status: RunStatus.COMPLETED } });
  // What was committed here is what is read from the store.
  const { run } = await rpc(client, RunService.method.waitRun, { runId: "whole" });
  expect(value.run).toEqual(run);
  stream.send(startAndWait(2, "whole"));
  const again = await stream.reply(2, "startAndWait");
  expect(again.value).toEqual({ ...value, existing: true });
});

test("a run that fails and one that is cancelled are answered as the store has them", async () => {
  using stream = new RawStream(client);
  stream.send(startAndWait(1, "fails"), startAndWait(2, "cancelled"));
  const fence = (await worker.next("fails")).lease?.fence ?? 0;
  const failure = { type: "Odd", message: "It is odd." };
  await worker.failRun({ runId: "fails", fence, failure });
  const failed = await stream.reply(1, "startAndWait");
  expect(failed.value.run).toMatchObject({ status: RunStatus.FAILED, failure });
  stream.send({ id: 3, body: { case: "cancelRun", value: { runId: "cancelled", force: true } } });
  await stream.reply(3, "cancelRun");
  const cancelled = await stream.reply(2, "startAndWait");
  for (const { run } of [failed.value, cancelled.value]) {
    const read = await rpc(client, RunService.method.waitRun, { runId: run?.runId ?? "" });
    expect(run).toEqual(read.run);
  }
});

test("every kind of frame is answered like its unary call", async () => {
  using stream = new RawStream(client);
  const runId = "kinds";
  stream.send({ id: 1, body: { case: "startRun", value: { workflow: "framed", runId } } });
  expect((await stream.reply(1, "startRun")).value).toMatchObject({ run: { runId } });
  stream.send(
    { id: 2, body: { case: "sendSignal", value: { runId, name: "go", signalId: "s1" } } },
    { id: 3, body: { case: "getRun", value: { runId } } },
    { id: 4, body: { case: "waitRun", value: { runId, timeout: { nanos: 1_000_000 } } } },
  );
  expect((await stream.reply(2, "sendSignal")).value).toMatchObject({ duplicate: false });
  expect((await stream.reply(3, "getRun")).value).toMatchObject({ run: { runId } });
  expect((await stream.reply(4, "waitRun")).value.run?.output).toBeUndefined();
  stream.send({ id: 5, body: { case: "waitRun", value: { runId } } });
  await finish(runId);
  const { value } = await stream.reply(5, "waitRun");
  expect(value).toEqual(await rpc(client, RunService.method.waitRun, { runId }));
  expect(Buffer.from(value.run?.output?.data ?? [])).toEqual(payload.data);
});

test("what is wrong with a frame is told under its id, and the others are not affected", async () => {
  using stream = new RawStream(client);
  stream.send(
    { id: 1, body: { case: "startRun", value: { workflow: "nobody-knows" } } },
    { id: 2, body: { case: "waitRun", value: { runId: "nowhere" } } },
    { id: 3, body: { case: "startAndWait", value: {} } },
    {
      id: 4,
      body: { case: "startAndWait", value: { start: { workflow: "framed", claim: true } } },
    },
    { id: 5 },
    startAndWait(6, "unaffected"),
    startAndWait(6, "unaffected"),
  );
  const reasons = [];
  for (const id of [1, 2, 3, 4, 5, 6]) {
    const { value } = await stream.reply(id, "error");
    reasons.push(value.reason);
  }
  const invalid = "INVALID_ARGUMENT";
  expect(reasons).toEqual(["NOT_FOUND", "NOT_FOUND", invalid, invalid, invalid, invalid]);
  stream.replies.clear();
  stream.sendBytes(Buffer.from([0xff, 0xff]));
  expect((await stream.reply(0, "error")).value.reason).toBe(invalid);
  // The unary call says the same.
  const refused = await callGrpc(client, RunService.method.startRun, {
    workflow: "nobody-knows",
  }).catch(refusalOf);
  stream.send({ id: 7, body: { case: "startRun", value: { workflow: "nobody-knows" } } });
  const { value } = await stream.reply(7, "error");
  const { code, message, metadata } = refused as Refusal;
  expect(value).toMatchObject({ code, message, metadata });
  await finish("unaffected");
  expect((await stream.reply(6, "startAndWait")).value.run?.status).toBe(RunStatus.COMPLETED);
});

test("very many frames of one message are all answered, each once", async () => {
  using stream = new RawStream(client);
  const ids = Array.from({ length: 500 }, (_, index) => index + 1);
  stream.send(...ids.map((id) => startAndWait(id, `many-${id}`)));
  await Promise.all(ids.map((id) => finish(`many-${id}`)));
  for (const id of ids) {
    const { value } = await stream.reply(id, "startAndWait");
    expect(value).toMatchObject({ existing: false, run: { runId: `many-${id}` } });
  }
  expect(stream.messages).toBeLessThan(ids.length);
});

test("a stream that is lost is replaced by another, and the run is started once", async () => {
  const lost = new RawStream(client);
  lost.send(startAndWait(1, "resumed"), startAndWait(2, "resumed"));
  const fence = (await worker.next("resumed")).lease?.fence ?? 0;
  lost[Symbol.dispose]();
  expect(await lost.ended).toMatchObject({ code: 1 });
  using stream = new RawStream(client);
  stream.send(startAndWait(1, "resumed"));
  await worker.completeRun({ runId: "resumed", fence, output: payload });
  const { value } = await stream.reply(1, "startAndWait");
  expect(value).toMatchObject({ existing: true, run: { attempt: 1 } });
});

test("large results share messages as far as they fit", async () => {
  using stream = new RawStream(client);
  const output = { data: Buffer.from(JSON.stringify("x".repeat(60_000))), encoding: "json" };
  const ids = Array.from({ length: 100 }, (_, index) => index + 1);
  stream.send(...ids.map((id) => startAndWait(id, `large-${id}`)));
  await Promise.all(ids.map((id) => finish(`large-${id}`, output)));
  for (const id of ids) {
    const { value } = await stream.reply(id, "startAndWait");
    expect(value.run?.output?.data).toHaveLength(output.data.byteLength);
  }
});

test("a client that does not read is let go, and the server continues", async () => {
  using stream = new RawStream(client);
  stream.pause();
  const get = { case: "getRun", value: { runId: "large-1" } } as const;
  for (let from = 0; from < 6_000; from += 1_000) {
    stream.send(
      ...Array.from({ length: 1_000 }, (_, index) => ({ id: from + index + 1, body: get })),
    );
    await rpc(client, RunService.method.getRun, { runId: "large-1" });
  }
  await expect.poll(() => server.log()).toContain("client.slow_reader");
  stream.resume();
  expect((await stream.ended)?.reason).toBe("SLOW_CONSUMER");
  await rpc(client, RunService.method.getRun, { runId: "large-1" });
});

test("a frame that is forgotten gets no reply, and its id is free", async () => {
  using stream = new RawStream(client);
  stream.send(startAndWait(1, "forgotten"), { body: { case: "forget", value: { id: 1 } } });
  stream.send({ id: 1, body: { case: "getRun", value: { runId: "large-1" } } });
  await stream.reply(1, "getRun");
  await finish("forgotten");
  stream.send({ id: 2, body: { case: "waitRun", value: { runId: "forgotten" } } });
  await stream.reply(2, "waitRun");
  expect(stream.replies.get(1)?.case).toBe("getRun");
});

test("a server that stops replies to what it has read, and says that it stops", async () => {
  await using other = await startServer();
  const own = grpcClient(other.grpcAddress);
  const session = await SessionWorker.open(own, { workflows: ["framed"] });
  using stream = new RawStream(own);
  stream.send(startAndWait(1, "interrupted"));
  await session.next("interrupted");
  const stopped = other.kill("SIGTERM");
  expect((await stream.reply(1, "startAndWait")).value.run?.status).toBe(RunStatus.RUNNING);
  expect((await stream.ended)?.reason).toBe("DRAINING");
  await stopped;
  own.close();
});

test("the SDK's client notices nothing of a server that is killed in between", async () => {
  const doubled = workflow("framed-sdk", async (ctx, n: number) => {
    await ctx.step("slow", () => new Promise((resolve) => setTimeout(resolve, 1_500)));
    return 2 * n;
  });
  const first = await startServer();
  const url = first.grpcUrl;
  const own = new PawlClient({ url });
  const other = new Worker({ url, workflows: [doubled], slots: 50 });
  await other.start();
  const results = Promise.all(
    Array.from({ length: 20 }, (_, n) => own.run(doubled, n, { runId: `sdk-${n}` })),
  );
  await expect.poll(async () => (await own.list()).runs.length).toBe(20);
  await first.kill();
  await using second = await startServer({ store: first.store, grpc: first.grpcAddress });
  expect(await results).toEqual(Array.from({ length: 20 }, (_, n) => 2 * n));
  expect((await own.list()).runs).toHaveLength(20);
  await other.stop();
  own.close();
  expect(second.log()).not.toContain("INTERNAL");
});

test("the SDK's client makes unary calls where nobody takes the stream", async () => {
  const old = new Server();
  const { startRun } = RunService.method;
  let calls = 0;
  old.addService(
    {
      startRun: {
        path: `/${RunService.typeName}/${startRun.name}`,
        requestStream: false,
        responseStream: false,
        requestSerialize: asIs,
        requestDeserialize: asIs,
        responseSerialize: asIs,
        responseDeserialize: asIs,
      },
    },
    {
      startRun(call: { request: Buffer }, callback: (error: null, response: Buffer) => void) {
        calls += 1;
        const { runId } = fromBinary(StartRunRequestSchema, call.request);
        const run = { runId, status: RunStatus.COMPLETED, output: payload };
        const response = create(StartRunResponseSchema, { run });
        callback(null, Buffer.from(toBinary(StartRunResponseSchema, response)));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    old.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  const own = new PawlClient({ url: `http://127.0.0.1:${port}` });
  expect(await own.run("w", 1)).toBe("done");
  expect((await own.start("w", 1, { runId: "r" })).runId).toBe("r");
  expect(calls).toBe(2);
  own.close();
  old.forceShutdown();
});
