/**
 * Goal: tools that know nothing of Pawl can list and call everything, over each protocol.
 * Method: a reflection client that learns all from the server, as grpcurl does; the health check;
 * gRPC-Web and Connect clients; plain HTTP pages.
 */
import {
  create,
  createFileRegistry,
  type DescMessage,
  type FileRegistry,
  fromBinary,
  fromJson,
  type JsonValue,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import type { Client } from "@grpc/grpc-js";
import { PayloadService, RunService } from "@pawl/proto";
import { ErrorInfoSchema } from "@pawl/proto/google/rpc/error_details_pb.js";
import {
  Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "@pawl/proto/grpc/health/v1/health_pb.js";
import {
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from "@pawl/proto/grpc/reflection/v1/reflection_pb.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer, type TestServer } from "../harness/server.ts";
import { attempt, callGrpc, callRaw, grpcClient } from "./clients.ts";

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

const services = [
  "EventService",
  "PayloadService",
  "RunService",
  "SignalService",
  "StepService",
  "WorkerService",
  "WorkflowService",
].map((name) => `pawl.v1.${name}`);

type Question = NonNullable<Parameters<typeof ask>[1]>;

/** Asks one question by a reflection service; v1alpha has the same bytes. */
async function ask(
  version: "v1" | "v1alpha",
  messageRequest:
    | { case: "listServices"; value: string }
    | { case: "fileContainingSymbol"; value: string }
    | { case: "fileByFilename"; value: string },
) {
  const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
  const identity = (bytes: Buffer) => bytes;
  const call = client.makeBidiStreamRequest(path, identity, identity);
  const question = create(ServerReflectionRequestSchema, { messageRequest });
  call.write(Buffer.from(toBinary(ServerReflectionRequestSchema, question)));
  call.end();
  const answers = [];
  for await (const bytes of call) answers.push(fromBinary(ServerReflectionResponseSchema, bytes));
  expect(answers).toHaveLength(1);
  return answers[0]?.messageResponse;
}

/** All that a tool learns about a service. */
async function learn(version: "v1" | "v1alpha", symbol: string): Promise<FileRegistry> {
  const answer = await ask(version, { case: "fileContainingSymbol", value: symbol });
  if (answer?.case !== "fileDescriptorResponse") throw new Error(JSON.stringify(answer));
  const file = answer.value.fileDescriptorProto.map((bytes) =>
    fromBinary(FileDescriptorProtoSchema, bytes),
  );
  return createFileRegistry(create(FileDescriptorSetSchema, { file: file.toReversed() }));
}

describe.each(["v1", "v1alpha"] as const)("reflection %s", (version) => {
  test("lists every service", async () => {
    const answer = await ask(version, { case: "listServices", value: "" });
    if (answer?.case !== "listServicesResponse") throw new Error(JSON.stringify(answer));
    const names = answer.value.service.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining([...services, "grpc.health.v1.Health"]));
  });

  test.each(services)("%s can be called with nothing but what reflection tells", async (name) => {
    const registry = await learn(version, name);
    const service = registry.getService(name);
    if (service === undefined) throw new Error(`${name} is not in the files.`);
    for (const method of service.methods.filter(({ methodKind }) => methodKind === "unary")) {
      const answer = await attempt(callRaw(client, method, encode(method.input, {})));
      // Either an answer that can be read, or a refusal with a reason; never an unknown method.
      if (answer instanceof Uint8Array) toJson(method.output, fromBinary(method.output, answer));
      else
        expect(answer, method.name).toMatchObject({ reason: expect.stringMatching(/^[A-Z_]+$/) });
    }
  });
});

function encode(schema: DescMessage, json: JsonValue): Uint8Array {
  return toBinary(schema, fromJson(schema, json));
}

test("reflection tells error details, files by name, and what is not there", async () => {
  const registry = await learn("v1", "google.rpc.ErrorInfo");
  expect(registry.getMessage("google.rpc.ErrorInfo")).toBeDefined();
  const questions: Question[] = [
    { case: "fileByFilename", value: "pawl/v1/run.proto" },
    { case: "fileContainingSymbol", value: "pawl.v1.RunService.StartRun" },
    { case: "fileContainingSymbol", value: "pawl.v1.Nothing" },
  ];
  const answers = await Promise.all(questions.map((question) => ask("v1", question)));
  expect(answers.map((answer) => answer?.case)).toEqual([
    "fileDescriptorResponse",
    "fileDescriptorResponse",
    "errorResponse",
  ]);
});

test("the health check knows the server and its services, and no others", async () => {
  for (const service of ["", ...services]) {
    const { status } = await callGrpc(client, Health.method.check, { service });
    expect(status).toBe(ServingStatus.SERVING);
  }
  const unknown = await attempt(callGrpc(client, Health.method.check, { service: "pawl.v1.Nope" }));
  expect(unknown).toMatchObject({ code: 5 });
});

describe.each([
  ["Connect", createConnectTransport],
  ["gRPC-Web", createGrpcWebTransport],
])("%s over HTTP/1.1", (_name, createTransport) => {
  let transport: Transport;
  beforeAll(() => {
    transport = createTransport({ baseUrl: server.httpUrl, httpVersion: "1.1" });
  });

  test("serves plain calls, and refuses with a reason", async () => {
    const runs = createClient(RunService, transport);
    expect((await runs.listRuns({})).runs).toEqual([]);
    const error = ConnectError.from(await runs.getRun({ runId: "no" }).catch((e: unknown) => e));
    expect(error.code).toBe(Code.NotFound);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "NOT_FOUND" }]);
  });

  test("takes a payload in pieces and gives it back, but none that is too large", async () => {
    const payloads = createClient(PayloadService, transport);
    const piece = Buffer.alloc(1024 * 1024, "p");
    async function* pieces(count: number) {
      for (let index = 0; index < count; index++) yield { data: piece };
    }
    const { ref } = await payloads.putPayload(pieces(5));
    expect(ref).toMatchObject({ size: 5 * piece.length });
    const part = await payloads.getPayload({
      sha256: ref?.sha256 ?? "",
      offset: 5 * piece.length - 3,
    });
    expect([Buffer.from(part.data).toString(), part.size]).toEqual(["ppp", 5 * piece.length]);
    const error = ConnectError.from(await payloads.putPayload(pieces(33)).catch((e: unknown) => e));
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "PAYLOAD_TOO_LARGE" }]);
  });

  test("refuses a message that is too large with its reason", async () => {
    const runs = createClient(RunService, transport);
    const input = { data: Buffer.alloc(4 * 1024 * 1024), encoding: "bytes" };
    const failed = runs.startRun({ workflow: "w", input }).catch((e: unknown) => e);
    const [info] = ConnectError.from(await failed).findDetails(ErrorInfoSchema);
    expect(info).toMatchObject({ reason: "PAYLOAD_TOO_LARGE", metadata: { limit: "4194304" } });
  });
});

test("the plain pages tell who is there and whether it works", async () => {
  const get = async (path: string) => {
    const response = await fetch(`${server.httpUrl}${path}`);
    return [response.status, await response.text()];
  };
  expect(await get("/healthz")).toEqual([200, expect.stringContaining("alive")]);
  expect(await get("/readyz")).toEqual([200, expect.stringContaining("ready")]);
  expect(await get("/")).toEqual([200, expect.stringContaining("/pawl.v1.RunService/ListRuns")]);
  expect(await get("/nothing")).toEqual([404, expect.stringContaining("There is nothing at")]);
});
