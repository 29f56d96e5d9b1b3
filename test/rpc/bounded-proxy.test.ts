/**
 * Goal: a worker behind a proxy that bounds request bodies says so, and continues with everything else.
 * Method: an HTTP/2 proxy that cuts a stream after 1 MiB, as nginx does by default, before a real server.
 */
import { once } from "node:events";
import {
  type ClientHttp2Session,
  connect,
  constants,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { Client, type Context, Worker, workflow } from "@pawl/worker";
import { expect, test } from "vitest";
import { startServer } from "../harness/server.ts";

const bodyBytesMax = 1024 * 1024;

function forward(upstream: ClientHttp2Session, stream: ServerHttp2Stream, headers: object): void {
  const request = upstream.request({ ...headers });
  let trailers: IncomingHttpHeaders = {};
  let bytes = 0;
  stream.on("data", (data: Buffer) => {
    bytes += data.length;
    if (bytes <= bodyBytesMax) request.write(data);
    else stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  });
  stream.on("end", () => request.end());
  stream.on("close", () => request.close());
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  request.on("response", (response) => {
    if (!stream.closed) stream.respond(response, { waitForTrailers: true });
  });
  request.on("trailers", (received) => {
    trailers = received;
  });
  request.on("data", (data: Buffer) => {
    if (!stream.closed) stream.write(data);
  });
  request.on("end", () => stream.end());
  for (const side of [stream, request]) side.on("error", () => undefined);
}

/** Returns its URL. */
async function startProxy(target: string, ending: AsyncDisposableStack): Promise<string> {
  const upstream = connect(target);
  ending.defer(() => upstream.destroy());
  const proxy = createServer();
  ending.defer(() => void proxy.close());
  proxy.on("session", (session) => ending.defer(() => session.destroy()));
  proxy.on("stream", (stream, headers) => forward(upstream, stream, headers));
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const address = proxy.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return `http://127.0.0.1:${address.port}`;
}

test("a result that a proxy does not let through fails its step; smaller ones get through", async () => {
  const big = workflow("big", async (ctx: Context) => {
    try {
      return await ctx.step("big", () => "x".repeat(2 * bodyBytesMax));
    } catch (error) {
      return String(error);
    }
  });
  const many = workflow("many", async (ctx: Context) => {
    let length = 0;
    for (let i = 0; i < 8; i += 1)
      length += (await ctx.step("many", () => "y".repeat(300_000))).length;
    return length;
  });
  await using server = await startServer();
  await using ending = new AsyncDisposableStack();
  const url = await startProxy(server.grpcUrl, ending);
  const log: string[] = [];
  const note = (message: string): void => void log.push(message);
  const logger = { debug: () => undefined, info: () => undefined, warn: note, error: note };
  const worker = new Worker({ url, workflows: [big, many], logger });
  await worker.start();
  const client = new Client({ url: server.grpcUrl });
  try {
    const results = await Promise.all([client.run(big, undefined), client.run(many, undefined)]);
    expect(results).toEqual([expect.stringMatching(/PAYLOAD_TOO_LARGE.*proxy/), 2_400_000]);
    expect(log).toContain("a message does not get through; its step or run fails");
  } finally {
    client.close();
    await worker.stop();
  }
});
