/**
 * Goal: nobody reaches anything without a right to it, over any transport, and everyone with a right does.
 * Method: every method and route, generated from the descriptors and from /openapi.json, on a real server
 * whose store has keys of all kinds, with every kind of credential.
 */
import type { DescMethod } from "@bufbuild/protobuf";
import { getOption } from "@bufbuild/protobuf";
import { scope } from "@pawl/proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newApiKey } from "../../server/src/auth/api-key.ts";
import { isPublic } from "../../server/src/auth/permissions.ts";
import { API_SERVICES } from "../../server/src/rpc/services.ts";
import { startServer, type TestServer } from "../harness/server.ts";
import {
  bearer,
  newStore,
  overConnect,
  overGrpc,
  overGrpcWeb,
  overRest,
  putKeys,
} from "./stage.ts";

const METHODS = API_SERVICES.flatMap((service) => service.methods);
const UNAUTHENTICATED = 16;
const PERMISSION_DENIED = 7;

let store: Awaited<ReturnType<typeof newStore>>;
let server: TestServer;
let keys: Record<"owner" | "reader" | "nothing" | "expired" | "revoked" | "other", string>;

/** Credentials that are no good, and what each is refused for. */
let refused: (readonly [Readonly<Record<string, string>>, string])[];

beforeAll(async () => {
  store = await newStore();
  keys = await putKeys(store.url, {
    owner: { kind: "operator" },
    reader: { scopes: ["workflow:read"] },
    nothing: { scopes: ["metrics:read"] },
    expired: { scopes: ["runs:read"], expiresAt: Date.now() - 1 },
    revoked: { kind: "operator", revokedAt: 1 },
    other: { kind: "operator", org: "acme" },
  });
  refused = [
    [{}, "missing"],
    [bearer("nonsense"), "invalid"],
    [{ authorization: "Basic cGF3bDpwYXds" }, "invalid"],
    [{ "x-api-key": `${keys.owner}x` }, "invalid"],
    [{ ...bearer(keys.owner), "x-api-key": keys.reader }, "invalid"],
    [bearer(newApiKey("operator")), "invalid"],
    [bearer(keys.expired), "expired"],
    [bearer(keys.revoked), "revoked"],
  ];
  server = await startServer({ store: store.url });
});
afterAll(async () => {
  await server.stop();
  await store[Symbol.asyncDispose]();
});

const named = (methods: readonly DescMethod[]) =>
  methods.map((method) => [`${method.parent.name}.${method.name}`, method] as const);

test("the methods that need no credential", () => {
  const open = METHODS.filter(isPublic);
  expect(open.map(({ name }) => name)).toEqual(["GetServer"]);
});

test.each(named(METHODS.filter(isPublic)))(
  "%s is for everybody, but for wrong credentials",
  async (_name, method) => {
    const wrong = refused.filter(([, why]) => why !== "missing");
    expect(await overGrpc(server.grpcAddress, method, {})).toBe("OK");
    expect(await overConnect(server.httpUrl, method, {})).toBe("OK");
    for (const [headers, why] of wrong) {
      const refusal = `UNAUTHENTICATED ${why}`;
      expect(await overGrpc(server.grpcAddress, method, headers)).toBe(refusal);
      expect(await overConnect(server.httpUrl, method, headers)).toBe(refusal);
    }
  },
);

describe.each(named(METHODS.filter((method) => !isPublic(method))))("%s", (_name, method) => {
  const needs = `PERMISSION_DENIED ${getOption(method, scope).join(",")}`;

  test("by gRPC", async () => {
    const send = (headers: Readonly<Record<string, string>>) =>
      overGrpc(server.grpcAddress, method, headers);
    for (const [headers, why] of refused)
      expect(await send(headers)).toBe(`UNAUTHENTICATED ${why}`);
    expect(await send(bearer(keys.nothing))).toBe(needs);
    for (const key of [keys.owner, keys.other])
      expect(await send(bearer(key))).not.toMatch(/UNAUTHENTICATED|PERMISSION_DENIED/);
  });

  // Streams in both directions need HTTP/2.
  test.skipIf(method.methodKind === "bidi_streaming")("by Connect and gRPC-Web", async () => {
    const send = (headers: Readonly<Record<string, string>>) =>
      overConnect(server.httpUrl, method, headers);
    for (const [headers, why] of refused)
      expect(await send(headers)).toBe(`UNAUTHENTICATED ${why}`);
    expect(await send(bearer(keys.nothing))).toBe(needs);
    const web = (headers: Readonly<Record<string, string>>) =>
      overGrpcWeb(server.httpUrl, method, headers);
    for (const [headers] of refused) expect(await web(headers)).toBe(UNAUTHENTICATED);
    expect(await web(bearer(keys.nothing))).toBe(PERMISSION_DENIED);
  });
});

test("every route, the page of metrics among them", async () => {
  const description = await fetch(`${server.httpUrl}/openapi.json`);
  const { paths } = (await description.json()) as {
    paths: Record<string, Record<string, { security?: unknown }>>;
  };
  const routes = Object.entries(paths).flatMap(([path, verbs]) =>
    Object.entries(verbs).flatMap(([verb, { security }]) =>
      security === undefined ? [[verb, path] as const] : [],
    ),
  );
  expect(routes.length).toBeGreaterThan(20);
  for (const route of [...routes, ["get", "/metrics"] as const]) {
    for (const [headers, why] of refused) {
      const label = `${route.join(" ")} ${why}`;
      const answer = await overRest(server.httpUrl, route, headers);
      expect(answer, label).toEqual([401, `UNAUTHENTICATED ${why}`]);
    }
  }
  for (const path of ["/healthz", "/readyz", "/", "/docs", "/openapi.json"])
    expect((await fetch(`${server.httpUrl}${path}`)).status, path).toBe(200);
  const page = await fetch(`${server.httpUrl}/metrics`, { headers: bearer(keys.nothing) });
  expect(page.status).toBe(200);
});

test("a refusal says which credential would do, and never names the one that was sent", async () => {
  const refusal = await fetch(`${server.httpUrl}/v1/runs`, { headers: bearer(keys.revoked) });
  expect(refusal.headers.get("www-authenticate")).toBe('Bearer error="invalid_token"');
  const bare = await fetch(`${server.httpUrl}/v1/runs`);
  expect([bare.status, bare.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
  expect(await bare.text()).toContain("PAWL_API_KEY");
  expect(await refusal.text()).not.toContain(keys.revoked.slice(8));
  expect(server.log()).not.toContain("pawl_op_");
  expect(server.log()).not.toContain("pawl_sk_");
});

describe("a key that may read workflows and runs", () => {
  const post = (path: string, key: string, body: object = {}) =>
    fetch(`${server.httpUrl}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...bearer(key) },
      body: JSON.stringify(body),
    });

  test("reads, starts nothing and creates no keys", async () => {
    const list = await fetch(`${server.httpUrl}/v1/runs`, {
      headers: { "x-api-key": keys.reader },
    });
    expect(list.status).toBe(200);
    const start = await post("/v1/workflows/greet/runs", keys.reader);
    expect(start.status).toBe(403);
    expect(await start.json()).toMatchObject({
      reason: "PERMISSION_DENIED",
      metadata: { needs: expect.stringContaining("runs:write") },
    });
    expect((await post("/v1/auth/apikeys", keys.reader, { name: "mine" })).status).toBe(403);
    const greedy = { name: "greedy", scopes: ["keys:write"] };
    expect((await post("/v1/auth/apikeys", keys.owner, greedy)).status).toBe(403);
  });

  test("is created, shown once, rotated and revoked", async () => {
    const asked = { name: "ci", scopes: ["runs:read"], expiresIn: "60s" };
    const created = await post("/v1/auth/apikeys", keys.owner, asked);
    expect(created.status).toBe(201);
    const { key, text } = (await created.json()) as { key: { keyId: string }; text: string };
    expect(key).toMatchObject({ name: "ci", scopes: ["runs:read"], createdBy: "key:owner" });
    expect((await post("/v1/auth/apikeys", keys.owner, asked)).status).toBe(409);
    const rotated = await post(`/v1/auth/apikeys/${key.keyId}/rotate`, keys.owner, {
      overlap: "30s",
    });
    const next = (await rotated.json()) as { text: string };
    const listed = async (one: string) =>
      (await fetch(`${server.httpUrl}/v1/runs`, { headers: bearer(one) })).status;
    expect([await listed(text), await listed(next.text)]).toEqual([200, 200]);
    const revoked = await fetch(`${server.httpUrl}/v1/auth/apikeys/${key.keyId}`, {
      method: "DELETE",
      headers: bearer(keys.owner),
    });
    expect(revoked.status).toBe(204);
    expect([await listed(text), await listed(next.text)]).toEqual([401, 200]);
    const list = await fetch(`${server.httpUrl}/v1/auth/apikeys`, { headers: bearer(keys.owner) });
    const shown = await list.text();
    for (const secret of [text, next.text, ...Object.values(keys)])
      expect(shown).not.toContain(secret.slice(8));
    expect(shown).not.toContain("acme");
  });

  test("of another organization finds nothing of this one, nor what never was", async () => {
    const listed = await fetch(`${server.httpUrl}/v1/auth/apikeys`, {
      headers: bearer(keys.owner),
    });
    const { keys: rows } = (await listed.json()) as { keys: { keyId: string }[] };
    const id = rows[0]?.keyId ?? "";
    const ask = async (keyId: string) => {
      const answer = await fetch(`${server.httpUrl}/v1/auth/apikeys/${keyId}`, {
        method: "DELETE",
        headers: bearer(keys.other),
      });
      return [answer.status, (await answer.text()).replaceAll(keyId, "ID")];
    };
    expect(await ask(id)).toEqual(await ask("key_00000000000000"));
  });
});
