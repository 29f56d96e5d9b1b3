/**
 * Goal: a key that is revoked or has expired is of no use any more, also to streams that were opened with
 * it, on every server; and links that nobody signed leave no trace.
 * Method: streams of all kinds on two servers of one database, and a store that is read afterwards.
 */
import { DatabaseSync } from "node:sqlite";
import type { DescMethod } from "@bufbuild/protobuf";
import { create, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import {
  EventService,
  RunService,
  WorkerService,
  WorkerServiceAttachRequestSchema,
} from "@pawl/proto";
import { expect, test } from "vitest";
import { uniqueId } from "../../server/src/lib/ids.ts";
import { createDatabase } from "../harness/database.ts";
import { startServer, type TestServer } from "../harness/server.ts";
import { refusalOf } from "../rpc/clients.ts";
import { bearer, newStore, putKeys } from "./stage.ts";

/** Two seconds on a quiet machine. */
const NOTICED_MS = 20_000;

/** The first frame of a worker that nobody else is. */
function hello(): Buffer {
  const id = uniqueId();
  const worker = { workerId: id, instanceId: id, slots: 1, workflows: [{ name: "w" }] };
  const body = { case: "hello" as const, value: { protocolVersion: 1, worker } };
  const message = create(WorkerServiceAttachRequestSchema, { frames: [{ id: 1, body }] });
  return Buffer.from(toBinary(WorkerServiceAttachRequestSchema, message));
}

interface Open {
  /** Resolves to why it ended. */
  readonly ended: Promise<string>;
  close(): void;
}

/** A stream that stays open, and says why it ends. */
async function open(server: TestServer, method: DescMethod, key: string): Promise<Open> {
  const client = new Client(server.grpcAddress, credentials.createInsecure());
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${key}`);
  const same = (bytes: Buffer): Buffer => bytes;
  const path = `/${method.parent.typeName}/${method.name}`;
  const stream = client.makeBidiStreamRequest(path, same, same, metadata);
  stream.on("data", () => undefined);
  const ended = new Promise<string>((resolve) => {
    stream.on("error", (error) => {
      const { reason, metadata: facts } = refusalOf(error);
      resolve(`${reason} ${facts.why}`);
    });
    stream.on("end", () => setImmediate(() => resolve("ended")));
  });
  stream.write(method === WorkerService.method.attach ? hello() : Buffer.alloc(0));
  // Only then does the server take the request of a stream in one direction.
  if (method.methodKind === "server_streaming") stream.end();
  return { ended, close: () => client.close() };
}

/** Streams of all kinds. */
async function openAll(server: TestServer, key: string): Promise<Open[]> {
  const methods = [
    WorkerService.method.attach,
    RunService.method.attach,
    EventService.method.watchRuns,
  ];
  const streams = await Promise.all(methods.map((method) => open(server, method, key)));
  const events = await fetch(`${server.httpUrl}/v1/events`, { headers: bearer(key) });
  expect(events.status).toBe(200);
  const ended = events.text().then(
    () => "UNAUTHENTICATED revoked",
    () => "UNAUTHENTICATED revoked",
  );
  return [...streams, { ended, close: () => undefined }];
}

const listed = async (server: TestServer, key: string): Promise<number> =>
  (await fetch(`${server.httpUrl}/v1/runs`, { headers: bearer(key) })).status;

test("a revoked key is refused at once here, and soon elsewhere; its streams end", async () => {
  const url = await createDatabase("access");
  const keys = await putKeys(url, {
    owner: { kind: "operator" },
    fleet: { keyId: "key_fleet", scopes: ["worker", "runs:read", "runs:write"] },
    other: { scopes: ["worker", "runs:read", "runs:write"] },
  });
  await using here = await startServer({ store: url });
  await using there = await startServer({ store: url });
  const streams = [...(await openAll(here, keys.fleet)), ...(await openAll(there, keys.fleet))];
  const kept = await openAll(here, keys.other);
  expect([await listed(here, keys.fleet), await listed(there, keys.fleet)]).toEqual([200, 200]);
  const revoked = await fetch(`${here.httpUrl}/v1/auth/apikeys/key_fleet`, {
    method: "DELETE",
    headers: bearer(keys.owner),
  });
  expect(revoked.status).toBe(204);
  expect(await listed(here, keys.fleet)).toBe(401);
  const over = Promise.all(streams.map(({ ended }) => ended));
  const late = new Promise<string[]>((resolve) =>
    setTimeout(resolve, NOTICED_MS, ["late"]).unref(),
  );
  expect(await Promise.race([over, late])).toEqual(streams.map(() => "UNAUTHENTICATED revoked"));
  expect(await listed(there, keys.fleet)).toBe(401);
  expect([await listed(here, keys.other), await listed(there, keys.other)]).toEqual([200, 200]);
  const alive = await Promise.race([...kept.map(({ ended }) => ended), Promise.resolve("open")]);
  expect(alive).toBe("open");
  for (const { close } of [...streams, ...kept]) close();
});

test("a key's expiry ends its streams", async () => {
  await using store = await newStore();
  const keys = await putKeys(store.url, {
    short: { scopes: ["runs:read"], expiresAt: Date.now() + 8_000 },
  });
  await using server = await startServer({ store: store.url });
  const stream = await open(server, EventService.method.watchRuns, keys.short);
  expect(await stream.ended).toBe("UNAUTHENTICATED expired");
  stream.close();
});

test("links that nobody signed make no secret, whatever organization they name", async () => {
  await using store = await newStore();
  const server = await startServer({ store: store.url });
  for (let i = 0; i < 500; i += 1) {
    const claims = ["callback", `org-${i}`, "run", "key", "uid"];
    const token = `${Buffer.from(JSON.stringify(claims)).toString("base64url")}.forged`;
    const answer = await fetch(`${server.httpUrl}/v1/callbacks/${token}`, { method: "POST" });
    expect(answer.status).toBe(403);
    await answer.body?.cancel();
  }
  await server.stop();
  const db = new DatabaseSync(store.url);
  expect(db.prepare("SELECT count(*) AS n FROM secret").get()?.n).toBe(0);
  db.close();
});
