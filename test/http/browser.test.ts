/**
 * Goal: a page in a browser can watch a run, by Server-Sent Events and by gRPC-Web, where its origin
 * is allowed; and no page of another origin can do anything.
 * Method: headless Chromium, a page of another origin than the server's, and preflights by hand.
 */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Chromium, findChromium } from "./chromium.ts";
import { type Fixture, startFixture } from "./fixture.ts";

let pages: Server;
let origin: string;
let fixture: Fixture;
let url: string;

beforeAll(async () => {
  const page = await readFile(join(import.meta.dirname, "page.html"));
  pages = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "text/html" });
    response.end(page);
  });
  pages.listen(0, "127.0.0.1");
  await once(pages, "listening");
  origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
  fixture = await startFixture({ args: ["--cors-origin", origin] });
  url = fixture.server.httpUrl;
});

afterAll(async () => {
  pages?.close();
  await fixture?.[Symbol.asyncDispose]();
});

const program = findChromium();
if (program === undefined) {
  console.log(
    "skipped: the tests in a browser, for there is no Chromium here. CONTRIBUTING.md says how to " +
      "install it; PAWL_CHROMIUM names one that is elsewhere.",
  );
}

describe.skipIf(program === undefined)("in Chromium (skipped without one)", () => {
  let chromium: Chromium;
  beforeAll(async () => {
    chromium = await Chromium.start(program ?? "");
  });
  afterAll(async () => {
    await chromium?.[Symbol.asyncDispose]();
  });

  const look = (runId: string, call: string, server = url) =>
    chromium.evaluate(
      `${origin}/?${new URLSearchParams({ server, run: runId }).toString()}`,
      `watched.${call}()`,
    );

  async function talk(runId: string): Promise<void> {
    await fetch(`${url}/v1/workflows/talk/runs?runId=${encodeURIComponent(runId)}`, {
      method: "POST",
    });
  }

  const seen = {
    text: "one two three",
    types: [
      "run.started",
      "output.delta",
      "output.delta",
      "output.delta",
      "workflow.step.completed",
      "run.completed",
    ],
  };

  /** Lets a page watch, and the run continue once the page has seen its first word. */
  async function watch(
    runId: string,
    call: string,
    first: string,
    then?: (way: Way) => Promise<void>,
  ) {
    await talk(runId);
    const way = await openWay(fixture.server.httpAddress);
    const watching = look(runId, call, way.url);
    await expect.poll(() => way.text).toContain(first);
    await then?.(way);
    fixture.gates.open(`${runId}/2`);
    fixture.gates.open(`${runId}/3`);
    const result = (await watching) as { ids: string[]; types: string[] };
    way.close();
    expect(new Set(result.ids).size).toBe(result.ids.length);
    return { ...result, types: result.types.filter((type) => seen.types.includes(type)) };
  }

  test("a page follows a run by EventSource while it runs", async () => {
    const result = await watch("sse/1", "bySse", '"payload":"one "');
    expect(result).toMatchObject({ ...seen, opened: 1 });
  });

  test("the browser comes back by itself where the connection breaks, and misses nothing", async () => {
    const result = await watch("sse-2", "bySse", '"payload":"one "', async (way) => {
      way.breakAll();
      const opened = () => way.text.match(/^retry: /gm)?.length;
      await expect.poll(opened).toBe(2);
    });
    expect(result).toMatchObject({ ...seen, opened: 2 });
  });

  test("a page follows a run by gRPC-Web", async () => {
    const first = Buffer.from('"one "').toString("base64");
    const result = await watch("web-1", "byGrpcWeb", first);
    expect(result).toMatchObject({ ...seen, status: "0" });
  });

  test("a page of an allowed origin may start runs; one of another may not", async () => {
    expect(await look("", "byRest")).toMatchObject({
      output: { greeting: "Hello, page!" },
      location: expect.stringMatching(/^\/v1\/runs\//),
    });
    await using closed = await startFixture();
    const refused = await look("", "byRest", closed.server.httpUrl);
    expect(refused).toMatchObject({ refused: expect.stringContaining("Failed to fetch") });
    const runs = await fetch(`${closed.server.httpUrl}/v1/runs`);
    expect(await runs.json()).toEqual({ runs: [] });
  });
});

interface Way {
  readonly url: string;
  /** What the server sent on it. */
  readonly text: string;
  breakAll(): void;
  close(): void;
}

/** A way to the server that can be looked into and broken. */
async function openWay(address: string): Promise<Way> {
  const [host, port] = address.split(":");
  const sockets = new Set<Socket>();
  let text = "";
  const server = createTcpServer((client) => {
    const upstream = connect(Number(port), host);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
    }
    client.pipe(upstream).pipe(client);
    upstream.on("data", (piece: Buffer) => {
      text += piece.toString("utf8");
    });
    client.on("close", () => upstream.destroy());
    upstream.on("close", () => client.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const breakAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get text() {
      return text;
    },
    breakAll,
    close() {
      breakAll();
      server.close();
    },
  };
}

describe("origins", () => {
  const preflight = (from: string, path: string) =>
    fetch(`${url}${path}`, {
      method: "OPTIONS",
      headers: {
        origin: from,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-grpc-web",
      },
    });

  test.each(["/v1/runs", "/pawl.v1.RunService/ListRuns"])("a preflight of %s", async (path) => {
    const allowed = await preflight(origin, path);
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get("access-control-allow-origin")).toBe(origin);
    expect(allowed.headers.get("access-control-allow-headers")).toMatch(/X-Grpc-Web/);
    expect(allowed.headers.get("vary")).toBe("Origin");
    const other = await preflight("https://elsewhere.example", path);
    expect(other.status).toBe(403);
    expect(other.headers.get("access-control-allow-origin")).toBeNull();
    expect(await other.json()).toMatchObject({
      reason: "PERMISSION_DENIED",
      metadata: { origin: "https://elsewhere.example" },
    });
  });

  test("the answer to a page of an allowed origin says so, errors too", async () => {
    const response = await fetch(`${url}/v1/runs/none`, { headers: { origin } });
    expect(response.status).toBe(404);
    expect(response.headers.get("access-control-allow-origin")).toBe(origin);
    expect(response.headers.get("access-control-expose-headers")).toContain("Grpc-Status");
  });

  test("a request without an origin, such as one of curl, is allowed", async () => {
    const response = await fetch(`${url}/v1/runs`);
    expect([response.status, response.headers.get("access-control-allow-origin")]).toEqual([
      200,
      null,
    ]);
  });
});
