/**
 * Goal: no method is reached by a caller without one of the scopes that its declaration names, over any
 * transport, and every one is reached with any of them.
 * Method: every method of the contract over gRPC and Connect, with a handler that notes that it was called.
 */
import type { DescMethod, MessageInitShape } from "@bufbuild/protobuf";
import { create, getOption, hasOption } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport, type Transport } from "@connectrpc/connect";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import {
  type ClientFrameSchema,
  type RunServiceAttachRequest,
  RunServiceAttachRequestSchema,
  type RunServiceAttachResponse,
  scope,
} from "@pawl/proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openEngine } from "../../../test/semantics/engine-fixture.ts";
import { isPublic } from "../auth/permissions.ts";
import { SILENT_LOG } from "../lib/log.ts";
import type { Caller } from "../model/caller.ts";
import {
  type Binding,
  clientStream,
  type DuplexReceiver,
  duplex,
  serverStream,
  unary,
} from "./binding.ts";
import { Calls } from "./calls.ts";
import { ClientCalls } from "./client-calls.ts";
import { attachClient } from "./client-stream.ts";
import { connectRoutes } from "./connect-routes.ts";
import { createGrpcServer } from "./grpc-server.ts";
import { API_SERVICES } from "./services.ts";

const METHODS = API_SERVICES.flatMap((service) => service.methods);
const HEADER = "x-scopes";
const log = SILENT_LOG;
const reached: DescMethod[] = [];

/** Takes the scopes from a header, as the tests say them. */
const calls = new Calls((sender): Caller => {
  const scopes = new Set((sender.header(HEADER) ?? "").split(",").filter((one) => one !== ""));
  return { org: "default", principal: { kind: "anonymous" }, scopes };
});

type FrameBody = NonNullable<MessageInitShape<typeof ClientFrameSchema>["body"]>;
type Kind = DescMethod["methodKind"];
type Of<K extends Kind> = DescMethod & { readonly methodKind: K };

function is<K extends Kind>(method: DescMethod, kind: K): method is Of<K> {
  return method.methodKind === kind;
}

function bindingOf(method: DescMethod): Binding {
  const reach = (): void => void reached.push(method);
  if (is(method, "unary"))
    return unary(method, async () => {
      reach();
      return {};
    });
  if (is(method, "server_streaming"))
    return serverStream(method, async function* () {
      reach();
      yield {};
    });
  if (is(method, "client_streaming"))
    return clientStream(method, async () => {
      reach();
      return {};
    });
  if (is(method, "bidi_streaming"))
    return duplex(method, (stream) => {
      reach();
      stream.start({ message: ignore, undecodable: ignore, ended: () => stream.end() });
    });
  throw new Error(`${method} is of a kind that this test does not know.`);
}

function ignore(): void {
  // Only whether the handler is reached is of interest here.
}

const bindings = METHODS.map(bindingOf);
const server = createGrpcServer({ bindings, calls, log });
const connect = createRouterTransport(connectRoutes({ bindings, calls, log }));
let client: Client;

beforeAll(async () => {
  const port = await server.listen("127.0.0.1:0");
  client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
});
afterAll(async () => {
  client.close();
  await server.stop();
});

/** Calls the method with an empty message over gRPC, and returns the code. */
async function overGrpc(method: DescMethod, scopes: string): Promise<number> {
  const path = `/${method.parent.typeName}/${method.name}`;
  const metadata = new Metadata();
  metadata.set(HEADER, scopes);
  const same = (bytes: Buffer): Buffer => bytes;
  const { promise, resolve } = Promise.withResolvers<number>();
  const stream = client.makeBidiStreamRequest(path, same, same, metadata);
  stream.on("data", ignore);
  stream.on("error", ignore);
  stream.on("status", ({ code }) => resolve(code));
  stream.end(Buffer.alloc(0));
  return await promise;
}

async function* nothing(): AsyncIterable<Record<string, never>> {
  yield {};
}

/** The same over Connect. */
async function overConnect(method: DescMethod, scopes: string): Promise<number> {
  const transport: Transport = connect;
  const header = { [HEADER]: scopes };
  try {
    if (is(method, "unary")) await transport.unary(method, undefined, undefined, header, {});
    else if (
      is(method, "server_streaming") ||
      is(method, "client_streaming") ||
      is(method, "bidi_streaming")
    ) {
      const { message } = await transport.stream(method, undefined, undefined, header, nothing());
      for await (const _ of message);
    }
    return 0;
  } catch (error) {
    if (error instanceof ConnectError) return error.code;
    throw error;
  }
}

test.each(METHODS.map((method) => [`${method.parent.name}.${method.name}`, method]))(
  "%s names its scopes",
  (_name, method) => {
    expect(hasOption(method, scope)).toBe(true);
  },
);

test("a frame of a client's stream needs what its unary call needs", async () => {
  await using made = await openEngine();
  const codeOf = async (scopes: string, body: FrameBody) => {
    const replies = Promise.withResolvers<RunServiceAttachResponse>();
    const stream = {
      start(receiver: DuplexReceiver<RunServiceAttachRequest>) {
        receiver.message(create(RunServiceAttachRequestSchema, { frames: [{ id: 1, body }] }));
      },
      write: (message: RunServiceAttachResponse, done: () => void) => {
        replies.resolve(message);
        done();
      },
      end: ignore,
      pause: ignore,
      resume: ignore,
    };
    const caller: Caller = {
      org: "default",
      principal: { kind: "anonymous" },
      scopes: new Set(scopes.split(",")),
    };
    attachClient(
      new ClientCalls(made.engine),
      stream,
      { caller, host: "", signal: new AbortController().signal },
      log,
    );
    const [reply] = (await replies.promise).replies;
    return reply?.result.case === "error" ? reply.result.value.reason : "";
  };
  const run = { runId: "r" };
  const start = { case: "startAndWait" as const, value: { start: { workflow: "w" } } };
  expect(await codeOf("runs:read", { case: "cancelRun", value: run })).toBe("PERMISSION_DENIED");
  expect(await codeOf("runs:write", { case: "getRun", value: run })).toBe("PERMISSION_DENIED");
  expect(await codeOf("runs:write", start)).toBe("PERMISSION_DENIED");
  expect(await codeOf("runs:read", start)).toBe("PERMISSION_DENIED");
  expect(await codeOf("runs:read,runs:write", start)).toBe("NOT_FOUND");
  expect(await codeOf("runs:read", { case: "getRun", value: run })).toBe("NOT_FOUND");
});

describe.each([
  ["gRPC", overGrpc],
  ["Connect", overConnect],
])("over %s", (_transport, send) => {
  test.each(METHODS.map((method) => [`${method.parent.name}.${method.name}`, method]))(
    "%s is for callers with its scopes",
    async (_name, method) => {
      reached.length = 0;
      if (isPublic(method)) {
        expect(await send(method, "")).toBe(0);
        return;
      }
      for (const scopes of ["", "other:read", "runs", "runs:*"])
        expect(await send(method, scopes)).toBe(Code.PermissionDenied);
      expect(reached).toEqual([]);
      const named = getOption(method, scope);
      for (const scopes of [...named, `other:read,${named[0]}`, "*"])
        expect(await send(method, scopes)).toBe(0);
      expect(reached).toEqual([...named, "", ""].map(() => method));
    },
  );
});
