/**
 * Goal: whatever is sent, the answer names what is wrong by a reason, over every transport alike.
 * Method: one table of bad requests, each sent to the real server over gRPC and as Connect JSON.
 */
import { randomBytes } from "node:crypto";
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  toJson,
} from "@bufbuild/protobuf";
import type { Client } from "@grpc/grpc-js";
import { RunService, SignalService, StepService, WorkerService } from "@pawl/proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer, type TestServer } from "../harness/server.ts";
import {
  attempt,
  callGrpc,
  callRaw,
  connectRefusal,
  grpcClient,
  postJson,
  RawSession,
} from "./clients.ts";

const schema = JSON.stringify({
  type: "object",
  properties: { n: { type: "integer", minimum: 1 } },
  required: ["n"],
});
const json = (value: unknown) => ({ data: Buffer.from(JSON.stringify(value)) });

let server: TestServer;
let client: Client;
/** A run that a worker holds. */
let held: { runId: string; fence: number };
let heartbeat: NodeJS.Timeout;

beforeAll(async () => {
  server = await startServer();
  client = grpcClient(server.grpcAddress);
  const worker = {
    workerId: "w",
    instanceId: "i",
    workflows: [{ name: "plain" }, { name: "strict", inputSchema: schema }],
  };
  // The first poll registers the workflows.
  await callGrpc(client, WorkerService.method.pollWork, { worker, wait: {} });
  await callGrpc(client, RunService.method.startRun, {
    workflow: "plain",
    runId: "held",
    input: json(1),
  });
  const { items } = await callGrpc(client, WorkerService.method.pollWork, { worker });
  const lease = items[0]?.lease;
  held = { runId: lease?.runId ?? "", fence: lease?.fence ?? 0 };
  expect(held.runId).toBe("held");
  heartbeat = setInterval(() => {
    void callGrpc(client, WorkerService.method.heartbeatLeases, { leases: [held] });
  }, 4_000);
});

afterAll(async () => {
  clearInterval(heartbeat);
  client?.close();
  await server?.stop();
});

interface Case {
  name: string;
  send: () => Request;
  code: number;
  reason: string;
  metadata?: Record<string, unknown>;
}

interface Request {
  rpc: string;
  json: () => unknown;
  grpc: () => Promise<unknown>;
}

function request<I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O>,
  init: MessageInitShape<I>,
): Request {
  return {
    rpc: `${method.parent.name}/${method.name}`,
    json: () => toJson(method.input, create(method.input, init)),
    grpc: () => callGrpc(client, method, init),
  };
}

const run = RunService.method;
const step = StepService.method;
const INVALID = { code: 3, reason: "INVALID_ARGUMENT" };
const httpStatus: Record<number, number> = { 3: 400, 5: 404, 6: 409, 9: 400, 10: 409 };
const connectCode: Record<number, string> = {
  3: "invalid_argument",
  5: "not_found",
  6: "already_exists",
  9: "failed_precondition",
  10: "aborted",
};

const cases: Case[] = [
  {
    name: "an unknown workflow, with the known ones",
    send: () => request(run.startRun, { workflow: "unknown", input: json(1) }),
    code: 5,
    reason: "NOT_FOUND",
    metadata: { known: expect.stringMatching(/plain.*strict/s) },
  },
  {
    name: "no workflow",
    send: () => request(run.startRun, {}),
    ...INVALID,
    metadata: { field: "workflow" },
  },
  {
    name: "an input that fails its schema",
    send: () =>
      request(run.startRun, { workflow: "strict", runId: "bad-schema", input: json({ n: 0 }) }),
    code: 3,
    reason: "INVALID_INPUT",
  },
  {
    name: "an input that is not JSON",
    send: () => request(run.startRun, { workflow: "plain", input: { data: Buffer.from("{") } }),
    ...INVALID,
    metadata: { field: "input.data" },
  },
  {
    name: "a run id of other characters",
    send: () => request(run.startRun, { workflow: "plain", runId: "a b" }),
    ...INVALID,
    metadata: { field: "run_id" },
  },
  {
    name: "a run id that is too long",
    send: () => request(run.startRun, { workflow: "plain", runId: "x".repeat(201) }),
    ...INVALID,
    metadata: { field: "run_id" },
  },
  {
    name: "a run id and an idempotency key",
    send: () => request(run.startRun, { workflow: "plain", runId: "a", idempotencyKey: "b" }),
    ...INVALID,
    metadata: { field: "idempotency_key" },
  },
  {
    name: "a run id that is taken by other input",
    send: () => request(run.startRun, { workflow: "plain", runId: "held", input: json(2) }),
    code: 6,
    reason: "RUN_EXISTS",
  },
  {
    name: "a claim on a run that is leased, with holder and expiry",
    send: () =>
      request(run.startRun, { workflow: "plain", runId: "held", input: json(1), claim: true }),
    code: 9,
    reason: "RUN_LEASED",
    metadata: { holder: "w", expires_at: expect.stringMatching(/^\d{4}-.*Z$/) },
  },
  {
    name: "a priority that there is not",
    send: () => request(run.startRun, { workflow: "plain", priority: 10 }),
    ...INVALID,
    metadata: { field: "priority" },
  },
  {
    name: "too many tags",
    send: () => {
      const tags = Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`t${i}`, "x"]));
      return request(run.startRun, { workflow: "plain", tags });
    },
    ...INVALID,
    metadata: { field: "tags" },
  },
  {
    name: "a negative delay",
    send: () => request(run.startRun, { workflow: "plain", delay: { seconds: -1n } }),
    ...INVALID,
    metadata: { field: "delay" },
  },
  {
    name: "a reference to a payload of more than 32 MiB",
    send: () => {
      const ref = { sha256: "a".repeat(64), size: 33 * 1024 * 1024 };
      return request(run.startRun, { workflow: "plain", input: { ref } });
    },
    code: 3,
    reason: "PAYLOAD_TOO_LARGE",
    metadata: { size: "34603008", limit: "33554432" },
  },
  {
    name: "a message that is too large",
    send: () => {
      const data = randomBytes(4 * 1024 * 1024 + 1);
      return request(run.startRun, { workflow: "plain", input: { data, encoding: "bytes" } });
    },
    code: 3,
    reason: "PAYLOAD_TOO_LARGE",
    metadata: { field: "message", size: expect.stringMatching(/^\d+$/), limit: "4194304" },
  },
  {
    name: "an unknown run",
    send: () => request(run.getRun, { runId: "nobody" }),
    code: 5,
    reason: "NOT_FOUND",
    metadata: { id: "nobody" },
  },
  {
    name: "retrying a run that runs",
    send: () => request(run.retryRun, { runId: "held" }),
    code: 9,
    reason: "ILLEGAL_TRANSITION",
    metadata: { from: "RUNNING" },
  },
  {
    name: "deleting a run that runs",
    send: () => request(run.deleteRun, { runId: "held" }),
    code: 9,
    reason: "ILLEGAL_TRANSITION",
    metadata: { run_id: "held", from: "RUNNING" },
  },
  {
    name: "a missing fence",
    send: () =>
      request(step.stepCompleted, { runId: "held", stepKey: "a", attempt: 1, output: json(1) }),
    ...INVALID,
    metadata: { field: "fence" },
  },
  {
    name: "a stale fence",
    send: () => {
      const stale = { runId: "held", fence: held.fence + 7, stepKey: "a", attempt: 1 };
      return request(step.stepCompleted, { ...stale, output: json(1) });
    },
    code: 10,
    reason: "LEASE_LOST",
    metadata: { run_id: "held" },
  },
  {
    name: "a step key that is too long",
    send: () => request(step.stepStarted, { ...held, stepKey: "k".repeat(513) }),
    ...INVALID,
    metadata: { field: "step_key" },
  },
  {
    name: "a step key whose bytes are too many, not its characters",
    send: () => request(step.stepStarted, { ...held, stepKey: "ü".repeat(257) }),
    ...INVALID,
    metadata: { field: "step_key" },
  },
  {
    name: "a completion without output",
    send: () => request(step.stepCompleted, { ...held, stepKey: "a", attempt: 1 }),
    ...INVALID,
    metadata: { field: "output" },
  },
  {
    name: "a sleep without an end",
    send: () => request(step.stepStarted, { ...held, stepKey: "a", kind: 2, wait: {} }),
    ...INVALID,
    metadata: { field: "wait.duration" },
  },
  {
    name: "a jitter of more than 1",
    send: () => request(step.stepStarted, { ...held, stepKey: "a", retryPolicy: { jitter: 1.5 } }),
    ...INVALID,
    metadata: { field: "retry_policy.jitter" },
  },
  {
    name: "a wait tree that asks for more than there is",
    send: () => {
      const members = [{ node: { case: "stepKey" as const, value: "a" } }];
      const tree = { node: { case: "group" as const, value: { members, needed: 2 } } };
      return request(WorkerService.method.suspendRun, { ...held, tree });
    },
    ...INVALID,
    metadata: { field: "tree.group.needed" },
  },
  {
    name: "a poll by nobody",
    send: () => request(WorkerService.method.pollWork, {}),
    ...INVALID,
    metadata: { field: "worker" },
  },
  {
    name: "a page that is too large",
    send: () => request(run.listRuns, { pageSize: 501 }),
    ...INVALID,
    metadata: { field: "page_size" },
  },
  {
    name: "a signal to nobody",
    send: () => request(SignalService.method.sendSignal, { runId: "nobody", name: "go" }),
    code: 5,
    reason: "NOT_FOUND",
  },
  {
    name: "a NUL character in an id",
    send: () => request(SignalService.method.sendSignal, { runId: "held", name: "a\0b" }),
    ...INVALID,
    metadata: { field: "name" },
  },
];

describe("over gRPC", () => {
  test.each(cases)("$name", async ({ send, code, reason, metadata = {} }) => {
    const refusal = await attempt(send().grpc());
    expect(refusal).toMatchObject({ code, reason, metadata });
  });
});

describe("as Connect JSON", () => {
  test.each(cases)("$name", async ({ send, code, reason, metadata = {} }) => {
    const { rpc, json: body } = send();
    const answer = await postJson(server.httpUrl, rpc, body());
    expect(connectRefusal(answer.body)).toMatchObject({
      code: connectCode[code],
      reason,
      metadata,
    });
    expect(answer.status).toBe(httpStatus[code]);
  });
});

test("a run that failed its schema was not made", async () => {
  const refusal = await attempt(callGrpc(client, run.getRun, { runId: "bad-schema" }));
  expect(refusal).toMatchObject({ reason: "NOT_FOUND" });
});

test("bytes that are no message, over gRPC", async () => {
  const refusal = await attempt(callRaw(client, run.startRun, Buffer.from([0xff, 0xff, 0xff])));
  expect(refusal).toMatchObject({ ...INVALID, metadata: { field: "message" } });
});

test.each([
  ["broken JSON", '{"workflow":'],
  ["JSON of another shape", '{"workflow": 5}'],
  ["no JSON at all", "workflow=plain"],
  ["nothing", ""],
])("%s as a body", async (_name, body) => {
  const answer = await postJson(server.httpUrl, "RunService/StartRun", body);
  expect(answer.status).toBe(400);
  expect(connectRefusal(answer.body)).toMatchObject({
    code: "invalid_argument",
    reason: "INVALID_ARGUMENT",
  });
});

test("a body without JSON's content type, a GET and an unknown path are explained", async () => {
  const url = `${server.httpUrl}/pawl.v1.RunService/StartRun`;
  const form = await fetch(url, { method: "POST", body: "a=1" });
  expect([form.status, await form.text()]).toEqual([
    415,
    expect.stringContaining("application/json"),
  ]);
  const get = await fetch(url);
  expect([get.status, await get.text()]).toEqual([405, expect.stringContaining("POST")]);
  const unknown = await fetch(`${server.httpUrl}/pawl.v1.RunService/Nope`, { method: "POST" });
  expect([unknown.status, await unknown.text()]).toEqual([
    404,
    expect.stringContaining("/pawl.v1."),
  ]);
});

test("a page of another origin, and a host name of somebody else, are refused", async () => {
  const origin = await fetch(`${server.httpUrl}/pawl.v1.RunService/ListRuns`, {
    method: "POST",
    headers: { "content-type": "application/json", origin: "https://evil.example" },
    body: "{}",
  });
  expect(origin.status).toBe(403);
  expect(origin.headers.get("access-control-allow-origin")).toBeNull();
});

describe("in a session", () => {
  test("each bad frame gets its own error, and the good ones between them are served", async () => {
    using session = await RawSession.open(client, ["plain"]);
    const good = { ...held, stepKey: "good", attempt: 1, output: json(1) };
    session.send(
      { id: 1, body: { case: "stepCompleted", value: { ...good, fence: 0 } } },
      { id: 2, body: { case: "stepCompleted", value: { ...good, stepKey: "k".repeat(600) } } },
      { id: 3, body: { case: "stepCompleted", value: good } },
      { id: 4, body: { case: "stepCompleted", value: { ...good, fence: held.fence + 9 } } },
      { id: 5 },
      { id: 6, body: { case: "failRun", value: held } },
      { id: 7, body: { case: "hello", value: {} } },
    );
    const replies = new Map<number, unknown>();
    while (replies.size < 7) {
      const { id, result } = await session.next("reply");
      replies.set(
        id,
        result.case === "error" ? [result.value.reason, result.value.metadata.field] : result.case,
      );
    }
    expect(Object.fromEntries(replies)).toEqual({
      1: ["INVALID_ARGUMENT", "fence"],
      2: ["INVALID_ARGUMENT", "step_key"],
      3: "stepCompleted",
      4: ["LEASE_LOST", undefined],
      5: ["INVALID_ARGUMENT", "body"],
      6: ["INVALID_ARGUMENT", "failure"],
      7: ["INVALID_ARGUMENT", "hello"],
    });
  });

  test("a message that cannot be decoded, or is too large, does not end the stream", async () => {
    using session = await RawSession.open(client, ["plain"]);
    session.sendBytes(Buffer.from([0x0a, 0xff, 0xff]));
    const undecodable = await session.next("reply");
    expect(undecodable).toMatchObject({ id: 0, result: { value: { reason: "INVALID_ARGUMENT" } } });
    session.sendBytes(randomBytes(4 * 1024 * 1024 + 1));
    const tooLarge = await session.next("reply");
    expect(tooLarge).toMatchObject({ id: 0, result: { value: { reason: "PAYLOAD_TOO_LARGE" } } });
    session.send({ body: { case: "heartbeat", value: {} } });
    await session.next("leaseResults");
  });

  test("a frame before Hello is refused, and Hello may still follow", async () => {
    using session = new RawSession(client);
    session.send({ id: 9, body: { case: "credits", value: { count: 1 } } });
    const early = await session.next("reply");
    expect(early).toMatchObject({ id: 9, result: { value: { metadata: { field: "hello" } } } });
    const worker = { workerId: "w2", instanceId: "i2", workflows: [{ name: "plain" }] };
    session.send({ body: { case: "hello", value: { protocolVersion: 1, worker } } });
    expect(await session.next("welcome")).toMatchObject({ limits: { message: 4 * 1024 * 1024 } });
  });

  test.each([
    ["another protocol version", 2, ["plain"], { code: 9, reason: "VERSION_UNSUPPORTED" }],
    ["a worker without workflows", 1, [], { ...INVALID, metadata: { field: "worker.workflows" } }],
  ])("%s ends it with its reason", async (_name, protocolVersion, workflows, refusal) => {
    using session = new RawSession(client);
    const worker = {
      workerId: "w3",
      instanceId: "i3",
      workflows: workflows.map((name) => ({ name })),
    };
    session.send({ body: { case: "hello", value: { protocolVersion, worker } } });
    expect(await session.ended).toMatchObject(refusal);
  });
});
