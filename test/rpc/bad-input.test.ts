/**
 * Goal: whatever is sent, the answer names what is wrong by a reason, over every transport alike.
 * Method: one table of bad requests, each sent to the real server over gRPC and as Connect JSON.
 */
import { randomBytes } from "node:crypto";
import type { Client } from "@grpc/grpc-js";
import { RunService, WorkerService } from "@pawl/proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer, type TestServer } from "../harness/server.ts";
import { badRequests, type Held, INVALID, json } from "./bad-requests.ts";
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

let server: TestServer;
let client: Client;
/** A run that a worker holds. */
let held: Held;
let heartbeat: NodeJS.Timeout;

beforeAll(async () => {
  server = await startServer();
  client = grpcClient(server.grpcAddress);
  const worker = {
    workerId: "w",
    instanceId: "i",
    workflows: [
      { name: "plain" },
      { name: "strict", inputSchema: schema },
      { name: "limited", flow: { concurrency: { limit: 1, key: "{t}" } } },
    ],
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

const httpStatus: Record<number, number> = { 3: 400, 5: 404, 6: 409, 9: 400, 10: 409 };
const connectCode: Record<number, string> = {
  3: "invalid_argument",
  5: "not_found",
  6: "already_exists",
  9: "failed_precondition",
  10: "aborted",
};

describe("over gRPC", () => {
  test.each(badRequests)("$name", async ({ send, code, reason, metadata = {} }) => {
    const refusal = await attempt(send(held).grpc(client));
    expect(refusal).toMatchObject({ code, reason, metadata });
  });
});

describe("as Connect JSON", () => {
  test.each(badRequests)("$name", async ({ send, code, reason, metadata = {} }) => {
    const { rpc, json: body } = send(held);
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
  const refusal = await attempt(
    callGrpc(client, RunService.method.getRun, { runId: "bad-schema" }),
  );
  expect(refusal).toMatchObject({ reason: "NOT_FOUND" });
});

test("bytes that are not a message, over gRPC", async () => {
  const refusal = await attempt(
    callRaw(client, RunService.method.startRun, Buffer.from([0xff, 0xff, 0xff])),
  );
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

test.each([
  ["tags", '{"t":"ab\\ud83d"}', /tags.*"t".*UTF8/],
  ["runId", '"a\\udc00b"', /run_id.*UTF8/],
])("half a character in %s", async (field, value, message) => {
  const body = `{"workflow":"plain","${field}":${value}}`;
  const answer = await postJson(server.httpUrl, "RunService/StartRun", body);
  expect(connectRefusal(answer.body)).toMatchObject({ reason: "INVALID_ARGUMENT" });
  expect(answer.body).toMatchObject({ message: expect.stringMatching(message) });
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
