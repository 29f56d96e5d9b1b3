/**
 * Goal: a server that only this machine can reach needs no key, until it has one; and no proxy hands the
 * owner's rights to strangers.
 * Method: requests as a proxy sends them, before and after the first key, to real servers.
 */
import { request } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { RunService } from "@pawl/proto";
import { expect, test } from "vitest";
import { newApiKey } from "../../server/src/auth/api-key.ts";
import { pawl } from "../cli/cli.ts";
import { startServer, type TestServer } from "../harness/server.ts";
import { bearer, overGrpc } from "./stage.ts";

const { listRuns } = RunService.method;

const status = async (server: TestServer, headers: Record<string, string>): Promise<number> =>
  new Promise((resolve, reject) => {
    const asked = request(`${server.httpUrl}/v1/runs`, { headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asked.on("error", reject).end();
  });

/** As nginx asks with its default settings. */
async function overHttp10({ httpAddress }: TestServer): Promise<string> {
  const [host = "", port = ""] = httpAddress.split(":");
  const socket = connect(Number(port), host);
  socket.end(`GET /v1/runs HTTP/1.0\r\nHost: ${httpAddress}\r\nConnection: close\r\n\r\n`);
  return (await text(socket)).split("\r\n", 1)[0] ?? "";
}

test("without a key, callers are the owner unless a proxy brings them or they send a wrong one", async () => {
  await using server = await startServer();
  expect(await status(server, {})).toBe(200);
  expect(await overGrpc(server.grpcAddress, listRuns, {})).toBe("OK");
  for (const [name, value] of [
    ["forwarded", "for=192.0.2.1"],
    ["x-forwarded-for", "192.0.2.1"],
    ["x-forwarded-proto", "https"],
    ["x-real-ip", "192.0.2.1"],
    ["via", "1.1 proxy"],
  ] as const) {
    expect(await status(server, { [name]: value }), name).toBe(401);
    expect(await overGrpc(server.grpcAddress, listRuns, { [name]: value }), name).toBe(
      "UNAUTHENTICATED missing",
    );
  }
  expect(await overHttp10(server)).toMatch(/ 401 /);
  const wrong = bearer(newApiKey("operator"));
  expect(await status(server, wrong)).toBe(401);
  expect(await overGrpc(server.grpcAddress, listRuns, wrong)).toBe("UNAUTHENTICATED invalid");
});

test("the first operator's key ends it, also for streams that are open", async () => {
  await using server = await startServer();
  const events = await fetch(`${server.httpUrl}/v1/events`);
  expect(events.status).toBe(200);
  const over = events.text().catch(() => "cut off");
  const made = await pawl(["keys", "create", "me", "--operator", "--server", server.httpUrl]);
  expect([made.code, made.out]).toEqual([0, expect.stringMatching(/^pawl_op_\w{36}\n$/)]);
  expect(await status(server, {})).toBe(401);
  expect(await overGrpc(server.grpcAddress, listRuns, {})).toBe("UNAUTHENTICATED missing");
  await over;
  const key = made.out.trim();
  expect(await status(server, bearer(key))).toBe(200);
  const list = await pawl(["keys", "list"], { url: server.httpUrl, env: { PAWL_API_KEY: key } });
  expect([list.code, list.out]).toEqual([0, expect.stringContaining("everything")]);
  const denied = await pawl(["list", "--json"], { url: server.httpUrl });
  expect([denied.code, denied.out]).toEqual([9, expect.stringContaining("UNAUTHENTICATED")]);
});

test("an operator's key in the environment, or a public URL, ends it from the start", async () => {
  const key = newApiKey("operator");
  await using server = await startServer({ env: { PAWL_OPERATOR_KEY: key } });
  expect([await status(server, {}), await status(server, bearer(key))]).toEqual([401, 200]);
  await using outside = await startServer({ args: ["--public-url", "https://pawl.example"] });
  expect(await status(outside, {})).toBe(401);
});
