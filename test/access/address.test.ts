/**
 * Goal: who knows one address of a server finds the other one.
 * Method: real servers, asked over every transport by several of their names.
 */
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { ServerService } from "@pawl/proto";
import { expect, test } from "vitest";
import { VERSION } from "../../server/src/lib/version.ts";
import { startServer } from "../harness/server.ts";

test("a server names both its addresses, by the host that the caller used", async () => {
  await using server = await startServer({ http: "127.0.0.1:0", grpc: "127.0.0.1:0" });
  const { httpUrl, grpcUrl } = server;
  const own = { version: VERSION, httpUrl, grpcUrl, credentialRequired: false };
  const rest = await fetch(`${httpUrl}/v1/server`);
  expect(await rest.json()).toEqual(own);
  const transports = [
    createConnectTransport({ baseUrl: httpUrl, httpVersion: "1.1" }),
    createGrpcTransport({ baseUrl: grpcUrl }),
  ];
  for (const transport of transports) {
    const answer = await createClient(ServerService, transport).getServer({});
    expect(answer).toMatchObject(own);
  }
  const byName = httpUrl.replace("127.0.0.1", "localhost");
  expect(await (await fetch(`${byName}/v1/server`)).json()).toEqual({
    ...own,
    httpUrl: byName,
    grpcUrl: grpcUrl.replace("127.0.0.1", "localhost"),
  });
});

test("a server behind a proxy names the addresses that it was told", async () => {
  const httpUrl = "https://pawl.example";
  const grpcUrl = "https://pawl.example:50051";
  await using server = await startServer({
    args: ["--public-url", httpUrl, "--public-grpc-url", grpcUrl],
  });
  const answer = await fetch(`${server.httpUrl}/v1/server`);
  expect(await answer.json()).toEqual({
    ...{ version: VERSION, httpUrl, grpcUrl },
    credentialRequired: true,
  });
});
