/**
 * Goal: one address is enough for clients and workers, whichever of the two it is.
 * Method: the SDK with real servers, and with ones that name addresses which must not be followed.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { EXIT } from "@pawl/server/internal";
import { Client, Worker, workflow } from "@pawl/worker";
import { expect, test } from "vitest";
import { pawl } from "../cli/cli.ts";
import { startServer } from "../harness/server.ts";

const double = workflow("double", async (_ctx, n: number) => n * 2);

test.each([
  ["HTTP", "stream"],
  ["HTTP", "poll"],
  ["gRPC", "stream"],
  ["gRPC", "poll"],
] as const)("the %s address serves a client and a worker in mode %s", async (kind, mode) => {
  await using server = await startServer();
  const url = kind === "HTTP" ? server.httpUrl : server.grpcUrl;
  const worker = new Worker({ url, workflows: [double], mode });
  const client = new Client({ url });
  try {
    await worker.start();
    expect(await client.run(double, 21)).toBe(42);
  } finally {
    client.close();
    await worker.stop();
  }
});

test("commands take the address that clients take, and name it to who gives the other one", async () => {
  await using server = await startServer();
  const { httpUrl, grpcUrl } = server;
  expect((await pawl(["list"], { env: { PAWL_URL: httpUrl } })).code).toBe(EXIT.OK);
  const wrong = await pawl(["list"], { env: { PAWL_URL: grpcUrl } });
  expect(wrong.code).toBe(EXIT.NOT_REACHABLE);
  expect(wrong.err).toContain(`its HTTP address, which is ${httpUrl}`);
});

test("a server may start after its client", async () => {
  const first = await startServer();
  const url = first.httpUrl;
  await first.stop();
  const client = new Client({ url, retryFor: "60 s" });
  const listed = client.list();
  listed.catch(() => undefined);
  try {
    await using _server = await startServer({ http: new URL(url).host });
    expect((await listed).runs).toEqual([]);
  } finally {
    client.close();
  }
});

test("an address on another host, or without a scheme's protection, is not followed", async () => {
  let grpcUrl = "";
  const liar = createServer((_request, response) => response.end(JSON.stringify({ grpcUrl })));
  await once(liar.listen(0, "127.0.0.1"), "listening");
  const { port } = liar.address() as AddressInfo;
  try {
    for (grpcUrl of ["http://other.example:50051", "https://127.0.0.1:50051", "nonsense"]) {
      const client = new Client({ url: `http://127.0.0.1:${port}`, retryFor: 0 });
      await expect(client.list()).rejects.toMatchObject({
        reason: "UNAVAILABLE",
        message: expect.stringContaining("PAWL_GRPC_URL"),
      });
      client.close();
    }
  } finally {
    liar.close();
  }
});
