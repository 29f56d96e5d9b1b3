/**
 * Goal: an event stream waits for its reader, and lets go of one that does not read, with a place to
 * continue from.
 * Method: a real socket that reads or does not, against a run that never stops talking.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { create } from "@bufbuild/protobuf";
import {
  EventClass,
  EventService,
  WatchRunRequestSchema,
  WatchRunResponseSchema,
} from "@pawl/proto";
import { expect, test } from "vitest";
import { anonymous } from "../../model/caller.ts";
import { serverStream } from "../../rpc/binding.ts";
import { streamEvents } from "./event-stream.ts";
import { RestExchange } from "./rest-exchange.ts";
import type { Services } from "./route.ts";

const OUTPUT = Buffer.from(JSON.stringify("x".repeat(50_000)));
const EVENTS_MAX = 10_000;

/** A server with one stream: events e1, e2 … up to `last`, as fast as they are taken. */
async function serve(last: number, patienceMs: number) {
  const state = { sent: 0, closed: Promise.withResolvers<void>() };
  const watch = serverStream(EventService.method.watchRun, async function* () {
    try {
      while (state.sent < last) {
        state.sent += 1;
        const type = state.sent === EVENTS_MAX ? "run.completed" : "output\r\ndelta";
        const event = { cursor: `e${state.sent}`, type, class: EventClass.DELTA };
        yield create(WatchRunResponseSchema, {
          events: [{ ...event, payload: { data: OUTPUT, encoding: "json" } }],
        });
      }
    } finally {
      state.closed.resolve();
    }
  });
  const services: Services = {
    unary: () => {
      throw new Error("No unary call was expected.");
    },
    stream: () => watch,
  };
  const server = createServer((request, response) => {
    const over = new AbortController();
    response.once("close", () => over.abort());
    const context = { caller: anonymous("default"), host: "", signal: over.signal };
    const exchange = new RestExchange(request, response, {
      params: {},
      search: new URLSearchParams(),
      context: context,
    });
    const asked = create(WatchRunRequestSchema, { runId: "r" });
    void streamEvents(exchange, services, { request: asked, heartbeatMs: 60_000, patienceMs });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    state,
    open(): Socket {
      const socket = connect(port, "127.0.0.1");
      socket.write("GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
      return socket;
    },
    [Symbol.dispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function readAll(socket: Socket): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of socket) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces).toString("utf8");
}

test("a reader that stops reading is let go, and told the last id and why", async () => {
  using served = await serve(EVENTS_MAX, 150);
  const socket = served.open();
  socket.pause();
  await served.state.closed.promise;
  // What the sockets hold, and no more, was taken from the run.
  const taken = served.state.sent;
  expect(taken).toBeLessThan(EVENTS_MAX / 2);
  const text = await readAll(socket);
  const ids = [...text.matchAll(/^id: e(\d+)$/gm)].map(([, id]) => Number(id));
  expect(ids).toEqual(Array.from({ length: taken }, (_, index) => index + 1));
  const last = /^event: stream\.error\r?\ndata: (.*)$/m.exec(text)?.[1] ?? "";
  expect(JSON.parse(last)).toMatchObject({ status: 429, reason: "SLOW_CONSUMER" });
  expect(text).toContain("\nevent: output  delta\n");
});

test("a reader that hangs up ends the watch at once", async () => {
  using served = await serve(EVENTS_MAX, 60_000);
  const socket = served.open();
  await once(socket, "readable");
  socket.destroy();
  await served.state.closed.promise;
  expect(served.state.sent).toBeLessThan(EVENTS_MAX);
});

test("a reader that reads gets all, and no sign of impatience", async () => {
  using served = await serve(400, 1_000);
  const text = await readAll(served.open());
  expect(text.match(/^id: /gm)).toHaveLength(400);
  expect(text).not.toContain("stream.error");
});
